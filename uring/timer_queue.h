// Deadlines of one worker in a binary heap. Timers are embedded in their owners; arming allocates
// nothing once the heap's array has grown.
//
// Owner: Worker. Thread: the worker's. Units: nanoseconds of the Io's steady clock.
// Invariant: a timer is in the heap exactly while armed; its destructor disarms it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace rcproxy::uring {

class TimerQueue;

class Timer {
 public:
  using Callback = void (*)(void* argument);
  Timer(TimerQueue& queue, Callback callback, void* argument)
      : queue_(queue), callback_(callback), argument_(argument) {}
  ~Timer() { Disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // (Re)arms; the callback runs once, from RunExpired, not before `deadline_ns`. Armed from inside
  // a callback it runs in the next RunExpired at the earliest.
  void Arm(int64_t deadline_ns);
  void Disarm();
  bool armed() const { return index_ != kNotArmed; }
  int64_t deadline_ns() const { return deadline_ns_; }

 private:
  friend class TimerQueue;
  static constexpr size_t kNotArmed = std::numeric_limits<size_t>::max();
  TimerQueue& queue_;
  Callback callback_;
  void* argument_;
  int64_t deadline_ns_ = 0;
  size_t index_ = kNotArmed;
};

class TimerQueue {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  // The earliest deadline, or kNever.
  int64_t NextDeadlineNs() const { return heap_.empty() ? kNever : heap_.front()->deadline_ns_; }
  // Runs each timer that is due at `now_ns`; a callback may arm, disarm and destroy any timer, its
  // own included. Returns how many ran.
  size_t RunExpired(int64_t now_ns);
  size_t size() const { return heap_.size(); }
  void CheckInvariants() const;

 private:
  friend class Timer;
  void Insert(Timer* timer);
  void Remove(Timer* timer);
  void SiftUp(size_t index);
  void SiftDown(size_t index);
  void Place(Timer* timer, size_t index);

  std::vector<Timer*> heap_;
  bool running_ = false;
  int64_t running_now_ns_ = 0;  // Valid while running_.
};

}  // namespace rcproxy::uring
