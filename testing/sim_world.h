// Everything that takes part in a simulation: time, network, cluster, and the system under test in
// the middle.
//
//   SimPeer (client) <─ network ─> SimIo | system under test | SimIo <─ network ─> FakeCluster
//
// Owner: a scenario, or the simulator. Thread: one.
// Invariant: time passes only in Run...().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "testing/fake_cluster.h"
#include "testing/sim_io.h"
#include "testing/sim_network.h"
#include "testing/sim_schedule.h"
#include "testing/sim_subject.h"

namespace rcproxy::sim {

class SimWorld {
 public:
  SimWorld(uint64_t seed, SubjectFactory factory);
  // Stops the subject when the test did not.
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  SimSchedule& schedule() { return schedule_; }
  SimNetwork& network() { return network_; }
  FakeCluster& cluster() { return cluster_; }
  int64_t now_ns() const { return schedule_.now_ns(); }

  // Before StartSubject.
  SimIoOptions& io_options() { return io_options_; }
  SubjectOptions& subject_options() { return subject_options_; }
  // All nodes are startup nodes unless some were named; a name is that of any node. Returns false
  // when the subject did not understand its settings.
  bool StartSubject();
  bool started() const { return subject_ != nullptr; }
  SystemUnderTest& subject() { return *subject_; }
  SimIo& io() { return *io_; }

  // Requires: started.
  SimPeer* NewClient();

  void RunFor(int64_t duration_ns);
  // Runs until `condition` holds between two turns; returns whether it came to that in time.
  bool RunUntil(const std::function<bool()>& condition, int64_t timeout_ns);

  // Clients must be gone. Returns what the subject has lost or kept: "" when all is well.
  std::string FindLeaks();
  // Stops and destroys the subject. Returns what is left of it: "" when nothing is.
  std::string StopSubject();

 private:
  void Turn();

  SimSchedule schedule_;
  SimNetwork network_{schedule_};
  FakeCluster cluster_{network_};
  SubjectFactory factory_;
  SimIoOptions io_options_;
  SubjectOptions subject_options_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<SystemUnderTest> subject_;
  uint64_t turns_ = 0;
};

}  // namespace rcproxy::sim
