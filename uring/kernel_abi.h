// Constants of the io_uring kernel interface that are newer than Debian 12's liburing 2.3.
//
// Values are kernel ABI and so never change; the comment gives the first release that accepts each.
// Facts: include/uapi/linux/io_uring.h of Linux 6.18.
#pragma once

#include <cstdint>

namespace rcproxy::uring::abi {

// io_uring_params::features
inline constexpr uint32_t kFeatureBundles = 1u << 14;  // 6.10

// io_uring_sqe::ioprio of a zero-copy send: ask whether the kernel copied after all.
inline constexpr uint16_t kSendZeroCopyReportUsage = 1u << 3;  // 6.2
// io_uring_cqe::res of the notification, the answer.
inline constexpr uint32_t kNotificationCopied = 1u << 31;  // 6.2

// io_uring_cqe::flags: the kernel keeps the provided buffer and will put more bytes into it.
inline constexpr uint32_t kCqeBufferMore = 1u << 4;  // 6.12

// io_uring_buf_reg::flags, a field that liburing 2.3 calls `pad`.
inline constexpr uint16_t kBufferRingIncremental = 1u << 1;  // 6.12

// io_uring_getevents_arg with its third field, `pad` in liburing 2.3, under its present name.
struct GetEventsArgument {
  uint64_t signal_mask = 0;
  uint32_t signal_mask_bytes = 0;
  uint32_t min_wait_us = 0;  // 6.12
  uint64_t timeout = 0;      // Address of a __kernel_timespec, or 0.
};
static_assert(sizeof(GetEventsArgument) == 24);

}  // namespace rcproxy::uring::abi
