#include "testing/fake_cluster.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cluster/hash_slot.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr uint16_t kFirstPort = 7000;

}  // namespace

std::string FakeCluster::NewId() {
  const std::string digits = std::to_string(++ids_);
  return std::string(40 - digits.size(), '0') + digits;
}

FakeNode& FakeCluster::AddNode(const std::string& name, int shard) {
  FakeMember member;
  member.name = name;
  member.id = NewId();
  member.host = "127.0.0.1";
  member.port = static_cast<uint16_t>(kFirstPort + nodes_.size());
  member.shard = shard;
  nodes_.push_back(std::make_unique<FakeNode>(shared_, std::move(member)));
  FakeNode& node = *nodes_.back();
  shared_.members.push_back(&node.member());
  node.store().SetObserver(
      [this, &node](const std::string& key, const std::optional<std::string>& value) {
        node.TellOfChange(PlaceOfStored(key).key);
        Replicate(node, key, value);
      });
  return node;
}

FakeNode& FakeCluster::AddPrimary(const std::string& name) {
  FakeNode& node = AddNode(name, static_cast<int>(shards()));
  truth_.primary_of_shard.push_back(&node.member());
  truth_.epoch_of_shard.push_back(++epoch_);
  SettleGossip();
  return node;
}

FakeNode& FakeCluster::AddReplica(const std::string& name, FakeNode& primary) {
  FakeNode& node = AddNode(name, primary.member().shard);
  Resynchronize(node, primary);
  Tell(node);
  return node;
}

void FakeCluster::AssignSlots(int first, int last, FakeNode& primary) {
  for (int slot = first; slot <= last; ++slot) {
    truth_.shard_of_slot[slot] = static_cast<int16_t>(primary.member().shard);
  }
  SettleGossip();
}

FakeNode& FakeCluster::node(std::string_view name) {
  for (const auto& node : nodes_) {
    if (node->name() == name) return *node;
  }
  LOG(FATAL) << "no node " << name;
}

std::vector<FakeNode*> FakeCluster::nodes() {
  std::vector<FakeNode*> nodes;
  for (const auto& node : nodes_) nodes.push_back(node.get());
  return nodes;
}

FakeNode& FakeCluster::NodeOf(const FakeMember& member) {
  for (const auto& node : nodes_) {
    if (&node->member() == &member) return *node;
  }
  LOG(FATAL) << "no member " << member.name;
}

FakeNode& FakeCluster::primary(int shard) { return NodeOf(*truth_.primary_of_shard[shard]); }

std::vector<FakeNode*> FakeCluster::LiveReplicas(int shard) {
  std::vector<FakeNode*> replicas;
  for (const auto& node : nodes_) {
    const FakeMember& member = node->member();
    if (member.shard == shard && member.alive && !node->isolated() && !truth_.IsPrimary(member)) {
      replicas.push_back(node.get());
    }
  }
  return replicas;
}

FakeNode& FakeCluster::OwnerOf(std::string_view key) {
  const FakeMember* owner = truth_.OwnerOf(cluster::HashSlot(key));
  CHECK(owner != nullptr);
  return NodeOf(*owner);
}

void FakeCluster::Replicate(FakeNode& from, const std::string& key,
                            const std::optional<std::string>& value) {
  if (!truth_.IsPrimary(from.member())) return;
  const int64_t offset = from.stream_offset() + 1;
  from.set_stream_offset(offset);
  for (FakeNode* replica : LiveReplicas(from.member().shard)) {
    const auto apply = [replica, key, value, offset] {
      replica->store().Put(key, value);
      replica->set_stream_offset(std::max(replica->stream_offset(), offset));
    };
    if (replication_lag_ns_ == 0) {
      apply();
      continue;
    }
    shared_.network.schedule().After(replication_lag_ns_, [this, &from, apply] {
      // What had not arrived when the replica took over is lost.
      if (truth_.IsPrimary(from.member())) apply();
    });
  }
}

void FakeCluster::Resynchronize(FakeNode& replica, FakeNode& primary) {
  replica.store().CopyFrom(primary.store());
  replica.set_stream_offset(primary.stream_offset());
}

