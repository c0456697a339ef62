// The cluster that rcproxy says it is with --face=cluster: its instances as primaries that share
// the slots evenly. Each of them serves every slot, whatever a client believes.
//
// Pure. Owner: whoever makes one, for the length of a command. Thread: any.
// Invariants: 1. what an instance says of slots and ids depends on the set of addresses alone, so
// all of a fleet say the same; 2. every slot has one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/topology.h"

namespace rcproxy::proxy {

struct AnnouncedNode {
  cluster::NodeAddress address;
  std::string id;  // 40 hexadecimal digits, made from the address.
  uint16_t first_slot = 0;
  uint16_t last_slot = 0;
};

class AnnouncedCluster {
 public:
  // `fleet` are the addresses of --announce; none stands for `connected_to` alone. We are the one
  // that the client connected to, or the first when addresses are translated on the way.
  // Requires: no more addresses than slots.
  AnnouncedCluster(const std::vector<cluster::NodeAddress>& fleet,
                   const cluster::NodeAddress& connected_to);

  // By slot.
  const std::vector<AnnouncedNode>& nodes() const { return nodes_; }
  size_t my_index() const { return my_index_; }
  const AnnouncedNode& me() const { return nodes_[my_index_]; }
  // Case matters, as on the server.
  bool Has(std::string_view id) const;

 private:
  std::vector<AnnouncedNode> nodes_;
  size_t my_index_ = 0;
};

}  // namespace rcproxy::proxy
