// What one fake node believes about its cluster, and how it tells it. Nodes may believe different
// things: news travel by gossip.
//
// Owner: each FakeNode has a ClusterView; members belong to their nodes. Thread: one.
// Invariant: a slot names a shard that has a primary, or kNoShard. Formats: CLUSTER SHARDS, SLOTS,
// NODES and INFO of the server's command documentation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/hash_slot.h"

namespace rcproxy::sim {

// A node as the others know it.
struct FakeMember {
  std::string name;  // For tests: "A".
  std::string id;    // 40 hexadecimal digits.
  std::string host;
  uint16_t port = 0;
  int shard = 0;
  bool alive = true;
  bool loading = false;

  std::string Address() const { return host + ":" + std::to_string(port); }
};

struct ClusterView {
  static constexpr int16_t kNoShard = -1;

  ClusterView() { shard_of_slot.fill(kNoShard); }
  // The member that owns `slot`, or nullptr.
  const FakeMember* OwnerOf(uint16_t slot) const;
  bool IsPrimary(const FakeMember& member) const;

  std::array<int16_t, cluster::kSlotCount> shard_of_slot;
  std::vector<const FakeMember*> primary_of_shard;
  std::vector<uint64_t> epoch_of_shard;  // Configuration epochs; a shard not named has 0.
};

using FakeMembers = std::vector<const FakeMember*>;

// `resp3` writes maps where RESP2 has flat arrays.
std::string EncodeClusterShards(const ClusterView& view, const FakeMembers& members, bool resp3);
std::string EncodeClusterSlots(const ClusterView& view, const FakeMembers& members);
// As `self` tells it.
std::string EncodeClusterNodes(const ClusterView& view, const FakeMembers& members,
                               const FakeMember& self);
std::string EncodeClusterInfo(bool is_ok);

}  // namespace rcproxy::sim
