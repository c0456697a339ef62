#include "testing/sim_schedule.h"

#include <algorithm>
#include <utility>

namespace rcproxy::sim {

void SimSchedule::At(int64_t time_ns, Action action) {
  heap_.push_back({std::max(time_ns, now_ns_), random_.Next(), std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), RunsLater);
}

void SimSchedule::RunDue() {
  while (NextNs() <= now_ns_) {
    std::pop_heap(heap_.begin(), heap_.end(), RunsLater);
    Action action = std::move(heap_.back().action);
    heap_.pop_back();
    action();
  }
}

void SimSchedule::RunFor(int64_t duration_ns) {
  const int64_t end_ns = now_ns_ + duration_ns;
  while (NextNs() <= end_ns) {
    AdvanceTo(NextNs());
    RunDue();
  }
  AdvanceTo(end_ns);
}

}  // namespace rcproxy::sim
