// Whether requests wait too long for a node, and go on doing so (--shed_queue_delay).
//
// As CoDel has it: a queue that is emptied from time to time is a burst; one whose shortest wait in
// a whole interval was above the target stands, and helps nobody. From then on new requests are
// refused while the oldest in flight has waited for longer than the target, so that the queue stays
// as short as that; until, in some interval, a request has waited for less than half of it.
//
// Owner: UpstreamNode. Thread: the worker's.
// Invariant: an interval is kTargetsPerInterval targets long, or longer when no reply comes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rcproxy::proxy {

class QueueDelay {
 public:
  static constexpr int64_t kTargetsPerInterval = 10;

  // The oldest request in flight was issued `waited_ns` ago, and its reply comes now.
  void Note(int64_t now_ns, int64_t waited_ns, int64_t target_ns) {
    shortest_ns_ = std::min(shortest_ns_, waited_ns);
    if (now_ns - began_ns_ < kTargetsPerInterval * target_ns) return;
    // What came after a pause says nothing of how long others would have waited meanwhile.
    const bool has_paused = now_ns - began_ns_ > 2 * kTargetsPerInterval * target_ns;
    stands_ = !has_paused && shortest_ns_ > (stands_ ? target_ns / 2 : target_ns);
    began_ns_ = now_ns;
    shortest_ns_ = INT64_MAX;
  }
  bool stands() const { return stands_; }

 private:
  int64_t began_ns_ = 0;
  int64_t shortest_ns_ = INT64_MAX;
  bool stands_ = false;
};

}  // namespace rcproxy::proxy
