// Virtual time: what will happen, and when. Time stands still while code runs and jumps from one
// event to the next, so a minute of timeouts takes microseconds and every run with one seed is the
// same run.
//
// Owner: the test. Thread: one. Units: nanoseconds of virtual time.
// Invariants: 1. time never goes back; 2. actions run in order of their time; those of the same
// time in an order drawn from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "testing/sim_random.h"

namespace rcproxy::sim {

inline constexpr int64_t kMicrosecond = 1'000;
inline constexpr int64_t kMillisecond = 1'000'000;
inline constexpr int64_t kSecond = 1'000'000'000;

class SimSchedule {
 public:
  using Action = std::function<void()>;
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  explicit SimSchedule(uint64_t seed) : random_(seed) {}
  SimSchedule(const SimSchedule&) = delete;
  SimSchedule& operator=(const SimSchedule&) = delete;

  int64_t now_ns() const { return now_ns_; }
  SimRandom& random() { return random_; }

  // Runs `action` at `time_ns`, or at once in the next RunDue when that is past. Whatever it refers
  // to has to live until then.
  void At(int64_t time_ns, Action action);
  void After(int64_t delay_ns, Action action) { At(now_ns_ + delay_ns, std::move(action)); }

  // The time of the earliest action, or kNever.
  int64_t NextNs() const { return heap_.empty() ? kNever : heap_.front().time_ns; }
  // Moves the clock, without running anything. Does nothing when `time_ns` is past.
  void AdvanceTo(int64_t time_ns) { now_ns_ = time_ns > now_ns_ ? time_ns : now_ns_; }
  // Runs everything that is due now, also what is added meanwhile.
  void RunDue();
  // Advances through `duration_ns` and runs all that is due in it. For tests without an Io.
  void RunFor(int64_t duration_ns);

 private:
  struct Entry {
    int64_t time_ns;
    uint64_t tie_break;
    Action action;
  };
  static bool RunsLater(const Entry& a, const Entry& b) {
    return a.time_ns != b.time_ns ? a.time_ns > b.time_ns : a.tie_break > b.tie_break;
  }

  SimRandom random_;
  int64_t now_ns_ = kSecond;  // Not 0, so that "0 = do not wait" is not a time that can come.
  std::vector<Entry> heap_;
};

}  // namespace rcproxy::sim
