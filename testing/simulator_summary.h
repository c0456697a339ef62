// How much happened in a sweep over many seeds, so that one that asks for little is seen to.
//
// Owner: the command line tool. Thread: one.
#pragma once

#include <cstdint>
#include <string>

#include "testing/simulator.h"

namespace rcproxy::sim {

class SweepSummary {
 public:
  void Add(const SimulatorResult& result);
  std::string Text() const;

 private:
  uint64_t seeds_ = 0;
  uint64_t seeds_without_fault_ = 0;
  uint64_t commands_ = 0;
  uint64_t errors_ = 0;
  uint64_t faults_ = 0;
  Happenings happenings_;
  Happenings counters_;
};

}  // namespace rcproxy::sim
