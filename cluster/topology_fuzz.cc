// Any bytes as a reply to CLUSTER SHARDS, SLOTS, NODES or INFO: an error or a topology whose
// invariants hold, never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "absl/status/statusor.h"
#include "cluster/node_view.h"
#include "cluster/topology.h"
#include "cluster/topology_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using rcproxy::cluster::Topology;
  const std::string_view reply(reinterpret_cast<const char*>(data), size);
  const rcproxy::cluster::NodeAddress asked{"127.0.0.1", 6379};
  const absl::StatusOr<Topology> shards = rcproxy::cluster::ParseClusterShards(reply, asked);
  if (shards.ok()) shards->CheckInvariants();
  const absl::StatusOr<Topology> slots = rcproxy::cluster::ParseClusterSlots(reply, asked);
  if (slots.ok()) slots->CheckInvariants();
  rcproxy::cluster::NodeView view;
  rcproxy::cluster::ReadClusterNodes(reply, &view);
  rcproxy::cluster::ReadClusterInfo(reply, &view);
  if (shards.ok() && !shards->SameAs(*shards)) std::abort();
  if (slots.ok() && !slots->SameAs(*slots)) std::abort();
  return 0;
}
