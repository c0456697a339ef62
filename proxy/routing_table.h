// Slot -> node, as this worker believes at this moment: the last snapshot of the cluster, corrected
// at once by each MOVED.
//
// Owner: Worker. Thread: the worker's.
// Invariants: 1. every slot names a valid entry of shards_; entry 0 is "nobody"; 2. epoch() grows
// with each change, and changed_epoch(slot) is the epoch of that slot's last change of owner; 3.
// nodes named here are not retired. Per lookup: one 2-byte load and one pointer load.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/hash_slot.h"
#include "cluster/topology.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

struct ShardRoute {
  UpstreamNode* primary = nullptr;
  std::vector<UpstreamNode*> replicas;  // Online ones that are not too far behind.
  mutable uint32_t next_copy = 0;       // Whose turn it is to serve a read.
};

class RoutingTable {
 public:
  RoutingTable(Resources& resources, UpstreamObserver& observer, NameResolver& resolver);
  ~RoutingTable();  // Requires: every node quiet.

  const ShardRoute& Find(uint16_t slot) const { return shards_[shard_of_slot_[slot]]; }
  // An index that lasts until the next map; 0 is that of slots without an owner.
  uint16_t ShardIndex(uint16_t slot) const { return shard_of_slot_[slot]; }
  // Of the primary of the shard at `index`.
  WaitingLoad WaitingForPrimary(uint16_t index) const;
  uint32_t epoch() const { return epoch_; }
  uint32_t changed_epoch(uint16_t slot) const { return changed_epoch_[slot]; }

  // The node at `address`, made when it is new.
  UpstreamNode* NodeAt(const cluster::NodeAddress& address);
  // MOVED: `node` owns `slot` from now on.
  void NoteMoved(uint16_t slot, UpstreamNode* node);
  // Takes over a snapshot. Returns whether any slot changed its owner.
  bool Adopt(const cluster::Topology& topology);

  // Some primary that owns slots, in turn; nullptr when there is none.
  UpstreamNode* AnyPrimary();
  std::vector<UpstreamNode*> Primaries() const;
  // One slot of each primary that owns slots, in the order of their first slots.
  std::vector<uint16_t> SlotOfEachPrimary() const;
  // How many slots have an owner.
  int SlotsServed() const;
  // All nodes of the last map, replicas included, by address.
  std::vector<UpstreamNode*> Nodes() const;
  // Closes connections that nobody needs, and forgets nodes that have left.
  void Sweep(int64_t now_ns);
  // Those that have a primary; it may have lost its last slot since the map was read.
  template <class F>
  void ForEachShard(F&& f) const {
    for (const ShardRoute& shard : shards_) {
      if (shard.primary != nullptr) f(shard);
    }
  }
  template <class F>
  void ForEachNode(F&& f) {
    for (auto& [address, node] : nodes_) f(*node);
  }
  // Some node is retired, or has connections that come and go.
  bool NeedsSweep() const;
  size_t node_count() const { return nodes_.size(); }
  void CheckInvariants() const;

 private:
  uint16_t ShardFor(UpstreamNode* primary);
  void SetOwner(uint16_t slot, uint16_t shard);
  bool MayServeReads(const cluster::Topology& topology, const cluster::Shard& shard,
                     uint16_t replica) const;
  void NoteLostPrimaries(const std::vector<ShardRoute>& before);

  Resources& resources_;
  UpstreamObserver& observer_;
  NameResolver& resolver_;
  uint32_t epoch_ = 1;
  size_t next_primary_ = 0;
  std::vector<ShardRoute> shards_;
  std::array<uint16_t, cluster::kSlotCount> shard_of_slot_ = {};
  std::array<uint32_t, cluster::kSlotCount> changed_epoch_ = {};
  // Not a hash map: while ForEachNode runs, a connection that fails may make us look at nodes that
  // are new.
  std::map<std::string, std::unique_ptr<UpstreamNode>> nodes_;
};

}  // namespace rcproxy::proxy
