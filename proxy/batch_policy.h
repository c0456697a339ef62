// Whether waits should gather several completions before they return, and for how long.
//
// At one command per round trip the kernel's TCP send is most of the cost, of the proxy and of the
// nodes: requests that are found together share a send to their node and a wake-up there, and their
// replies come back together. When many clients are busy a turn therefore waits until a quarter of
// them have probably sent something. That lengthens a round trip by less than it takes them to send
// anyway, and what it saves on both sides shortens it: with 50 clients on a machine that nodes and
// clients share, half the CPU per request and half as many requests again.
//
// It is decided anew for each window of 10 ms, from the traffic of the one before. A few clients
// are never delayed, nor are those of a worker that has CPU time to spare; and a worker that has
// none left finds enough in each turn without waiting. How busy it would be without is seen in a
// plain window now and then.
//
// Owner: Worker. Thread: the worker's. Pure: no clock.
// Invariants: the hint is {1, 0} (do not gather) after a window with fewer than kClientsMin clients
// or with less than kBatchMin receives to be expected in the longest wait; after one that did not
// gather and was less busy than kBusyMin percent or more than kBusyMax; and once in kPlainEvery
// windows.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rcproxy::proxy {

// What came from clients since the window began.
struct Arrivals {
  int64_t since_ns = 0;
  uint64_t receives = 0;
  uint64_t clients = 0;  // How many different ones they came from.

  // `last_ns`: when the client sent something before.
  void Note(int64_t last_ns) {
    ++receives;
    if (last_ns < since_ns) ++clients;
  }
};

class BatchPolicy {
 public:
  static constexpr int64_t kWindowNs = 10'000'000;
  static constexpr uint64_t kClientsMin = 20;
  // The part of the clients that is waited for, as a divisor; beyond kBatchMax of them a send is
  // as full as it needs to be.
  static constexpr uint64_t kClientsPerBatch = 4;
  static constexpr uint64_t kBatchMin = 4;
  static constexpr uint64_t kBatchMax = 16;
  // Replies and ends of sends are completions too. A wait is to end by its time: a bound on their
  // number only keeps it from being late when the traffic has grown.
  static constexpr uint64_t kCompletionsPerReceive = 8;
  static constexpr int64_t kBusyMin = 40;
  static constexpr int64_t kBusyMax = 80;
  static constexpr int kPlainEvery = 32;

  struct Hint {
    int completions = 1;
    int wait_us = 0;
  };

  explicit BatchPolicy(int64_t wait_us_max) : wait_us_max_(wait_us_max) {}

  // The window that ends was `length_ns` > 0 long, and the worker's thread used `cpu_ns` in it.
  // Returns what holds in the next one.
  Hint OnWindow(const Arrivals& arrivals, int64_t length_ns, int64_t cpu_ns) {
    const int64_t busy = 100 * cpu_ns / length_ns;
    const int64_t length_us = length_ns / 1000;
    const bool enough =
        arrivals.clients >= kClientsMin &&
        static_cast<int64_t>(arrivals.receives) * wait_us_max_ / length_us >= kBatchMin;
    const bool was_plain = windows_ == 0;
    const bool pays = was_plain ? busy >= kBusyMin && busy <= kBusyMax : windows_ < kPlainEvery;
    windows_ = enough && pays ? windows_ + 1 : 0;
    if (windows_ == 0) return {};
    const uint64_t batch = std::min(arrivals.clients / kClientsPerBatch, kBatchMax);
    const int64_t wait_us = static_cast<int64_t>(batch) * length_us / arrivals.receives;
    return {static_cast<int>(batch * kCompletionsPerReceive),
            static_cast<int>(std::min(wait_us, wait_us_max_))};
  }

 private:
  const int64_t wait_us_max_;
  int windows_ = 0;  // That gathered, since the last plain one.
};

}  // namespace rcproxy::proxy
