#include "uring/ring.h"

#include <glog/logging.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "uring/kernel_abi.h"

namespace rcproxy::uring {
namespace {

// user_data values that no Completion has: those are addresses.
constexpr uint64_t kIgnored = 1;  // Cancellations; their targets report.
constexpr uint64_t kWake = 2;

constexpr uint16_t kBufferGroup = 0;
constexpr uint32_t kWholeChunkDivisor = 4;
constexpr uint32_t kWholeCountFactor = 16;
constexpr size_t kSmallestChunk = 4096;

// After this many copies in a row the path is taken for one that always copies.
constexpr int kCopiedInARowMax = 8;

int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void SetUserData(io_uring_sqe* sqe, const Completion* completion) {
  sqe->user_data = reinterpret_cast<uint64_t>(completion);
}

// Drops what the peer has not acknowledged and resets the connection. The kernel keeps the memory
// of a zero-copy send until the peer has it; a peer that does not read would hold up Close().
void AbortConnection(int fd) {
  const sockaddr unspecified = {.sa_family = AF_UNSPEC, .sa_data = {}};
  connect(fd, &unspecified, sizeof unspecified);
}

}  // namespace

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

absl::StatusOr<std::unique_ptr<Ring>> Ring::Create(const Options& options) {
  absl::StatusOr<Features> probed = ProbeFeatures();
  if (!probed.ok()) return probed.status();
  const Features features = probed->Intersect(options.allowed);
  size_t chunk_bytes = options.chunk_bytes;
  size_t buffers = options.provided_buffers;
  if (!features.incremental_buffers) {
    chunk_bytes = std::max(chunk_bytes / kWholeChunkDivisor, std::min(chunk_bytes, kSmallestChunk));
    buffers *= kWholeCountFactor;
  }
  if (chunk_bytes == 0 || options.receive_limit_bytes < chunk_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the receive pool's limit of ", options.receive_limit_bytes,
                     " bytes is less than one buffer of ", chunk_bytes));
  }
  // Half of the limit stays for bytes on their way through; a pool of one buffer has no half.
  const size_t affordable = std::max<size_t>(1, options.receive_limit_bytes / chunk_bytes / 2);
  buffers = std::clamp<size_t>(buffers, 1, std::min<size_t>(affordable, BufferRing::kMaxCount));

  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return SetupError(errno, "eventfd");
  auto ring = std::unique_ptr<Ring>(new Ring(options, features, chunk_bytes, wake_fd));
  absl::Status status = ring->SetUpKernelSide(options, static_cast<uint32_t>(buffers));
  if (!status.ok()) return status;
  return ring;
}

Ring::Ring(const Options& options, const Features& features, size_t chunk_bytes, int wake_fd)
    : features_(features),
      wake_fd_(wake_fd),
      batch_wait_us_max_(options.batch_wait_us_max),
      zero_copy_min_(std::max<size_t>(options.zero_copy_min_bytes, 1)),
      pool_(chunk_bytes, options.receive_limit_bytes),
      now_ns_(MonotonicNs()),
      zero_copy_active_(options.zero_copy_min_bytes > 0 && features.send_zero_copy) {}

absl::Status Ring::SetUpKernelSide(const Options& options, uint32_t buffers) {
  KernelRing::Options sizes = {.sq_entries = options.sq_entries, .cq_entries = options.cq_entries};
  if (!features_.single_issuer_defer) sizes.task_work = TaskWork::kCooperative;
  for (;;) {
    absl::StatusOr<std::unique_ptr<KernelRing>> kernel = KernelRing::Create(sizes);
    if (!kernel.ok()) return kernel.status();
    kernel_ = *std::move(kernel);
    absl::StatusOr<std::unique_ptr<BufferRing>> ring = BufferRing::Create(
        *kernel_, pool_,
        {.group = kBufferGroup, .count = buffers, .incremental = features_.incremental_buffers});
    if (ring.ok()) {
      buffers_ = *std::move(ring);
      ArmWake();
      return absl::OkStatus();
    }
    // The queues may have taken what the buffers need.
    sizes.sq_entries = std::max(1u, kernel_->sq_entries() / 2);
    sizes.cq_entries = kernel_->cq_entries() / 2;
    kernel_.reset();
    if (!absl::IsResourceExhausted(ring.status()) ||
        sizes.cq_entries < KernelRing::kSmallestCompletionQueue) {
      return ring.status();
    }
  }
}

Ring::~Ring() {
  CHECK_EQ(operations_in_flight_, 0u) << "the kernel may still write for them";
  buffers_.reset();
  kernel_.reset();
  close(wake_fd_);
}

// Starting operations.

