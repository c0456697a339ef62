#include "testing/simulator_chaos.h"

#include <optional>
#include <utility>

#include "cluster/hash_slot.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

// Far less than a run lasts, so that most of what begins in it ends in it, too.
constexpr int64_t kTakeOverMaxNs = 150 * kMillisecond;
constexpr int64_t kReturnMaxNs = 400 * kMillisecond;
constexpr int64_t kPauseMaxNs = 300 * kMillisecond;
constexpr int64_t kRefusalMaxNs = 200 * kMillisecond;
constexpr int64_t kLieMaxNs = 300 * kMillisecond;
constexpr int64_t kMigrationStepMaxNs = 10 * kMillisecond;
constexpr uint64_t kMovesMax = 2;  // Of all nodes at once: nothing else would be left to see.
constexpr int64_t kWarningMaxNs = 2 * kMillisecond;

}  // namespace

SimulatorChaos::SimulatorChaos(const ChaosPlan& plan, std::vector<uint16_t> slots, SimWorld& world)
    : plan_(plan),
      slots_(std::move(slots)),
      world_(world),
      random_(world.schedule().random().Next()) {
  const auto add = [this](bool is_wanted, int weight, Kind kind) {
    if (is_wanted) kinds_.insert(kinds_.end(), weight, kind);
  };
  add(plan.failovers, 3, &SimulatorChaos::StopNode);
  add(plan.failovers, 2, &SimulatorChaos::Failover);
  add(plan.new_addresses, 1, &SimulatorChaos::MoveAll);
  add(plan.migrations, 3, &SimulatorChaos::StartMigration);
  add(plan.broken_nodes, 2, &SimulatorChaos::BreakNode);
  add(plan.paused_nodes, 1, &SimulatorChaos::PauseForAWhile);
  add(plan.partitions, 1, &SimulatorChaos::CutOffForAWhile);
  add(plan.lying_nodes, 1, &SimulatorChaos::LieForAWhile);
  add(plan.refusing_nodes, 1, &SimulatorChaos::IsolateForAWhile);
  add(plan.refusing_nodes, 1, &SimulatorChaos::RefuseForAWhile);
  if (!kinds_.empty()) next_ns_ = world.now_ns() + random_.Between(1, plan.pause_max_ns);
}

void SimulatorChaos::Note(const std::string& kind, const std::string& what) {
  ++happenings_[kind];
  history_ += Concat("  ", world_.now_ns() / kMicrosecond, " us: ", kind, " ", what, "\n");
}

void SimulatorChaos::Fault(const std::string& kind, const std::string& what) {
  ++faults_;
  Note(kind, what);
}

bool SimulatorChaos::Step() {
  if (world_.now_ns() < next_ns_) return false;
  next_ns_ = world_.now_ns() + random_.Between(1, plan_.pause_max_ns);
  const Kind kind = kinds_[random_.Below(kinds_.size())];
  Later(kWarningMaxNs, [this, kind] { (this->*kind)(); });
  return true;
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
  Fault(vanishes ? "vanish" : "kill", node.name());
  vanishes ? node.Vanish() : node.Kill();
  Later(kTakeOverMaxNs, [this, &node] { TakeOverFrom(node); });
  Later(kReturnMaxNs, [this, &node] {
    if (!node.member().alive) ComeBack(node);
  });
}

void SimulatorChaos::ComeBack(FakeNode& node) {
  FakeCluster& cluster = world_.cluster();
  if (plan_.new_addresses && random_.OneIn(2)) {
    if (&cluster.primary(node.member().shard) != &node && random_.OneIn(2)) {
      cluster.Replace(node);
      Note("replaced", Concat(node.name(), ": ", node.Address()));
    } else {
      cluster.MoveToNewAddress(node);
      Note("moved", Concat(node.name(), ": ", node.Address()));
    }
  }
  Note("restart", node.name());
  cluster.Restart(node);
}

// As when all containers are made anew. Nobody knows any address, unless it asks for the name.
void SimulatorChaos::MoveAll() {
  if (happenings_["move all"] == kMovesMax) return;
  FakeCluster& cluster = world_.cluster();
  Fault("move all", "");
  for (FakeNode* node : cluster.nodes()) {
    if (node->member().alive) node->Kill();
    cluster.MoveToNewAddress(*node);
    Later(kReturnMaxNs / 4, [this, node] {
      if (node->member().alive) return;
      Note("restart", node->name());
      world_.cluster().Restart(*node);
    });
  }
}

