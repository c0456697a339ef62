// Does to a fake cluster what goes wrong in real ones, at random, and puts it right at the end.
//
// Owner: Simulator. Thread: one.
// Invariant: a shard always has a primary that is alive or can be restarted with all acknowledged
// data, so that no write may be lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/sim_world.h"

namespace rcproxy::sim {

struct ChaosPlan {
  int64_t pause_max_ns = 50 * kMillisecond;  // Between two faults.
  bool failovers = true;
  bool migrations = true;
  bool broken_nodes = true;  // Connections reset, replies lost, bytes that are no replies.
  bool paused_nodes = true;
  bool refusing_nodes = false;  // LOADING and CLUSTERDOWN come and go; nodes are cut off.
  bool lying_nodes = true;      // Tell of a cluster that there is not.
};

class SimulatorChaos {
 public:
  // `slots`: those worth migrating.
  SimulatorChaos(const ChaosPlan& plan, std::vector<uint16_t> slots, SimWorld& world);

  int64_t next_ns() const { return next_ns_; }
  void Step();
  // Ends all faults; the cluster agrees with itself from now on.
  void Heal();
  uint64_t faults() const { return faults_; }
  // What happened, for the reader of a failed run.
  const std::string& history() const { return history_; }

 private:
  void Note(const std::string& what);
  void StopNode();
  void Failover();
  void StartMigration();
  void GoOnWithMigration(uint16_t slot);
  void BreakNode();
  void RefuseForAWhile();
  void PauseForAWhile();
  void LieForAWhile();
  void IsolateForAWhile();
  void TakeOverFrom(FakeNode& node);
  FakeNode& AnyNode();
  FakeNode* AnyPrimary();
  // Restarts, resumes ... `node` after a while.
  void Later(int64_t max_ns, std::function<void()> action);

  const ChaosPlan plan_;
  const std::vector<uint16_t> slots_;
  SimWorld& world_;
  SimRandom random_;
  int64_t next_ns_;
  bool healed_ = false;
  uint64_t faults_ = 0;
  std::string history_;
};

}  // namespace rcproxy::sim
