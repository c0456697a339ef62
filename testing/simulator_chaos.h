// Does to a fake cluster what goes wrong in real ones, at random, and puts it right at the end.
//
// Owner: Simulator. Thread: one.
// Invariant: a shard always has a primary that is alive or can be restarted with all acknowledged
// data, so that no write may be lost.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "testing/sim_world.h"

namespace rcproxy::sim {

// How often each kind of thing happened.
using Happenings = std::map<std::string, uint64_t>;

struct ChaosPlan {
  int64_t pause_max_ns = 50 * kMillisecond;  // Between two faults.
  bool failovers = true;
  bool new_addresses = false;  // Of nodes that come back, or come in the place of others.
  bool migrations = true;
  bool broken_nodes = true;  // Connections reset, replies lost, bytes that are no replies.
  bool paused_nodes = true;
  bool partitions = true;       // Between the subject and some nodes.
  bool refusing_nodes = false;  // LOADING and CLUSTERDOWN come and go; nodes are cut off.
  bool lying_nodes = true;      // Tell of a cluster that there is not.
};

class SimulatorChaos {
 public:
  // `slots`: those worth migrating.
  SimulatorChaos(const ChaosPlan& plan, std::vector<uint16_t> slots, SimWorld& world);

  int64_t next_ns() const { return next_ns_; }
  // Draws the next fault when it is time. Returns whether one will come in a moment: whoever acts
  // now is in the midst of it.
  bool Step();
  // Ends all faults; the cluster agrees with itself from now on.
  void Heal();
  uint64_t faults() const { return faults_; }
  const Happenings& happenings() const { return happenings_; }
  // What happened, for the reader of a failed run.
  const std::string& history() const { return history_; }

 private:
  using Kind = void (SimulatorChaos::*)();

  // `kind`: for the counts. `what`: to whom.
  void Note(const std::string& kind, const std::string& what);
  // Something that goes wrong, or changes, other than the end of such a thing.
  void Fault(const std::string& kind, const std::string& what);
  void StopNode();
  void ComeBack(FakeNode& node);
  void MoveAll();
  void Failover();
  void StartMigration();
  void GoOnWithMigration(uint16_t slot);
  void BreakNode();
  void RefuseForAWhile();
  void PauseForAWhile();
  void CutOffForAWhile();
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
  std::vector<Kind> kinds_;  // Those of the plan; the more usual ones several times.
  int64_t next_ns_ = SimSchedule::kNever;
  bool healed_ = false;
  uint64_t faults_ = 0;
  Happenings happenings_;
  std::string history_;
};

}  // namespace rcproxy::sim
