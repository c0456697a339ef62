// How long it takes after the end of all faults until each shard is served again.
//
// A client for each shard writes a key of it: again at once when the answer is an error, until it
// is none. So something waits for each shard all the time.
//
// Owner: Simulator. Thread: one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/sim_network.h"
#include "testing/sim_world.h"

namespace rcproxy::sim {

class SimulatorHealth {
 public:
  explicit SimulatorHealth(SimWorld& world) : world_(world) {}

  // All nodes are up and know the truth since now.
  void Begin();
  // Takes answers, and asks again where they are errors. Returns "" or what is wrong.
  std::string Step();
  bool all_served() const;  // False before Begin.
  // Requires: all_served.
  int64_t slowest_ns() const;
  // Which shard that was, and what it was told before.
  std::string slowest() const;
  void Leave();

 private:
  struct Probe {
    int shard;
    std::string key;
    SimPeer* peer = nullptr;
    int64_t served_after_ns = -1;  // Negative: not yet.
    std::string errors;
  };

  void Ask(Probe& probe);
  std::string KeyOf(int shard);
  const Probe& Slowest() const;

  SimWorld& world_;
  std::vector<Probe> probes_;
  int64_t began_ns_ = 0;
  uint64_t asked_ = 0;
};

}  // namespace rcproxy::sim
