// One io_uring instance: its two queues and the system call that moves them. Knows neither what the
// entries mean nor who waits for them; Ring does.
//
// Owner: Ring (and the feature probe). Thread: the one that created it, for everything: with
// IORING_SETUP_SINGLE_ISSUER the kernel refuses any other.
// Invariants: 1. entries reach the kernel in the order in which NextSqe() gave them out; 2. no
// entry is lost when the kernel cannot take more: the overhang waits in backlog_ and everything
// younger queues behind it. Errors: set-up failures are Status with the cause and the remedy in
// words; later ones are either transient (counted by their effect, retried by the next Enter) or
// our own bug and fatal.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rcproxy::uring {

// When the kernel runs the completing half of an operation in our thread.
enum class TaskWork : uint8_t {
  kDeferred,     // Only inside Enter (SINGLE_ISSUER and DEFER_TASKRUN, kernel 6.1): the cheapest.
  kCooperative,  // At any return from the kernel, but without interrupting (5.19).
};

// What to tell an operator about a failed set-up step.
absl::Status SetupError(int error_number, const char* step);

// Calls `step` until it returns something else than -ENOMEM, for some 50 ms: the kernel gives the
// memory of a ring that was just closed (by the feature probe, by the previous process) back in the
// background. Returns the last result. Start-up only.
int RetryWithoutMemory(const std::function<int()>& step);

class KernelRing final {
 public:
  struct Options {
    uint32_t sq_entries = 64;
    uint32_t cq_entries = 256;
    TaskWork task_work = TaskWork::kDeferred;
  };

  static constexpr uint32_t kSmallestCompletionQueue = 64;

  // Sizes are clamped to what the kernel allows, and halved while it lacks memory for them.
  static absl::StatusOr<std::unique_ptr<KernelRing>> Create(const Options& options);
  ~KernelRing();
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;

  // A zeroed entry, valid until the next call here. Submits when the queue is full.
  io_uring_sqe* NextSqe();

  struct Wait {
    uint32_t events = 0;       // 0 = submit and look, do not wait.
    int64_t timeout_ns = -1;   // Negative = none.
    uint32_t min_wait_us = 0;  // > 0: for up to this long insist on `events`, then take one.
  };
  // Submits everything, lets completions in (flushing an overflow) and waits. One system call,
  // unless a backlog needs more. Returns 0 or a transient -errno (-ETIME, -EINTR, -EBUSY, -EAGAIN,
  // -ENOMEM), or -EINVAL when the kernel does not know min_wait_us.
  int Enter(const Wait& wait);

  uint32_t ready() const { return io_uring_cq_ready(&ring_); }
  // Takes the oldest completion out of the queue, so that its place is free before it is handled.
  // Requires: ready() > 0.
  io_uring_cqe Pop();

  bool HasUnsubmitted() const;
  // Completions wait in the kernel because the queue was full; Enter lets them in.
  bool HasOverflow() const { return io_uring_cq_has_overflow(&ring_); }

  uint32_t sq_entries() const { return ring_.sq.ring_entries; }
  uint32_t cq_entries() const { return ring_.cq.ring_entries; }
  uint32_t features() const { return ring_.features; }
  uint64_t enters() const { return enters_; }
  io_uring* raw() { return &ring_; }

 private:
  friend class KernelRingTestPeer;

  KernelRing() = default;
  void RegisterDescriptor();
  int Submit();
  void MoveBacklog();
  uint32_t PublishTail();
  int SystemCall(uint32_t submit, uint32_t wait_events, uint32_t flags, const void* argument,
                 size_t argument_bytes);

  io_uring ring_ = {};
  uint32_t enter_flags_ = 0;
  uint64_t enters_ = 0;
  bool refuse_submissions_ = false;  // Tests only: as if the kernel said -EBUSY.
  std::vector<io_uring_sqe> backlog_;
};

}  // namespace rcproxy::uring
