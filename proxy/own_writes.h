// When a client has last written, for --read_your_writes: by the clock, or by the rounds of
// ReplicationWatch.
//
//   a write goes out                               -> its answer is awaited
//   a read, when the write has left the replies    -> it was answered before the next round: a
//                                                     replica needs to have come as far as that one
//
// So nothing is done when an answer comes, and a round may be asked of a replica that is later than
// the one that would do.
//
// Owner: ReplyQueue. Thread: the worker's. Invariant: while the answer to a write of the client is
// awaited, last_order_ is not older than any such write.
#pragma once

#include <cstdint>

namespace rcproxy::proxy {

class OwnWrites {
 public:
  // Instead of a round: no replica will do.
  static constexpr uint64_t kAwaited = UINT64_MAX;

  // A write goes out, perhaps again. `order`: of the request.
  void NoteSent(uint32_t order, int64_t now_ns) {
    if (!is_awaited_ || IsBefore(last_order_, order)) last_order_ = order;
    is_awaited_ = true;
    sent_ns_ = now_ns;
  }
  bool SentSince(int64_t then_ns) const { return sent_ns_ != 0 && sent_ns_ >= then_ns; }

  // The round that a replica needs to have come to for a read with `order`; 0: nothing has been
  // written. `front_order`: of the client's oldest request that has not left; `next_round` has not
  // begun.
  uint64_t RoundFor(uint32_t order, uint32_t front_order, uint64_t next_round) {
    if (!is_awaited_) return round_;
    // A command may write before it reads.
    const bool is_other = order != last_order_;
    const bool has_left = front_order == order || IsBefore(last_order_, front_order);
    if (!is_other || !has_left) return kAwaited;
    is_awaited_ = false;
    round_ = next_round;
    return round_;
  }

 private:
  // Orders wrap.
  static bool IsBefore(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

  int64_t sent_ns_ = 0;
  uint64_t round_ = 0;
  uint32_t last_order_ = 0;
  bool is_awaited_ = false;
};

}  // namespace rcproxy::proxy