Ring::Operation* Ring::NewOperation(int fd, Completion* completion) {
  Operation* const operation = operations_.New();
  operation->fd = fd;
  operation->completion = completion;
  completion->Start();
  completion->set_io_state(operation);
  ++operations_in_flight_;
  return operation;
}

void Ring::FreeOperation(Operation* operation) {
  operation->completion->set_io_state(nullptr);
  if (operation->kind == Operation::Kind::kZeroCopySend) {
    std::erase(zero_copy_, operation);
  } else {
    DCHECK(StreamOf(operation->fd) == operation);
    StreamOf(operation->fd) = nullptr;
  }
  operations_.Delete(operation);
}

Ring::Operation*& Ring::StreamOf(int fd) {
  const size_t index = static_cast<size_t>(fd);
  if (index >= streams_.size()) streams_.resize(std::max(index + 1, 2 * streams_.size()));
  return streams_[index];
}

void Ring::Arm(Operation* operation) {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  if (operation->kind == Operation::Kind::kAccept) {
    if (features_.multishot_accept) {
      io_uring_prep_multishot_accept(sqe, operation->fd, nullptr, nullptr, SOCK_CLOEXEC);
    } else {
      io_uring_prep_accept(sqe, operation->fd, nullptr, nullptr, SOCK_CLOEXEC);
    }
  } else {
    io_uring_prep_recv(sqe, operation->fd, nullptr, 0, 0);
    if (features_.multishot_receive) sqe->ioprio |= IORING_RECV_MULTISHOT;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = kBufferGroup;
  }
  SetUserData(sqe, operation->completion);
}

void Ring::Accept(int fd, Completion* completion) {
  Operation* const operation = NewOperation(fd, completion);
  operation->kind = Operation::Kind::kAccept;
  CHECK(StreamOf(fd) == nullptr);
  StreamOf(fd) = operation;
  Arm(operation);
}

void Ring::Receive(int fd, Completion* completion) {
  Operation* const operation = NewOperation(fd, completion);
  CHECK(StreamOf(fd) == nullptr);
  StreamOf(fd) = operation;
  Arm(operation);
}

void Ring::ReceiveWhenBuffered(int fd, Completion* completion) {
  Operation* const operation = NewOperation(fd, completion);
  CHECK(StreamOf(fd) == nullptr);
  StreamOf(fd) = operation;
  parked_.PushBack(operation);
  ++stats_.receives_parked;
}

// With half of the buffers back all parked receives are armed. With fewer, one per turn: its bytes
// may be just what those need who hold the other buffers, so waiting for the half could be for
// ever.
void Ring::ArmParked() {
  buffers_->Refill();
  if (parked_.IsEmpty() || buffers_->filled() == 0) return;
  const bool all = buffers_->IsHalfFilled();
  do {
    --stats_.receives_parked;
    Arm(parked_.PopFront());
  } while (all && !parked_.IsEmpty());
}

int Ring::OpenSocket(int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

void Ring::Connect(int fd, const sockaddr* address, socklen_t length, Completion* completion) {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_connect(sqe, fd, address, length);
  StartSend(sqe, completion);
}

void Ring::Send(int fd, const char* data, size_t size, Completion* completion) {
  if (WantsZeroCopy(size)) return SendZeroCopy(fd, data, size, nullptr, completion);
  io_uring_sqe* const sqe = kernel_->NextSqe();
  // The entry's length has 32 bits; a short send is allowed anyway.
  const size_t sent = std::min<size_t>(size, std::numeric_limits<int32_t>::max());
  io_uring_prep_send(sqe, fd, data, sent, MSG_NOSIGNAL);
  StartSend(sqe, completion);
}

void Ring::SendMessage(int fd, const msghdr* message, Completion* completion) {
  if (zero_copy_active_) {
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; ++i) size += message->msg_iov[i].iov_len;
    if (WantsZeroCopy(size)) return SendZeroCopy(fd, nullptr, size, message, completion);
  }
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_sendmsg(sqe, fd, message, MSG_NOSIGNAL);
  StartSend(sqe, completion);
}

void Ring::StartSend(io_uring_sqe* sqe, Completion* completion) {
  SetUserData(sqe, completion);
  completion->Start();
  ++operations_in_flight_;
}

// Zero copy.

void Ring::SendZeroCopy(int fd, const char* data, size_t size, const msghdr* message,
                        Completion* completion) {
  Operation* const operation = NewOperation(fd, completion);
  operation->kind = Operation::Kind::kZeroCopySend;
  operation->data = data;
  operation->size = std::min<size_t>(size, std::numeric_limits<int32_t>::max());
  operation->message = message;
  zero_copy_.push_back(operation);
  ++stats_.zero_copy_sends;
  io_uring_sqe* const sqe = kernel_->NextSqe();
  if (message != nullptr) {
    io_uring_prep_sendmsg_zc(sqe, fd, message, MSG_NOSIGNAL);
    sqe->ioprio |= abi::kSendZeroCopyReportUsage;
  } else {
    io_uring_prep_send_zc(sqe, fd, data, operation->size, MSG_NOSIGNAL,
                          abi::kSendZeroCopyReportUsage);
  }
  SetUserData(sqe, completion);
}

