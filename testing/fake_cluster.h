// A whole fake Redis Cluster: nodes in shards, their replication, and the operations that change
// it: failover, slot migration, news that travel slowly.
//
// Owner: the test, after the network. Thread: one.
// Invariants: 1. without replication lag, a replica equals its primary between commands, so a
// failover loses nothing that was acknowledged; 2. each key is on one shard at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/fake_node.h"
#include "testing/sim_network.h"

namespace rcproxy::sim {

class FakeCluster {
 public:
  explicit FakeCluster(SimNetwork& network) : shared_(network) {}
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  // A new shard with this primary, without slots.
  FakeNode& AddPrimary(const std::string& name);
  FakeNode& AddReplica(const std::string& name, FakeNode& primary);
  // All nodes know at once.
  void AssignSlots(int first, int last, FakeNode& primary);

  // How long it takes until the nodes that are not concerned hear of a change; 0 = at once.
  void set_gossip_max_ns(int64_t gossip_max_ns) { gossip_max_ns_ = gossip_max_ns; }
  // How far replicas are behind; 0 = not at all.
  void set_replication_lag_ns(int64_t lag_ns) { replication_lag_ns_ = lag_ns; }
  void set_databases(int databases) { shared_.databases = databases; }
  void set_password(std::string password) { shared_.password = std::move(password); }
  // Once in so many, a command is executed but its connection dies before the reply.
  void set_lost_reply_one_in(uint64_t one_in) { shared_.lost_reply_one_in = one_in; }

  FakeNode& node(std::string_view name);
  std::vector<FakeNode*> nodes();
  size_t shards() const { return truth_.primary_of_shard.size(); }
  FakeNode& primary(int shard);
  // Replicas of the shard that live, and are not isolated.
  std::vector<FakeNode*> LiveReplicas(int shard);
  int ShardOfSlot(uint16_t slot) const { return truth_.shard_of_slot[slot]; }
  const ClusterView& truth() const { return truth_; }
  // Where a key is served, by the truth.
  FakeNode& OwnerOf(std::string_view key);

  // `replica` takes over. The old primary becomes a replica, at once if it lives, else when it
  // comes back. Requires: no slot of the shard in migration.
  void Failover(FakeNode& replica);
  // After FakeNode::Kill: the process is back, and has the data of the shard's primary.
  void Restart(FakeNode& node);
  // After FakeNode::Kill or Vanish, before Restart: its address is a new one, and everybody knows.
  void MoveToNewAddress(FakeNode& node);
  // The same, and another node comes in its place. Requires: a replica.
  void Replace(FakeNode& node);
  // After FakeNode::SetIsolated: it hears what it has missed.
  void Rejoin(FakeNode& node);

  void StartMigration(uint16_t slot, FakeNode& to);
  // `stored`: see StoredKey.
  void MoveKey(const std::string& stored);
  // Moves what is left and gives the slot to its new owner. Others hear of it by gossip.
  void FinishMigration(uint16_t slot);
  bool InMigration(uint16_t slot) const { return migrations_.count(slot) != 0; }
  bool ShardInMigration(int shard);

  // Lets every node know the truth now.
  void SettleGossip();

  const ExecutionLog& log() const { return shared_.log; }
  void ClearLog() { shared_.log.clear(); }
  // "ip:port" of some node that lives, drawn at random; "" when none does.
  std::string AnyAddress();
  // "ip:port" of each node, for the proxy's configuration.
  std::vector<std::string> Addresses() const;

 private:
  struct Migration {
    FakeNode* from;
    FakeNode* to;
  };

  FakeNode& AddNode(const std::string& name, int shard);
  std::string NewId();
  FakeNode& NodeOf(const FakeMember& member);
  void Replicate(FakeNode& from, const std::string& key, const std::optional<std::string>& value);
  static void Resynchronize(FakeNode& replica, FakeNode& primary);
  void Tell(FakeNode& node) {
    if (!node.isolated()) node.view() = truth_;
  }
  // What the shard has from now on is newer than all that was before.
  void BumpEpoch(int shard) { truth_.epoch_of_shard[shard] = ++epoch_; }
  // Tells `concerned` now and the rest by and by.
  void Gossip(const std::vector<FakeNode*>& concerned);

  FakeNode::Shared shared_;
  std::vector<std::unique_ptr<FakeNode>> nodes_;
  ClusterView truth_;
  uint64_t epoch_ = 0;
  uint64_t ids_ = 0;
  uint64_t moves_ = 0;
  std::map<uint16_t, Migration> migrations_;
  int64_t gossip_max_ns_ = 0;
  int64_t replication_lag_ns_ = 0;
};

}  // namespace rcproxy::sim
