#include "testing/simulator_chaos.h"

#include <optional>
#include <utility>

#include "cluster/hash_slot.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {

SimulatorChaos::SimulatorChaos(const ChaosPlan& plan, std::vector<uint16_t> slots, SimWorld& world)
    : plan_(plan),
      slots_(std::move(slots)),
      world_(world),
      random_(world.schedule().random().Next()),
      next_ns_(world.now_ns() + random_.Between(1, plan.pause_max_ns)) {}

void SimulatorChaos::Note(const std::string& what) {
  ++faults_;
  history_ += Concat("  ", world_.now_ns() / kMicrosecond, " us: ", what, "\n");
}

void SimulatorChaos::Step() {
  if (world_.now_ns() < next_ns_) return;
  next_ns_ = world_.now_ns() + random_.Between(1, plan_.pause_max_ns);
  switch (random_.Below(10)) {
    case 0:
      return plan_.failovers ? StopNode() : void();
    case 1:
      return plan_.failovers ? Failover() : void();
    case 2:
    case 3:
    case 4:
      return plan_.migrations ? StartMigration() : void();
    case 5:
      return plan_.broken_nodes ? BreakNode() : void();
    case 6:
      return plan_.paused_nodes ? PauseForAWhile() : void();
    case 7:
      return plan_.lying_nodes ? LieForAWhile() : void();
    case 8:
      return plan_.refusing_nodes ? IsolateForAWhile() : void();
    default:
      return plan_.refusing_nodes ? RefuseForAWhile() : void();
  }
}

FakeNode& SimulatorChaos::AnyNode() {
  const std::vector<FakeNode*> nodes = world_.cluster().nodes();
  return *nodes[random_.Below(nodes.size())];
}

FakeNode* SimulatorChaos::AnyPrimary() {
  FakeNode& node = world_.cluster().primary(random_.Below(world_.cluster().shards()));
  return node.member().alive ? &node : nullptr;
}

void SimulatorChaos::Later(int64_t max_ns, std::function<void()> action) {
  world_.schedule().After(random_.Between(1, max_ns), [this, action = std::move(action)] {
    if (!healed_) action();
  });
}

void SimulatorChaos::StopNode() {
  FakeNode& node = AnyNode();
  if (!node.member().alive) return;
  const bool vanishes = random_.OneIn(3);
  Note(Concat(vanishes ? "vanish " : "kill ", node.name()));
  vanishes ? node.Vanish() : node.Kill();
  Later(300 * kMillisecond, [this, &node] { TakeOverFrom(node); });
  Later(800 * kMillisecond, [this, &node] {
    if (node.member().alive) return;
    Note(Concat("restart ", node.name()));
    world_.cluster().Restart(node);
  });
}

void SimulatorChaos::TakeOverFrom(FakeNode& node) {
  FakeCluster& cluster = world_.cluster();
  const int shard = node.member().shard;
  const std::vector<FakeNode*> replicas = cluster.LiveReplicas(shard);
  if (&cluster.primary(shard) != &node || replicas.empty() || cluster.ShardInMigration(shard)) {
    return;
  }
  Note(Concat("take over from ", node.name(), ": ", replicas[0]->name()));
  cluster.Failover(*replicas[0]);
}

void SimulatorChaos::Failover() {
  FakeCluster& cluster = world_.cluster();
  const int shard = static_cast<int>(random_.Below(cluster.shards()));
  const std::vector<FakeNode*> replicas = cluster.LiveReplicas(shard);
  if (replicas.empty() || cluster.ShardInMigration(shard)) return;
  Note(Concat("failover to ", replicas[0]->name()));
  cluster.Failover(*replicas[0]);
}

void SimulatorChaos::StartMigration() {
  FakeCluster& cluster = world_.cluster();
  const uint16_t slot = slots_[random_.Below(slots_.size())];
  FakeNode* to = AnyPrimary();
  const int from = cluster.ShardOfSlot(slot);
  if (to == nullptr || cluster.InMigration(slot) || to->member().shard == from ||
      !cluster.primary(from).member().alive) {
    return;
  }
  Note(Concat("migrate ", slot, " to ", to->name()));
  cluster.StartMigration(slot, *to);
  GoOnWithMigration(slot);
}

