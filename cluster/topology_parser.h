// What nodes say of the cluster, and addresses as people write them -> what Topology is made of.
//
// Pure. Thread: any. Sources: CLUSTER SHARDS (7.0), CLUSTER SLOTS (3.0) of the server's command
// documentation.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "cluster/topology.h"

namespace rcproxy::cluster {

// "host:port", "[v6]:port" or "v6:port" (the last colon splits).
absl::StatusOr<NodeAddress> ParseNodeAddress(std::string_view text);

// What a node that was asked at `asked` says. An empty endpoint means the asked host; "?" (unknown)
// nodes are left out; unknown fields are skipped. A shard without slots is kept, for its nodes.
// When several nodes of a shard say they are its primary (a failover is going on), the online one
// with the highest offset is. CLUSTER SLOTS says nothing about health: all are online. RESP2 and
// RESP3. Errors: an error reply or a malformed one -> InvalidArgument with the text.
absl::StatusOr<Topology> ParseClusterShards(std::string_view reply, const NodeAddress& asked);
absl::StatusOr<Topology> ParseClusterSlots(std::string_view reply, const NodeAddress& asked);

}  // namespace rcproxy::cluster
