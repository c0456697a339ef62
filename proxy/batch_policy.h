// Whether the next wait should gather several completions before it returns.
//
// At one command per round trip the kernel's TCP send is most of the cost, of the proxy and of the
// nodes; a few microseconds' wait lets more requests share a send and a wake-up. It pays only when
// more completions are certain to be on their way, and only where each brings little, so: it is
// asked for while many requests are in flight and turns are short of work, and given up for a while
// when a wait brought nothing. A lone request is never delayed; deep pipelines fill turns without
// it.
//
// Owner: Worker. Thread: the worker's. Pure: no clock.
// Invariants: 1. Want() is 1 with fewer than kInFlightMin requests in flight; 2. after a wait that
// brought less than kCommandsMin commands the next `penalty` waits are plain, and penalty doubles
// up to kPenaltyMax.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rcproxy::proxy {

class BatchPolicy {
 public:
  static constexpr uint64_t kInFlightMin = 8;
  static constexpr int kEventsMax = 32;
  static constexpr uint64_t kCommandsMin = 2;
  // A turn that brings this many commands has enough to share its sends.
  static constexpr uint64_t kBusyCommands = 16;
  static constexpr uint32_t kPenaltyMax = 256;

  // How many completions the next wait should gather; 1 = do not gather.
  int Want(uint64_t requests_in_flight) {
    wanted_ = 1;
    if (requests_in_flight < kInFlightMin || sum_ >= kBusyCommands * kTurns) return 1;
    if (skip_ > 0) {
      --skip_;
      return 1;
    }
    wanted_ = static_cast<int>(std::min<uint64_t>(requests_in_flight / 2, kEventsMax));
    return wanted_;
  }
  // What came of it: the commands of the turn.
  void OnTurn(uint64_t commands) {
    sum_ += commands - sum_ / kTurns;
    if (wanted_ == 1) return;
    if (commands >= kCommandsMin) {
      penalty_ = 0;
      return;
    }
    penalty_ = penalty_ == 0 ? 1 : std::min(2 * penalty_, kPenaltyMax);
    skip_ = penalty_;
  }

 private:
  static constexpr uint64_t kTurns = 8;  // Over about so many turns commands are averaged.

  int wanted_ = 1;
  uint64_t sum_ = 0;
  uint32_t skip_ = 0;
  uint32_t penalty_ = 0;
};

}  // namespace rcproxy::proxy
