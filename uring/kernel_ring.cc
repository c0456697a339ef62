#include "uring/kernel_ring.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "uring/kernel_abi.h"

namespace rcproxy::uring {
namespace {

constexpr int kMemoryRetries = 5;
constexpr useconds_t kMemoryRetryUs = 10'000;

// io_uring_enter through a registered index instead of the descriptor (liburing keeps its own flag
// for it in a private field).
int EnterDescriptor(const io_uring& ring) { return ring.enter_ring_fd; }

// Errors that the next call may not meet again. -EINVAL is let through for the min_wait probe only.
bool IsTransient(int error) {
  return error == -ETIME || error == -EINTR || error == -EBUSY || error == -EAGAIN ||
         error == -ENOMEM;
}

uint32_t SetupFlags(TaskWork task_work) {
  // SUBMIT_ALL: one malformed entry reports its own error instead of holding up those behind it.
  const uint32_t common = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
  switch (task_work) {
    case TaskWork::kDeferred:
      return common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    case TaskWork::kCooperative:
      return common | IORING_SETUP_COOP_TASKRUN;
  }
  LOG(FATAL) << "no such task work mode";
  return 0;
}

}  // namespace

absl::Status SetupError(int error_number, const char* step) {
  const std::string what = absl::StrCat("io_uring: ", step, ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOSYS:
      return absl::UnimplementedError(
          absl::StrCat(what, ". This kernel has no io_uring, or the container's seccomp profile ",
                       "hides it. Linux 5.19 or newer is needed; in a container allow ",
                       "io_uring_setup, io_uring_enter and io_uring_register."));
    case EPERM:
    case EACCES:
      return absl::PermissionDeniedError(absl::StrCat(
          what, ". Set the sysctl kernel.io_uring_disabled to 0 (2 forbids io_uring ",
          "to all, 1 to unprivileged users), and in a container use a seccomp profile ",
          "that allows io_uring_setup, io_uring_enter and io_uring_register."));
    case ENOMEM:
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ". Locked memory is short: raise RLIMIT_MEMLOCK (ulimit -l; ",
                       "LimitMEMLOCK= in a systemd unit; --ulimit memlock= in a container) or the ",
                       "memory limit of the control group."));
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ". Raise the limit of open files (ulimit -n)."));
    case EINVAL:
      return absl::UnimplementedError(
          absl::StrCat(what, ". This kernel is too old; Linux 5.19 or newer is needed."));
    default:
      return absl::InternalError(absl::StrCat(what, "."));
  }
}

int RetryWithoutMemory(const std::function<int()>& step) {
  int result = step();
  for (int i = 0; i < kMemoryRetries && result == -ENOMEM; ++i) {
    usleep(kMemoryRetryUs);
    result = step();
  }
  return result;
}

absl::StatusOr<std::unique_ptr<KernelRing>> KernelRing::Create(const Options& options) {
  auto ring = std::unique_ptr<KernelRing>(new KernelRing);
  uint32_t sq_entries = std::max(options.sq_entries, 1u);
  uint32_t cq_entries = std::max(options.cq_entries, 2 * sq_entries);
  for (;;) {
    io_uring_params params = {};
    params.flags = SetupFlags(options.task_work);
    params.cq_entries = cq_entries;
    const auto set_up = [&] {
      return io_uring_queue_init_params(sq_entries, &ring->ring_, &params);
    };
    const int result = RetryWithoutMemory(set_up);
    if (result == 0) break;
    ring->ring_.ring_fd = -1;
    if (result != -ENOMEM || cq_entries <= kSmallestCompletionQueue) {
      return SetupError(-result, "setting up a ring");
    }
    cq_entries /= 2;
    sq_entries = std::max(1u, std::min(sq_entries, cq_entries / 2));
    LOG(WARNING) << "io_uring: no memory for the ring, trying " << cq_entries
                 << " completion entries; raise RLIMIT_MEMLOCK";
  }
  ring->RegisterDescriptor();
  return ring;
}

