#include "cluster/topology_builder.h"

#include <algorithm>
#include <string_view>

namespace rcproxy::cluster {

namespace {

constexpr int kSlotsNamedMax = 4 * kSlotCount;  // A slot may be named twice, by a confused node.

}  // namespace

uint16_t TopologyBuilder::AddShard() {
  shards_.emplace_back();
  claims_.emplace_back();
  return static_cast<uint16_t>(shards_.size() - 1);
}

void TopologyBuilder::AddNode(uint16_t shard, Node node) {
  const auto [known, is_new] = index_of_.try_emplace({node.address.host, node.address.port},
                                                     static_cast<uint16_t>(nodes_.size()));
  if (!is_new) return;
  auto& list = node.is_primary ? claims_[shard] : shards_[shard].replicas;
  list.push_back(known->second);
  nodes_.push_back(std::move(node));
}

void TopologyBuilder::AddRange(int first, int last, uint16_t shard) {
  slots_named_ += last - first + 1;
  ranges_.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(last), shard});
}

bool TopologyBuilder::IsFull() const {
  return nodes_.size() >= kNodesMax || shards_.size() >= kNodesMax || slots_named_ > kSlotsNamedMax;
}

Topology TopologyBuilder::Build() && {
  for (size_t i = 0; i < shards_.size(); ++i) {
    ChoosePrimary(claims_[i], &shards_[i]);
    SortReplicas(&shards_[i]);
  }
  return Topology(std::move(nodes_), std::move(shards_), ranges_);
}

// Online before offline, then by offset; the first of equals.
bool TopologyBuilder::IsBetterPrimary(const Node& a, const Node& b) const {
  if (a.is_online != b.is_online) return a.is_online;
  return a.replication_offset > b.replication_offset;
}

void TopologyBuilder::ChoosePrimary(const std::vector<uint16_t>& claims, Shard* shard) {
  for (const uint16_t node : claims) {
    if (shard->primary == Shard::kNoNode || IsBetterPrimary(nodes_[node], nodes_[shard->primary])) {
      shard->primary = node;
    }
  }
  for (const uint16_t node : claims) nodes_[node].is_primary = node == shard->primary;
}

void TopologyBuilder::SortReplicas(Shard* shard) {
  std::sort(shard->replicas.begin(), shard->replicas.end(), [this](uint16_t a, uint16_t b) {
    const Node& left = nodes_[a];
    const Node& right = nodes_[b];
    if (left.is_online != right.is_online) return left.is_online;
    return std::pair(std::string_view(left.address.host), left.address.port) <
           std::pair(std::string_view(right.address.host), right.address.port);
  });
}

}  // namespace rcproxy::cluster