void FakeCluster::Failover(FakeNode& replica) {
  const int shard = replica.member().shard;
  CHECK(!ShardInMigration(shard));
  CHECK(replica.member().alive);
  FakeNode& old_primary = primary(shard);
  if (&old_primary == &replica) return;
  truth_.primary_of_shard[shard] = &replica.member();
  BumpEpoch(shard);
  // A primary that lives hands over: it serves nothing more from now on.
  Gossip({&replica, &old_primary});
  for (FakeNode* other : LiveReplicas(shard)) Resynchronize(*other, replica);
}

void FakeCluster::Restart(FakeNode& node) {
  FakeNode& shard_primary = primary(node.member().shard);
  if (&shard_primary != &node) Resynchronize(node, shard_primary);
  Tell(node);
  node.Restart();
}

void FakeCluster::MoveToNewAddress(FakeNode& node) {
  ++moves_;
  node.MoveTo(Concat("127.", moves_ / 256, ".", moves_ % 256, ".1"));
}

void FakeCluster::Replace(FakeNode& node) {
  CHECK(!truth_.IsPrimary(node.member()));
  MoveToNewAddress(node);
  node.TakeId(NewId());
}

void FakeCluster::Rejoin(FakeNode& node) {
  FakeNode& shard_primary = primary(node.member().shard);
  if (&shard_primary != &node) Resynchronize(node, shard_primary);
  node.SetIsolated(false);
  Tell(node);
}

void FakeCluster::StartMigration(uint16_t slot, FakeNode& to) {
  FakeNode& from = primary(ShardOfSlot(slot));
  CHECK(&from != &to && truth_.IsPrimary(to.member()) && !InMigration(slot));
  migrations_[slot] = {&from, &to};
  to.importing_from()[slot] = &from.member();
  from.migrating_to()[slot] = &to.member();
}

void FakeCluster::MoveKey(const std::string& stored) {
  const auto it = migrations_.find(cluster::HashSlot(PlaceOfStored(stored).key));
  CHECK(it != migrations_.end());
  const std::optional<std::string> value = it->second.from->store().Get(stored);
  if (!value.has_value()) return;
  it->second.to->store().Put(stored, value);
  it->second.from->store().Put(stored, std::nullopt);
}

void FakeCluster::FinishMigration(uint16_t slot) {
  const auto it = migrations_.find(slot);
  CHECK(it != migrations_.end());
  const Migration migration = it->second;
  const auto values = migration.from->store().values();
  for (const auto& [key, value] : values) {
    if (cluster::HashSlot(PlaceOfStored(key).key) == slot) MoveKey(key);
  }
  migrations_.erase(it);
  migration.from->migrating_to().erase(slot);
  migration.to->importing_from().erase(slot);
  truth_.shard_of_slot[slot] = static_cast<int16_t>(migration.to->member().shard);
  BumpEpoch(migration.to->member().shard);
  Gossip({migration.to, migration.from});
}

bool FakeCluster::ShardInMigration(int shard) {
  return std::any_of(migrations_.begin(), migrations_.end(), [shard](const auto& entry) {
    return entry.second.from->member().shard == shard || entry.second.to->member().shard == shard;
  });
}

void FakeCluster::Gossip(const std::vector<FakeNode*>& concerned) {
  SimSchedule& schedule = shared_.network.schedule();
  for (const auto& node : nodes_) {
    if (gossip_max_ns_ == 0 ||
        std::find(concerned.begin(), concerned.end(), node.get()) != concerned.end()) {
      Tell(*node);
      continue;
    }
    schedule.After(schedule.random().Between(0, gossip_max_ns_),
                   [this, node = node.get()] { Tell(*node); });
  }
}

void FakeCluster::SettleGossip() {
  for (const auto& node : nodes_) Tell(*node);
}

std::string FakeCluster::AnyAddress() {
  std::vector<std::string> addresses;
  for (const auto& node : nodes_) {
    if (node->member().alive) addresses.push_back(node->Address());
  }
  if (addresses.empty()) return "";
  return addresses[shared_.network.schedule().random().Below(addresses.size())];
}

std::vector<std::string> FakeCluster::Addresses() const {
  std::vector<std::string> addresses;
  for (const auto& node : nodes_) addresses.push_back(node->Address());
  return addresses;
}

}  // namespace rcproxy::sim