KernelRing::~KernelRing() {
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
}

// Spares the kernel a lookup per call. Failure costs only that.
void KernelRing::RegisterDescriptor() {
  if (io_uring_register_ring_fd(&ring_) == 1) enter_flags_ = IORING_ENTER_REGISTERED_RING;
}

io_uring_sqe* KernelRing::NextSqe() {
  if (backlog_.empty()) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      Submit();
      sqe = io_uring_get_sqe(&ring_);
    }
    if (sqe != nullptr) {
      std::memset(sqe, 0, sizeof *sqe);
      return sqe;
    }
  }
  return &backlog_.emplace_back();
}

int KernelRing::Enter(const Wait& wait) {
  if (!backlog_.empty()) {
    const int result = Submit();
    if (!backlog_.empty()) {
      // Let completions in: a full completion queue may be what holds the kernel back.
      SystemCall(0, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
      return result < 0 ? result : -EBUSY;
    }
  }
  abi::GetEventsArgument argument;
  __kernel_timespec timeout = {};
  if (wait.timeout_ns >= 0) {
    timeout.tv_sec = wait.timeout_ns / 1'000'000'000;
    timeout.tv_nsec = wait.timeout_ns % 1'000'000'000;
    argument.timeout = reinterpret_cast<uint64_t>(&timeout);
  }
  argument.min_wait_us = wait.min_wait_us;
  const uint32_t submit = PublishTail();
  const int result = SystemCall(submit, wait.events, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                &argument, sizeof argument);
  return std::min(result, 0);
}

// Submits without looking at completions; may leave a backlog when the kernel refuses.
int KernelRing::Submit() {
  for (;;) {
    MoveBacklog();
    const uint32_t submit = PublishTail();
    if (submit == 0) return 0;
    const int result = SystemCall(submit, 0, 0, nullptr, 0);
    if (result <= 0) return result;
    if (backlog_.empty()) return 0;
  }
}

void KernelRing::MoveBacklog() {
  size_t moved = 0;
  while (moved < backlog_.size()) {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) break;
    *sqe = backlog_[moved++];
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<ptrdiff_t>(moved));
}

// Makes all filled entries visible to the kernel. Returns how many it has not taken yet.
uint32_t KernelRing::PublishTail() {
  io_uring_sq& sq = ring_.sq;
  sq.sqe_head = sq.sqe_tail;
  io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  return sq.sqe_tail - io_uring_smp_load_acquire(sq.khead);
}

bool KernelRing::HasUnsubmitted() const {
  return !backlog_.empty() || ring_.sq.sqe_tail != io_uring_smp_load_acquire(ring_.sq.khead);
}

int KernelRing::SystemCall(uint32_t submit, uint32_t wait_events, uint32_t flags,
                           const void* argument, size_t argument_bytes) {
  if (refuse_submissions_ && submit > 0) return -EBUSY;
  ++enters_;
  const int result =
      io_uring_enter2(EnterDescriptor(ring_), submit, wait_events, flags | enter_flags_,
                      static_cast<sigset_t*>(const_cast<void*>(argument)), argument_bytes);
  if (result >= 0 || IsTransient(result)) return result;
  // EBADR: the kernel had no memory even to note completions and dropped them. Their operations
  // would stay in flight for ever, with buffers that nobody may touch.
  if (result == -EBADR) LOG(FATAL) << "io_uring: the kernel ran out of memory and lost completions";
  const auto* wait = static_cast<const abi::GetEventsArgument*>(argument);
  CHECK(result == -EINVAL && wait != nullptr && wait->min_wait_us > 0)
      << "io_uring_enter: " << std::strerror(-result);
  return result;
}

io_uring_cqe KernelRing::Pop() {
  DCHECK_GT(ready(), 0u);
  const uint32_t head = *ring_.cq.khead;
  const io_uring_cqe cqe = ring_.cq.cqes[head & ring_.cq.ring_mask];
  io_uring_cq_advance(&ring_, 1);
  return cqe;
}

}  // namespace rcproxy::uring
