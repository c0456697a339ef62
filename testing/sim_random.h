// The one source of chance in a simulation: a small generator whose numbers depend on the seed
// alone, not on the standard library, so a printed seed repeats a run anywhere.
//
// Owner: SimSchedule, or a test. Thread: one.
#pragma once

#include <glog/logging.h>

#include <cstdint>

namespace rcproxy::sim {

class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 <= result < bound. Requires: bound > 0.
  uint64_t Below(uint64_t bound) {
    DCHECK_GT(bound, 0u);
    return Next() % bound;
  }
  // Both ends included. Requires: low <= high.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  // True once in `n` times on average; never for n == 0.
  bool OneIn(uint64_t n) { return n != 0 && Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace rcproxy::sim
