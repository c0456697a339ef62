// How much happened in a sweep over many seeds, so that one that asks for little is seen to.
//
// Owner: the command line tool. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "testing/simulator.h"

namespace rcproxy::sim {

class SweepSummary {
 public:
  void Add(uint64_t seed, const SimulatorResult& result);
  std::string Text() const;

 private:
  // The worst of all seeds, and of how many each time is.
  struct Slowest {
    void Add(uint64_t seed, int64_t ns, const std::string& what);
    std::string Text() const;

    std::map<int64_t, uint64_t> seeds_by_ms;
    std::map<int64_t, std::string> worst;  // By time.
  };

  uint64_t seeds_ = 0;
  uint64_t seeds_without_fault_ = 0;
  uint64_t commands_ = 0;
  uint64_t errors_ = 0;
  uint64_t faults_ = 0;
  Happenings happenings_;
  Happenings counters_;
  Slowest healthy_;
  Slowest late_;
};

}  // namespace rcproxy::sim
