// One picture of the cluster out of what several of its nodes say, so that no single node which is
// cut off, starting, confused or a stranger decides where commands go.
//
// Which views count: those of nodes whose state is ok. When none is, those of nodes in state fail
// count if they are most of the nodes asked: slots are missing then, while a minority keeps quiet.
// Of these, views of nodes that most others do not know are left out; and when nobody knows any
// node of the picture so far (another cluster answers at these addresses), most of the nodes asked
// have to agree on that.
//
// Whose slot it is, slot by slot: the claim with the highest configuration epoch, as among the
// nodes themselves. A view that knows the owner so far only at an older epoch says nothing new
// about its slots. A claim that would move a slot needs the word of the new owner itself, or of
// most of the nodes asked.
//
// How new an owner is: its own word, even if that is less than what was known. Without that, what
// more than half of the views that count say at least; and of an owner that is known already, most
// of the nodes asked, two or more, have to be heard. It goes back only when all of them say less:
// then the owner keeps its slots for now and is in `to_ask`, and who else has them is believed the
// next time. So no single view makes all others old for good, and a cluster that was restored with
// lower epochs is believed.
//
// Pure: no I/O, no clock, no state. Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cluster/node_view.h"
#include "cluster/topology.h"

namespace rcproxy::cluster {

// The picture so far, and how new its owners were.
struct KnownMap {
  const Topology* topology = nullptr;  // nullptr at the start.
  const Epochs* epochs = nullptr;
};

struct Agreement {
  std::optional<Topology> topology;  // Absent when no view counts, or it is not clear which do.
  Epochs epochs;                     // Of its owners of slots.
  size_t views_left_out = 0;
  // Nodes that others name as new owners, or of which all tell old news, and whose own word would
  // decide.
  std::vector<NodeAddress> to_ask;
};

// `asked`: how many nodes were asked, without those known not to answer. Requires: asked >=
// views.size().
Agreement Agree(const std::vector<NodeView>& views, size_t asked, const KnownMap& known);

}  // namespace rcproxy::cluster
