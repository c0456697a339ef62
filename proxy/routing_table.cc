#include "proxy/routing_table.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace rcproxy::proxy {

namespace {

constexpr int64_t kOwnLinkIdleNs = 10'000'000'000;
constexpr int64_t kNewNs = 2'000'000'000;

}  // namespace

RoutingTable::RoutingTable(Resources& resources, UpstreamObserver& observer, NameResolver& resolver)
    : resources_(resources), observer_(observer), resolver_(resolver), shards_(1) {}

RoutingTable::~RoutingTable() = default;

UpstreamNode* RoutingTable::NodeAt(const cluster::NodeAddress& address) {
  std::unique_ptr<UpstreamNode>& node = nodes_[address.ToString()];
  if (node == nullptr) {
    node = std::make_unique<UpstreamNode>(resources_, observer_, resolver_, address);
    const bool has_map = shards_.size() > 1;
    if (has_map) node->set_new_until_ns(resources_.io.NowNs() + kNewNs);
  }
  node->set_retired(false);
  return node.get();
}

uint16_t RoutingTable::ShardFor(UpstreamNode* primary) {
  for (size_t i = 1; i < shards_.size(); ++i) {
    if (shards_[i].primary == primary) return i;
  }
  shards_.push_back({.primary = primary, .replicas = {}});
  return shards_.size() - 1;
}

void RoutingTable::SetOwner(uint16_t slot, uint16_t shard) {
  shard_of_slot_[slot] = shard;
  changed_epoch_[slot] = epoch_;
}

void RoutingTable::NoteMoved(uint16_t slot, UpstreamNode* node) {
  if (Find(slot).primary == node) return;
  ++epoch_;
  SetOwner(slot, ShardFor(node));
}

bool RoutingTable::MayServeReads(const cluster::Topology& topology, const cluster::Shard& shard,
                                 uint16_t replica) const {
  const cluster::Node& node = topology.nodes()[replica];
  if (!node.is_online) return false;
  const auto lag_max = static_cast<int64_t>(resources_.config.replica_lag_bytes_max);
  if (lag_max == 0 || shard.primary == cluster::Shard::kNoNode) return true;
  return topology.nodes()[shard.primary].replication_offset - node.replication_offset <= lag_max;
}

bool RoutingTable::Adopt(const cluster::Topology& topology) {
  ++epoch_;
  ForEachNode([](UpstreamNode& node) { node.set_retired(true); });
  std::vector<UpstreamNode*> nodes;
  for (const cluster::Node& node : topology.nodes()) {
    nodes.push_back(NodeAt(node.address));
    nodes.back()->set_in_zone(resources_.config.zones.IsOwn(node));
  }

  std::vector<ShardRoute> shards(1);
  for (const cluster::Shard& shard : topology.shards()) {
    ShardRoute route;
    if (shard.primary != cluster::Shard::kNoNode) route.primary = nodes[shard.primary];
    for (const uint16_t replica : shard.replicas) {
      if (MayServeReads(topology, shard, replica)) route.replicas.push_back(nodes[replica]);
    }
    shards.push_back(std::move(route));
  }
  // A primary without slots is a node of the map, but nobody to send a command to.
  const std::vector<bool> has_slots = topology.ShardsWithSlots();
  for (size_t i = 1; i < shards.size(); ++i) {
    if (!has_slots[i - 1]) shards[i].primary = nullptr;
  }
  bool changed = false;
  std::vector<ShardRoute> before = std::exchange(shards_, std::move(shards));
  NoteLostPrimaries(before);
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    const uint16_t shard = topology.ShardOfSlot(slot);
    const uint16_t route = shard == cluster::Topology::kNoShard ? 0 : shard + 1;
    const bool moved = before[shard_of_slot_[slot]].primary != shards_[route].primary;
    shard_of_slot_[slot] = route;
    if (moved) changed_epoch_[slot] = epoch_;
    changed |= moved;
  }
  return changed;
}

