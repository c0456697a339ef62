// What the parts of Ring share: its operation records and small steps. Private to it.
#pragma once

#include <liburing.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

#include "uring/intrusive_list.h"
#include "uring/io.h"
#include "uring/ring.h"

namespace rcproxy::uring {

// A receive or accept that may be armed several times, or a zero-copy send.
struct Ring::Operation : ListLink<ParkedTag> {
  enum class Kind : uint8_t { kAccept, kReceive, kZeroCopySend };

  Completion* completion = nullptr;
  int fd = -1;
  Kind kind = Kind::kReceive;
  bool cancelled = false;
  // Zero-copy sends only: the result, until the notification comes, and what to send again as a
  // copy when the kernel refuses.
  bool awaiting_notification = false;
  int32_t result = 0;
  const char* data = nullptr;
  size_t size = 0;
  const msghdr* message = nullptr;
};

// user_data values that no Completion has: those are addresses.
inline constexpr uint64_t kIgnored = 1;  // Cancellations; their targets report.
inline constexpr uint64_t kWake = 2;

inline int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline void SetUserData(io_uring_sqe* sqe, const Completion* completion) {
  sqe->user_data = reinterpret_cast<uint64_t>(completion);
}

}  // namespace rcproxy::uring
