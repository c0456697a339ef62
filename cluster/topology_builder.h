// Collects nodes and shards while a picture of the cluster is put together; makes addresses unique
// and chooses primaries. For the parsers of what nodes say, and for Agree.
//
// Owner: a stack frame. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cluster/topology.h"

namespace rcproxy::cluster {

class TopologyBuilder {
 public:
  static constexpr size_t kNodesMax = 20000;  // A cluster may have 16,384 primaries; seen: 1,000.

  // Returns the index of a new shard.
  uint16_t AddShard();
  // A node of `shard` that says it is a primary or a replica. The first mention of an address
  // counts: no node has two roles.
  void AddNode(uint16_t shard, Node node);
  bool HasNode(const NodeAddress& address) const {
    return index_of_.contains({address.host, address.port});
  }
  // Requires: 0 <= first <= last < kSlotCount.
  void AddRange(int first, int last, uint16_t shard);
  // More than a cluster can have: not worth the memory and time, and indexes have 16 bits.
  bool IsFull() const;
  Topology Build() &&;

 private:
  bool IsBetterPrimary(const Node& a, const Node& b) const;
  void ChoosePrimary(const std::vector<uint16_t>& claims, Shard* shard);
  void SortReplicas(Shard* shard);

  std::vector<Node> nodes_;
  std::vector<Shard> shards_;
  std::vector<std::vector<uint16_t>> claims_;  // Of each shard: who says it is the primary.
  std::vector<Topology::Range> ranges_;
  int slots_named_ = 0;
  std::map<std::pair<std::string, uint16_t>, uint16_t> index_of_;
};

}  // namespace rcproxy::cluster