// One that is no primary any more may have lost what was written to it last.
void RoutingTable::NoteLostPrimaries(const std::vector<ShardRoute>& before) {
  for (const ShardRoute& shard : before) {
    if (shard.primary == nullptr) continue;
    const bool remains =
        std::ranges::find(shards_, shard.primary, &ShardRoute::primary) != shards_.end();
    if (!remains) resources_.writes.NoteLost(shard.primary->write_mark());
  }
}

UpstreamNode* RoutingTable::AnyPrimary() {
  UpstreamNode* full = nullptr;
  for (size_t tried = 0; tried < shards_.size(); ++tried) {
    next_primary_ = (next_primary_ + 1) % shards_.size();
    UpstreamNode* node = shards_[next_primary_].primary;
    if (node == nullptr || node->InBackoff()) continue;
    if (!node->is_full()) return node;
    full = node;
  }
  return full;
}

WaitingLoad RoutingTable::WaitingForPrimary(uint16_t index) const {
  const UpstreamNode* primary = shards_[index].primary;
  return primary == nullptr ? WaitingLoad() : primary->waiting();
}

std::vector<UpstreamNode*> RoutingTable::Primaries() const {
  std::vector<UpstreamNode*> primaries;
  for (const ShardRoute& shard : shards_) {
    if (shard.primary != nullptr) primaries.push_back(shard.primary);
  }
  return primaries;
}

std::vector<uint16_t> RoutingTable::SlotOfEachPrimary() const {
  std::vector<uint16_t> slots;
  std::vector<bool> seen(shards_.size(), false);
  seen[0] = true;
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    const uint16_t shard = shard_of_slot_[slot];
    if (seen[shard] || shards_[shard].primary == nullptr) continue;
    seen[shard] = true;
    slots.push_back(slot);
  }
  return slots;
}

int RoutingTable::SlotsServed() const {
  return static_cast<int>(std::ranges::count_if(
      shard_of_slot_, [this](uint16_t shard) { return shards_[shard].primary != nullptr; }));
}

std::vector<UpstreamNode*> RoutingTable::Nodes() const {
  std::vector<UpstreamNode*> nodes;
  for (const auto& [address, node] : nodes_) {
    if (!node->retired()) nodes.push_back(node.get());
  }
  return nodes;
}

void RoutingTable::Sweep(int64_t now_ns) {
  const Config& config = resources_.config;
  const int64_t idle_ns = config.backend_idle_timeout_s * 1'000'000'000;
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    UpstreamNode& node = *it->second;
    node.ForEachLink([&](UpstreamConnection& link) {
      if (link.HasRequests() || link.state() != UpstreamConnection::State::kReady) return;
      if (link.kind().is_subscription) return;  // PubSub knows when it is not needed.
      const bool surplus = config.backend_idle_connections == 0 && idle_ns > 0;
      const int64_t unused_ns = now_ns - link.last_used_ns();
      const bool few_need_it = link.kind().database != 0 && unused_ns > kOwnLinkIdleNs;
      const bool unused = !link.is_held() && ((surplus && unused_ns > idle_ns) || few_need_it);
      const bool tracks = link.kind().tracks_by != TracksBy::kNothing;  // Tracking knows, too.
      if (!node.retired() && (!unused || tracks)) return;
      // Whether the node restarts from now on will not be seen.
      if (!link.kind().is_own) resources_.writes.NoteLost(node.write_mark());
      link.CloseIdle();
    });
    node.SweepLinks(node.retired() ? now_ns : now_ns - kOwnLinkIdleNs);
    if (node.retired() && node.IsQuiet()) {
      it = nodes_.erase(it);
    } else {
      ++it;
    }
  }
}

bool RoutingTable::NeedsSweep() const {
  for (const auto& [address, node] : nodes_) {
    if (node->retired() || node->NeedsSweep()) return true;
  }
  return false;
}

void RoutingTable::CheckInvariants() const {
  CHECK(shards_[0].primary == nullptr);
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    CHECK_LT(shard_of_slot_[slot], shards_.size());
    CHECK_LE(changed_epoch_[slot], epoch_);
  }
}

}  // namespace rcproxy::proxy
