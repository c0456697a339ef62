#include "uring/ring.h"

#include <glog/logging.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "uring/ring_operation.h"

namespace rcproxy::uring {
namespace {

constexpr uint16_t kBufferGroup = 0;
constexpr uint32_t kWholeChunkDivisor = 4;
constexpr uint32_t kWholeCountFactor = 16;
constexpr size_t kSmallestChunk = 4096;

}  // namespace

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

int Ring::OpenSocket(int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);  // Finds peers that vanished.
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
