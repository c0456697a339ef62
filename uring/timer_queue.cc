#include "uring/timer_queue.h"

#include <glog/logging.h>

#include <algorithm>

namespace rcproxy::uring {

void Timer::Arm(int64_t deadline_ns) {
  Disarm();
  // From inside a callback "now" means the next round: a timer that always re-arms itself for the
  // past would otherwise never let RunExpired return.
  deadline_ns_ = queue_.running_ ? std::max(deadline_ns, queue_.running_now_ns_ + 1) : deadline_ns;
  queue_.Insert(this);
}

void Timer::Disarm() {
  if (armed()) queue_.Remove(this);
}

size_t TimerQueue::RunExpired(int64_t now_ns) {
  DCHECK(!running_) << "a timer's callback must not run timers";
  running_ = true;
  running_now_ns_ = now_ns;
  size_t ran = 0;
  while (!heap_.empty() && heap_.front()->deadline_ns_ <= now_ns) {
    Timer* const timer = heap_.front();
    Remove(timer);
    ++ran;
    timer->callback_(timer->argument_);  // May destroy `timer`.
  }
  running_ = false;
  return ran;
}

void TimerQueue::Insert(Timer* timer) {
  heap_.push_back(timer);
  timer->index_ = heap_.size() - 1;
  SiftUp(timer->index_);
}

void TimerQueue::Remove(Timer* timer) {
  const size_t index = timer->index_;
  DCHECK(heap_[index] == timer);
  Timer* const last = heap_.back();
  heap_.pop_back();
  timer->index_ = Timer::kNotArmed;
  if (last == timer) return;
  Place(last, index);
  SiftUp(index);
  SiftDown(last->index_);
}

void TimerQueue::SiftUp(size_t index) {
  Timer* const timer = heap_[index];
  while (index > 0) {
    const size_t parent = (index - 1) / 2;
    if (heap_[parent]->deadline_ns_ <= timer->deadline_ns_) break;
    Place(heap_[parent], index);
    index = parent;
  }
  Place(timer, index);
}

void TimerQueue::SiftDown(size_t index) {
  Timer* const timer = heap_[index];
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->deadline_ns_ < heap_[child]->deadline_ns_) {
      ++child;
    }
    if (timer->deadline_ns_ <= heap_[child]->deadline_ns_) break;
    Place(heap_[child], index);
    index = child;
  }
  Place(timer, index);
}

void TimerQueue::Place(Timer* timer, size_t index) {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::CheckInvariants() const {
  for (size_t i = 0; i < heap_.size(); ++i) {
    CHECK_EQ(heap_[i]->index_, i);
    CHECK(&heap_[i]->queue_ == this);
    if (i > 0) CHECK_LE(heap_[(i - 1) / 2]->deadline_ns_, heap_[i]->deadline_ns_);
  }
}

}  // namespace rcproxy::uring
