// The cluster as nodes have described it: an immutable snapshot.
//
// Owner: std::shared_ptr<const Topology>, one reference per worker. Thread: any, it never changes.
// Invariants: 1. every slot names a shard or kNoShard; 2. shard and node indexes are valid; 3. node
// addresses are unique. Sources: CLUSTER SHARDS (7.0), CLUSTER SLOTS (3.0) of the server's command
// documentation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/hash_slot.h"

namespace rcproxy::cluster {

struct NodeAddress {
  std::string host;  // IPv4, IPv6 without brackets, or a host name.
  uint16_t port = 0;

  bool operator==(const NodeAddress&) const = default;
  std::string ToString() const;  // "host:port", IPv6 in brackets.
};

struct Node {
  NodeAddress address;
  std::string id;
  std::string hostname;           // Empty when not announced.
  std::string availability_zone;  // Empty when not announced.
  bool is_primary = false;        // The primary of its shard; an old one that has failed is not.
  bool is_online = true;          // health: online (not fail, not loading).
  int64_t replication_offset = 0;
};

struct Shard {
  static constexpr uint16_t kNoNode = 0xffff;
  uint16_t primary = kNoNode;  // Index into nodes(); kNoNode when no node claims to be the primary.
  std::vector<uint16_t> replicas;  // Online ones first, then by address.
};

class Topology {
 public:
  static constexpr uint16_t kNoShard = 0xffff;

  struct Range {
    uint16_t first;
    uint16_t last;
    uint16_t shard;
  };
  // Requires: indexes valid, addresses unique, first <= last < kSlotCount, ranges disjoint (later
  // ones win otherwise).
  Topology(std::vector<Node> nodes, std::vector<Shard> shards, const std::vector<Range>& ranges);

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Shard>& shards() const { return shards_; }
  uint16_t ShardOfSlot(uint16_t slot) const { return shard_of_slot_[slot]; }
  int slots_covered() const { return slots_covered_; }
  // By shard.
  std::vector<bool> ShardsWithSlots() const;
  // True when slots, primaries, replicas with their health, and addresses are the same, in whatever
  // order two nodes list them. Offsets do not count: they differ at every look.
  bool SameAs(const Topology& other) const;
  void CheckInvariants() const;

 private:
  std::vector<Node> nodes_;
  std::vector<Shard> shards_;
  std::array<uint16_t, kSlotCount> shard_of_slot_;
  int slots_covered_ = 0;
};

}  // namespace rcproxy::cluster