// Two completions make one event: the result (which promises another with F_MORE) and the
// notification that the memory is ours again.
int Ring::DispatchZeroCopy(Operation* operation, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_NOTIF) != 0) {
    // A failed send says nothing about the path.
    if (operation->result > 0) {
      NoteZeroCopy((static_cast<uint32_t>(cqe.res) & abi::kNotificationCopied) != 0, 0);
    }
  } else {
    operation->result = cqe.res;
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) {
      operation->awaiting_notification = true;
      if (operation->cancelled) AbortConnection(operation->fd);
      return 0;
    }
  }
  const int32_t result = operation->result;
  if (!operation->cancelled &&
      (result == -ENOMEM || result == -ENOBUFS || result == -EOPNOTSUPP || result == -EINVAL)) {
    NoteZeroCopy(true, -result);
    SendCopied(operation);
    return 0;
  }
  Completion* const completion = operation->completion;
  FreeOperation(operation);
  return FinishWithoutData(completion, result);
}

void Ring::SendCopied(Operation* operation) {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  if (operation->message != nullptr) {
    io_uring_prep_sendmsg(sqe, operation->fd, operation->message, MSG_NOSIGNAL);
  } else {
    io_uring_prep_send(sqe, operation->fd, operation->data, operation->size, MSG_NOSIGNAL);
  }
  Completion* const completion = operation->completion;
  SetUserData(sqe, completion);
  FreeOperation(operation);  // From here on an ordinary send, still counted in flight.
}

void Ring::NoteZeroCopy(bool copied, int error) {
  if (!copied) {
    copied_in_a_row_ = 0;
    return;
  }
  ++stats_.zero_copy_copied;
  if (++copied_in_a_row_ < kCopiedInARowMax || !zero_copy_active_) return;
  zero_copy_active_ = false;
  LOG(INFO) << "zero-copy sends are off for this worker: the last " << kCopiedInARowMax
            << (error == 0 ? " were copied by the kernel (as on loopback and veth)"
                           : absl::StrCat(" were copied or refused (", std::strerror(error),
                                          "; sends count against RLIMIT_MEMLOCK)"));
}

// Ending operations early.