void SimulatorChaos::GoOnWithMigration(uint16_t slot) {
  Later(10 * kMillisecond, [this, slot] {
    FakeCluster& cluster = world_.cluster();
    if (!cluster.InMigration(slot)) return;
    FakeNode& from = cluster.primary(cluster.ShardOfSlot(slot));
    for (const auto& [key, value] : from.store().values()) {
      if (cluster::HashSlot(key) != slot) continue;
      cluster.MoveKey(std::string(key));
      return GoOnWithMigration(slot);
    }
    if (random_.OneIn(2)) return GoOnWithMigration(slot);
    Note(Concat("migrated ", slot));
    cluster.FinishMigration(slot);
  });
}

void SimulatorChaos::BreakNode() {
  FakeNode& node = AnyNode();
  switch (random_.Below(3)) {
    case 0:
      Note(Concat("reset the connections of ", node.name()));
      return node.ResetConnections();
    case 1:
      Note(Concat("lose the next reply of ", node.name()));
      return node.LoseNextReply();
    default:
      Note(Concat("garbage from ", node.name()));
      node.SetGarbage(true);
      return Later(kMillisecond, [&node] { node.SetGarbage(false); });
  }
}

void SimulatorChaos::PauseForAWhile() {
  FakeNode& node = AnyNode();
  Note(Concat("pause ", node.name()));
  node.SetPaused(true);
  Later(600 * kMillisecond, [this, &node] {
    Note(Concat("resume ", node.name()));
    node.SetPaused(false);
  });
}

void SimulatorChaos::RefuseForAWhile() {
  FakeNode& node = AnyNode();
  const bool loading = random_.OneIn(2);
  Note(Concat(loading ? "loading " : "cluster down ", node.name()));
  loading ? node.SetLoading(true) : node.SetClusterDown(true);
  Later(200 * kMillisecond, [&node] {
    node.SetLoading(false);
    node.SetClusterDown(false);
  });
}

// A primary that is cut off loses its slots to a replica, if it has one, as it would in a real
// cluster.
void SimulatorChaos::IsolateForAWhile() {
  FakeNode& node = AnyNode();
  if (node.isolated() || !node.member().alive) return;
  Note(Concat("isolate ", node.name()));
  node.SetIsolated(true);
  Later(300 * kMillisecond, [this, &node] {
    if (node.isolated()) TakeOverFrom(node);
  });
  Later(800 * kMillisecond, [this, &node] {
    if (!node.isolated()) return;
    Note(Concat("rejoin ", node.name()));
    world_.cluster().Rejoin(node);
  });
}

namespace {

// Slots of other shards than `shard` change hands, by the newest of epochs. A node that claimed
// them for itself would get them in a real cluster, too.
ClusterView SlotsOfOthersMixedUp(ClusterView view, int shard) {
  const int shards = static_cast<int>(view.primary_of_shard.size());
  for (int16_t& owner : view.shard_of_slot) {
    do {
      owner = static_cast<int16_t>((owner + 1) % shards);
    } while (owner == shard);
  }
  view.epoch_of_shard.assign(shards, 1'000'000);
  return view;
}

}  // namespace

void SimulatorChaos::LieForAWhile() {
  FakeNode& node = AnyNode();
  ClusterView lie = node.view();  // What was true a while ago.
  switch (random_.Below(3)) {
    case 0:
      break;
    case 1:
      lie = SlotsOfOthersMixedUp(std::move(lie), node.member().shard);
      break;
    default:
      lie.shard_of_slot.fill(ClusterView::kNoShard);
  }
  Note(Concat("lies of ", node.name()));
  node.SetLie(std::move(lie));
  Later(500 * kMillisecond, [&node] { node.SetLie(std::nullopt); });
}

void SimulatorChaos::Heal() {
  healed_ = true;
  FakeCluster& cluster = world_.cluster();
  for (FakeNode* node : cluster.nodes()) {
    if (!node->member().alive) cluster.Restart(*node);
    if (node->isolated()) cluster.Rejoin(*node);
    node->SetLie(std::nullopt);
    node->SetGarbage(false);
    node->LoseNextReply(false);
    node->SetLoading(false);
    node->SetClusterDown(false);
    node->SetPaused(false);
  }
  for (uint16_t slot : slots_) {
    if (cluster.InMigration(slot)) cluster.FinishMigration(slot);
  }
  cluster.SettleGossip();
  SimLink healthy;
  world_.network().SetAllLinks(healthy);
  cluster.set_lost_reply_one_in(0);
}

}  // namespace rcproxy::sim
