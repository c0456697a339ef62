// What one node says about its cluster, as far as it takes several questions: who has which slots
// (CLUSTER SHARDS or SLOTS), how new that is (CLUSTER NODES: the configuration epoch of each node),
// and whether the node is fit to tell (CLUSTER INFO: its state). No single reply has all of it:
// SHARDS knows the preferred endpoints but no epoch, NODES knows the epochs but no preference.
//
// Owner: whoever asked. Thread: any. Sources: the server's documentation of these commands; they
// are the same from 3.0 on, apart from SHARDS (7.0).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cluster/topology.h"

namespace rcproxy::cluster {

// Configuration epochs by node id; a replica has that of its primary. The higher epoch wins a slot.
using Epochs = std::unordered_map<std::string, uint64_t>;

struct NodeView {
  Topology map = Topology({}, {}, {});
  NodeAddress asked;  // Where this was told.
  std::string self;   // The id of the node that was asked; empty when it did not tell.
  Epochs epochs;      // Of all nodes that it knows, itself included; empty when it did not tell.
  bool is_ok = true;  // cluster_state: false on a node that is in a minority, or misses slots.
};

// What identifies a node: its id, or its address where servers do not tell ids.
std::string KeyOf(const Node& node);

// A node that reads its data set, or serves nobody, answers with an error that says so: what it
// tells besides is not worth having.
bool RefusesToTell(std::string_view reply);

// The reply to CLUSTER NODES; leaves `view` as it is when it is no such reply (a node may be
// configured not to tell). Lines that are not of the documented form are skipped.
void ReadClusterNodes(std::string_view reply, NodeView* view);
// The same for CLUSTER INFO.
void ReadClusterInfo(std::string_view reply, NodeView* view);

}  // namespace rcproxy::cluster