void Ring::CancelAll(int fd) {
  if (static_cast<size_t>(fd) < streams_.size() && streams_[static_cast<size_t>(fd)] != nullptr) {
    CancelOperation(streams_[static_cast<size_t>(fd)]);
  }
  for (Operation* operation : zero_copy_) {
    if (operation->fd == fd) CancelOperation(operation);
  }
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
  sqe->user_data = kIgnored;
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void Ring::Cancel(Completion* completion) {
  if (!completion->in_flight()) return;
  if (auto* const operation = static_cast<Operation*>(completion->io_state());
      operation != nullptr) {
    CancelOperation(operation);
    if (operation->IsLinked()) return;  // The kernel does not have it.
  }
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_cancel(sqe, completion, 0);
  sqe->user_data = kIgnored;
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

// Our part of it: the operation is not armed again, and does not wait where the kernel cannot end
// it.
void Ring::CancelOperation(Operation* operation) {
  if (operation->cancelled) return;
  operation->cancelled = true;
  if (operation->IsLinked()) {
    operation->Unlink();
    --stats_.receives_parked;
    cancelled_.PushBack(operation);
  } else if (operation->awaiting_notification) {
    AbortConnection(operation->fd);
  }
}

void Ring::Close(int fd) {
  DCHECK(StreamOf(fd) == nullptr) << "an operation is in flight";
  close(fd);
}

// The turn.

int Ring::Poll(int64_t deadline_ns) {
  ArmParked();
  SubmitAndWait(deadline_ns);
  now_ns_ = MonotonicNs();
  const int delivered = DeliverCancelled();
  return delivered + Reap();
}

void Ring::SubmitAndWait(int64_t deadline_ns) {
  KernelRing::Wait wait;
  if (kernel_->HasOverflow()) {
    ++stats_.overflows;
  } else if (kernel_->ready() > 0 || !cancelled_.IsEmpty()) {
    if (!kernel_->HasUnsubmitted()) return;
  } else if (deadline_ns == std::numeric_limits<int64_t>::max()) {
    wait.events = batch_events_;
  } else if (const int64_t left_ns = deadline_ns == 0 ? 0 : deadline_ns - MonotonicNs();
             left_ns > 0) {
    wait.events = batch_events_;
    wait.timeout_ns = left_ns;
  }
  if (wait.events > 1) {
    wait.min_wait_us = batch_wait_us_;
    if (wait.timeout_ns >= 0) {
      wait.min_wait_us = static_cast<uint32_t>(
          std::min<int64_t>(wait.min_wait_us, std::max<int64_t>(wait.timeout_ns / 1000, 1)));
    }
  }
  kernel_->Enter(wait);
}

void Ring::SetBatchHint(int completions, int wait_us) {
  const bool batch = features_.min_wait && completions > 1 && wait_us > 0;
  batch_events_ = batch ? std::min(static_cast<uint32_t>(completions), kernel_->cq_entries()) : 1;
  batch_wait_us_ = batch ? static_cast<uint32_t>(std::min(wait_us, batch_wait_us_max_)) : 0;
}

int Ring::DeliverCancelled() {
  if (cancelled_.IsEmpty()) return 0;
  IntrusiveList<Operation, ParkedTag> due;  // What handlers cancel now is due in the next turn.
  due.TakeAll(&cancelled_);
  int delivered = 0;
  while (Operation* const operation = due.PopFront()) {
    Completion* const completion = operation->completion;
    FreeOperation(operation);
    delivered += FinishWithoutData(completion, -ECANCELED);
  }
  return delivered;
}

// Takes what is there now: completions that come meanwhile (a handler that fills the submission
// queue lets some in) are for the next turn, so that a turn ends.
int Ring::Reap() {
  int delivered = 0;
  for (uint32_t left = kernel_->ready(); left > 0; --left) delivered += Dispatch(kernel_->Pop());
  return delivered;
}

int Ring::Dispatch(const io_uring_cqe& cqe) {
  if (cqe.user_data == kIgnored) return 0;
  if (cqe.user_data == kWake) {
    HandleWake(cqe);
    return 0;
  }
  auto* const completion = reinterpret_cast<Completion*>(cqe.user_data);
  Event event;
  event.result = cqe.res;
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) event.data = buffers_->Take(cqe);
  auto* const operation = static_cast<Operation*>(completion->io_state());
  if (operation == nullptr) return Finish(completion, std::move(event));
  if (operation->kind == Operation::Kind::kZeroCopySend) return DispatchZeroCopy(operation, cqe);
  return DispatchStream(operation, cqe, std::move(event));
}

int Ring::DispatchStream(Operation* operation, const io_uring_cqe& cqe, Event&& event) {
  Completion* const completion = operation->completion;
  event.more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (!event.more) {
    const bool receive = operation->kind == Operation::Kind::kReceive;
    const bool alive = receive ? event.result > 0 : event.result >= 0;
    if (!alive || operation->cancelled) {
      if (receive && event.result == -ENOBUFS) ++stats_.buffers_exhausted;
      FreeOperation(operation);
      return Finish(completion, std::move(event));
    }
    ++stats_.streams_rearmed;
    Arm(operation);  // Before the handler, which may cancel it.
    event.more = true;
  }
  ++stats_.completions;
  completion->Deliver(std::move(event));
  return 1;
}

int Ring::Finish(Completion* completion, Event&& event) {
  --operations_in_flight_;
  ++stats_.completions;
  completion->Deliver(std::move(event));
  return 1;
}

int Ring::FinishWithoutData(Completion* completion, int32_t result) {
  Event event;
  event.result = result;
  return Finish(completion, std::move(event));
}

// Waking.

// A poll, not a read: it writes no memory, so it may be in flight when the ring is destroyed.
void Ring::ArmWake() {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_poll_multishot(sqe, wake_fd_, POLLIN);
  sqe->user_data = kWake;
}

void Ring::HandleWake(const io_uring_cqe& cqe) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t result = read(wake_fd_, &count, sizeof count);
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) ArmWake();
}

void Ring::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t result = write(wake_fd_, &one, sizeof one);
}

Ring::Stats Ring::stats() const {
  Stats stats = stats_;
  stats.enters = kernel_->enters();
  stats.receive_buffers = buffers_->count();
  stats.receive_buffers_free = buffers_->filled();
  return stats;
}

void Ring::CheckInvariants() const {
  buffers_->CheckInvariants();
  pool_.CheckInvariants();
  CHECK_GE(operations_in_flight_, operations_.live());
  size_t streams = 0;
  for (size_t fd = 0; fd < streams_.size(); ++fd) {
    if (streams_[fd] == nullptr) continue;
    ++streams;
    CHECK_EQ(streams_[fd]->fd, static_cast<int>(fd));
    CHECK(streams_[fd]->completion->io_state() == streams_[fd]);
    CHECK(streams_[fd]->completion->in_flight());
  }
  CHECK_EQ(streams + zero_copy_.size(), operations_.live());
}

}  // namespace rcproxy::uring
