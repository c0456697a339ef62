#include "uring/features.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "uring/buffer_ring.h"
#include "uring/chunk.h"
#include "uring/kernel_abi.h"
#include "uring/kernel_ring.h"

namespace rcproxy::uring {
namespace {

constexpr struct {
  const char* name;
  bool Features::*member;
} kNames[] = {
    {"single_issuer_defer", &Features::single_issuer_defer},
    {"cooperative", &Features::cooperative},
    {"provided_rings", &Features::provided_rings},
    {"multishot_accept", &Features::multishot_accept},
    {"multishot_receive", &Features::multishot_receive},
    {"incremental_buffers", &Features::incremental_buffers},
    {"min_wait", &Features::min_wait},
    {"send_zero_copy", &Features::send_zero_copy},
    {"bundles", &Features::bundles},
};
static_assert(sizeof(Features) == sizeof kNames / sizeof kNames[0], "a feature has no name");

constexpr size_t kChunkBytes = 4096;
constexpr uint32_t kChunks = 2;
// Trials complete at once or not at all; this bounds a surprise.
constexpr int64_t kTrialTimeoutNs = 200'000'000;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  const int fd_;
};

// The next completion, or result -ETIME when none comes.
io_uring_cqe NextCompletion(KernelRing& ring) {
  if (ring.ready() == 0) ring.Enter({.events = 1, .timeout_ns = kTrialTimeoutNs});
  if (ring.ready() > 0) return ring.Pop();
  io_uring_cqe none = {};
  none.res = -ETIME;
  return none;
}

// What a failed trial means: nothing is wrong when the kernel does not know a feature, but without
// memory or permission the trial says nothing about it.
absl::Status Judge(const absl::Status& trial) {
  return absl::IsUnimplemented(trial) ? absl::OkStatus() : trial;
}

absl::Status TrySetUp(TaskWork task_work, bool* found) {
  const absl::Status trial =
      KernelRing::Create({.sq_entries = 4, .cq_entries = 8, .task_work = task_work}).status();
  *found = trial.ok();
  return trial;
}

bool TryMultishotAccept(KernelRing& ring) {
  const Descriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Descriptor client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socklen_t length = sizeof(sa_family_t);  // No name: the kernel picks an abstract one.
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, length) != 0 || listen(listener.get(), 1) != 0) return false;
  length = sizeof address;
  if (getsockname(listener.get(), generic, &length) != 0) return false;
  if (connect(client.get(), generic, length) != 0) return false;
  io_uring_prep_multishot_accept(ring.NextSqe(), listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  const io_uring_cqe cqe = NextCompletion(ring);
  const Descriptor accepted(cqe.res);
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) return false;
  io_uring_prep_cancel_fd(ring.NextSqe(), listener.get(), 0);
  NextCompletion(ring);
  NextCompletion(ring);
  return accepted.valid();
}

// Receives a few bytes through `buffers`. Returns the flags of the completion, 0 on failure.
uint32_t TryReceive(KernelRing& ring, BufferRing& buffers, bool multishot) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return 0;
  const Descriptor ours(fds[0]);
  uint32_t flags = 0;
  {
    const Descriptor peer(fds[1]);
    if (write(peer.get(), "probe", 5) != 5) return 0;
    io_uring_sqe* const sqe = ring.NextSqe();
    io_uring_prep_recv(sqe, ours.get(), nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    if (multishot) sqe->ioprio |= IORING_RECV_MULTISHOT;
    const io_uring_cqe cqe = NextCompletion(ring);
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) buffers.Take(cqe);
    if (cqe.res == 5) flags = cqe.flags;
  }
  // The peer has closed: a receive that is still armed ends by itself.
  if ((flags & IORING_CQE_F_MORE) != 0) NextCompletion(ring);
  return flags;
}

absl::Status TryBuffers(KernelRing& ring, Features& features) {
  ChunkPool pool(kChunkBytes, kChunkBytes * kChunks * 2);
  {
    const auto whole = BufferRing::Create(ring, pool, {.count = kChunks});
    if (!whole.ok()) return Judge(whole.status());
    features.provided_rings = TryReceive(ring, **whole, false) != 0;
    features.multishot_receive = (TryReceive(ring, **whole, true) & IORING_CQE_F_MORE) != 0;
  }
  const auto parts = BufferRing::Create(ring, pool, {.count = kChunks, .incremental = true});
  if (!parts.ok()) return Judge(parts.status());
  features.incremental_buffers = (TryReceive(ring, **parts, false) & abi::kCqeBufferMore) != 0;
  return absl::OkStatus();
}

bool TryMinWait(KernelRing& ring) {
  return ring.Enter({.events = 1, .timeout_ns = 1000, .min_wait_us = 1}) != -EINVAL;
}

// A listening TCP socket on a free loopback port, and its address; -1 when there is no loopback.
int ListenOnLoopback(sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, length) == 0 && listen(fd, 1) == 0 &&
      getsockname(fd, generic, &length) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

// TCP only: local sockets know no zero copy.
bool TryZeroCopy(KernelRing& ring) {
  sockaddr_in address;
  const Descriptor listener(ListenOnLoopback(address));
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid() || !client.valid()) return false;
  if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return false;
  }
  const Descriptor server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  io_uring_prep_send_zc(ring.NextSqe(), client.get(), "probe", 5, MSG_NOSIGNAL,
                        abi::kSendZeroCopyReportUsage);
  const io_uring_cqe cqe = NextCompletion(ring);
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) return false;
  const bool notified = (NextCompletion(ring).flags & IORING_CQE_F_NOTIF) != 0;
  return cqe.res == 5 && notified;
}

}  // namespace

Features Features::All() {
  Features all;
  for (const auto& [name, member] : kNames) all.*member = true;
  return all;
}

Features Features::Intersect(const Features& other) const {
  Features both;
  for (const auto& [name, member] : kNames) both.*member = this->*member && other.*member;
  return both;
}

std::string Features::ToString() const {
  std::string text;
  for (const auto& [name, member] : kNames) {
    absl::StrAppend(&text, text.empty() ? "" : " ", this->*member ? "" : "no:", name);
  }
  return text;
}

absl::StatusOr<Features> ProbeFeatures() {
  Features features;
  absl::Status status = Judge(TrySetUp(TaskWork::kDeferred, &features.single_issuer_defer));
  if (status.ok()) {
    status = TrySetUp(TaskWork::kCooperative, &features.cooperative);
    // One of the two modes is needed; ENOSYS is the error to report when there is neither.
    if (features.single_issuer_defer) status = Judge(status);
  }
  if (!status.ok()) return status;
  KernelRing::Options options = {.sq_entries = 8, .cq_entries = 32};
  if (!features.single_issuer_defer) options.task_work = TaskWork::kCooperative;
  absl::StatusOr<std::unique_ptr<KernelRing>> ring = KernelRing::Create(options);
  if (!ring.ok()) return ring.status();
  status = TryBuffers(**ring, features);
  if (!status.ok()) return status;
  if (!features.provided_rings) {
    return absl::UnimplementedError(
        "io_uring: this kernel has no rings of provided buffers; Linux 5.19 or newer is needed");
  }
  features.multishot_accept = TryMultishotAccept(**ring);
  features.min_wait = TryMinWait(**ring);
  features.send_zero_copy = TryZeroCopy(**ring);
  features.bundles = ((*ring)->features() & abi::kFeatureBundles) != 0;
  return features;
}

}  // namespace rcproxy::uring
