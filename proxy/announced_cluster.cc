#include "proxy/announced_cluster.h"

#include <glog/logging.h>

#include <algorithm>

#include "cluster/hash_slot.h"
#include "proxy/sha1.h"

namespace rcproxy::proxy {

using cluster::NodeAddress;

AnnouncedCluster::AnnouncedCluster(const std::vector<NodeAddress>& fleet,
                                   const NodeAddress& connected_to) {
  std::vector<NodeAddress> addresses = fleet;
  if (addresses.empty()) addresses.push_back(connected_to);
  const bool is_listed = std::ranges::find(addresses, connected_to) != addresses.end();
  const NodeAddress mine = is_listed ? connected_to : addresses.front();
  std::ranges::sort(addresses, {}, &NodeAddress::ToString);
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  CHECK_LE(addresses.size(), size_t{cluster::kSlotCount});
  my_index_ = static_cast<size_t>(std::ranges::find(addresses, mine) - addresses.begin());
  const auto first_slot_of = [count = addresses.size()](size_t index) {
    return static_cast<uint16_t>(index * cluster::kSlotCount / count);
  };
  for (size_t i = 0; i < addresses.size(); ++i) {
    nodes_.push_back({addresses[i], Sha1Hex(addresses[i].ToString()), first_slot_of(i),
                      static_cast<uint16_t>(first_slot_of(i + 1) - 1)});
  }
}

bool AnnouncedCluster::Has(std::string_view id) const {
  return std::ranges::find(nodes_, id, &AnnouncedNode::id) != nodes_.end();
}

}  // namespace rcproxy::proxy