void SimulatorChaos::TakeOverFrom(FakeNode& node) {
  FakeCluster& cluster = world_.cluster();
  const int shard = node.member().shard;
  const std::vector<FakeNode*> replicas = cluster.LiveReplicas(shard);
  if (&cluster.primary(shard) != &node || replicas.empty() || cluster.ShardInMigration(shard)) {
    return;
  }
  Note("takeover", Concat("from ", node.name(), ": ", replicas[0]->name()));
  cluster.Failover(*replicas[0]);
}

void SimulatorChaos::Failover() {
  FakeCluster& cluster = world_.cluster();
  const int shard = static_cast<int>(random_.Below(cluster.shards()));
  const std::vector<FakeNode*> replicas = cluster.LiveReplicas(shard);
  if (replicas.empty() || cluster.ShardInMigration(shard)) return;
  Fault("failover", Concat("to ", replicas[0]->name()));
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
  Fault("migrate", Concat(slot, " to ", to->name()));
  cluster.StartMigration(slot, *to);
  GoOnWithMigration(slot);
}

void SimulatorChaos::GoOnWithMigration(uint16_t slot) {
  Later(kMigrationStepMaxNs, [this, slot] {
    FakeCluster& cluster = world_.cluster();
    if (!cluster.InMigration(slot)) return;
    FakeNode& from = cluster.primary(cluster.ShardOfSlot(slot));
    for (const auto& [key, value] : from.store().values()) {
      if (cluster::HashSlot(key) != slot) continue;
      cluster.MoveKey(std::string(key));
      return GoOnWithMigration(slot);
    }
    if (random_.OneIn(2)) return GoOnWithMigration(slot);
    Note("migrated", Concat(slot));
    cluster.FinishMigration(slot);
  });
}

void SimulatorChaos::BreakNode() {
  FakeNode& node = AnyNode();
  switch (random_.Below(3)) {
    case 0:
      Fault("reset", node.name());
      return node.ResetConnections();
    case 1:
      Fault("lose the next reply", node.name());
      return node.LoseNextReply();
    default:
      Fault("garbage", node.name());
      node.SetGarbage(true);
      return Later(kMillisecond, [&node] { node.SetGarbage(false); });
  }
}

void SimulatorChaos::PauseForAWhile() {
  FakeNode& node = AnyNode();
  Fault("pause", node.name());
  node.SetPaused(true);
  Later(kPauseMaxNs, [this, &node] {
    Note("resume", node.name());
    node.SetPaused(false);
  });
}

void SimulatorChaos::CutOffForAWhile() {
  std::vector<FakeNode*> cut_off;
  for (FakeNode* node : world_.cluster().nodes()) {
    if (node->member().alive && random_.OneIn(2)) cut_off.push_back(node);
  }
  std::string names;
  for (FakeNode* node : cut_off) {
    names += node->name() + " ";
    node->SetUnreachable(true);
  }
  Fault("partition", names);
  Later(kPauseMaxNs, [this, cut_off] {
    Note("partition ends", "");
    for (FakeNode* node : cut_off) node->SetUnreachable(false);
  });
}

void SimulatorChaos::RefuseForAWhile() {
  FakeNode& node = AnyNode();
  const bool loading = random_.OneIn(2);
  Fault(loading ? "loading" : "cluster down", node.name());
  loading ? node.SetLoading(true) : node.SetClusterDown(true);
  Later(kRefusalMaxNs, [&node] {
    node.SetLoading(false);
    node.SetClusterDown(false);
  });
}

// A primary that is cut off loses its slots to a replica, if it has one, as it would in a real
// cluster.
void SimulatorChaos::IsolateForAWhile() {
  FakeNode& node = AnyNode();
  if (node.isolated() || !node.member().alive) return;
  Fault("isolate", node.name());
  node.SetIsolated(true);
  Later(kTakeOverMaxNs, [this, &node] {
    if (node.isolated()) TakeOverFrom(node);
  });
  Later(kReturnMaxNs, [this, &node] {
    if (!node.isolated()) return;
    Note("rejoin", node.name());
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
  Fault("lie", node.name());
  node.SetLie(std::move(lie));
  Later(kLieMaxNs, [&node] { node.SetLie(std::nullopt); });
}

void SimulatorChaos::Heal() {
  healed_ = true;
  FakeCluster& cluster = world_.cluster();
  for (FakeNode* node : cluster.nodes()) {
    if (!node->member().alive) cluster.Restart(*node);
    node->SetUnreachable(false);
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
