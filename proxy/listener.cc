#include "proxy/listener.h"

#include <errno.h>
#include <glog/logging.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"

namespace rcproxy::proxy {

namespace {

constexpr int kBacklog = 4096;
constexpr int64_t kRetryNs = 100'000'000;

absl::Status BindError(const ListenAddress& address, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address.ToString(), ": ", std::strerror(error),
                   error == EADDRINUSE ? " (is another rcproxy running? see --addr)" : ""));
}

void CloseAll(std::initializer_list<int> fds) {
  for (const int fd : fds) {
    if (fd >= 0) close(fd);
  }
}

// Of the file that a path names; 0: there is no socket.
uint64_t InodeOfSocket(const char* path) {
  struct stat status = {};
  return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

// An abstract name for the path, however its directory is written. -1: the error is in errno.
int LockPath(const std::string& path) {
  const size_t slash = path.rfind('/') + 1;
  struct stat directory = {};
  if (stat(path.substr(0, slash).c_str(), &directory) < 0) return -1;
  const std::string name =
      absl::StrCat("rcproxy/", directory.st_dev, "/", directory.st_ino, "/", path.substr(slash));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t size = std::min(name.size(), sizeof(address.sun_path) - 1);
  std::memcpy(address.sun_path + 1, name.data() + name.size() - size, size);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

uint16_t BoundPort(int fd) {
  sockaddr_storage name = {};
  socklen_t length = sizeof(name);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) < 0) return 0;
  if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&name)->sin_port);
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&name)->sin6_port);
  return 0;
}

}  // namespace

Listener::AcceptOperation::AcceptOperation(Listener* owner)
    : completion([](uring::Completion* self, uring::Event&& event) {
        reinterpret_cast<AcceptOperation*>(self)->owner->OnAccepted(event.result, event.more);
      }),
      owner(owner) {}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const ListenAddress& address) {
  absl::StatusOr<Bound> bound = address.unix_path.empty() ? BindTcp(address) : BindUnix(address);
  if (!bound.ok()) return bound.status();
  return std::unique_ptr<Listener>(new Listener(address, *bound));
}

absl::StatusOr<Listener::Bound> Listener::BindUnix(const ListenAddress& address) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (address.unix_path.size() >= sizeof(name.sun_path)) return BindError(address, ENAMETOOLONG);
  std::memcpy(name.sun_path, address.unix_path.data(), address.unix_path.size());
  Bound bound;
  bound.lock_fd = LockPath(address.unix_path);
  if (bound.lock_fd < 0) return BindError(address, errno);
  bound.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error = bound.fd < 0 ? errno : 0;
  // A socket file that nobody listens on is left over from a process that was killed.
  if (error == 0 && connect(bound.fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0)
    error = EADDRINUSE;
  if (error == 0) {
    if (InodeOfSocket(name.sun_path) != 0) unlink(name.sun_path);
    if (bind(bound.fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) < 0) error = errno;
  }
  bound.inode = InodeOfSocket(name.sun_path);
  if (error == 0) return bound;
  CloseAll({bound.fd, bound.lock_fd});
  return BindError(address, error);
}

absl::StatusOr<Listener::Bound> Listener::BindTcp(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const char* host = address.host.empty() || address.host == "*" ? nullptr : address.host.c_str();
  if (const int error = getaddrinfo(host, port.c_str(), &hints, &found); error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address.ToString(), ": ", gai_strerror(error)));
  }
  Bound bound;
  bound.fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SetOption(bound.fd, IPPROTO_TCP, TCP_NODELAY, 1);  // Accepted sockets inherit both.
  SetOption(bound.fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  int failed = bind(bound.fd, found->ai_addr, found->ai_addrlen);
  if (failed != 0 && errno == EADDRINUSE) {  // By connections of a former process, perhaps.
    SetOption(bound.fd, SOL_SOCKET, SO_REUSEADDR, 1);
    failed = bind(bound.fd, found->ai_addr, found->ai_addrlen);
  }
  const int error = errno;
  freeaddrinfo(found);
  if (failed == 0) return bound;
  CloseAll({bound.fd});
  return BindError(address, error);
}

Listener::Listener(const ListenAddress& address, const Bound& bound)
    : address_(address), bound_(bound), port_(BoundPort(bound.fd)), accept_(this) {}

Listener::~Listener() {
  const char* path = address_.unix_path.c_str();
  if (bound_.inode != 0 && InodeOfSocket(path) == bound_.inode) unlink(path);
  CloseAll({bound_.fd, bound_.lock_fd});
}

absl::Status Listener::Start(uring::Io& io, uring::TimerQueue& timers, OnAccept on_accept) {
  if (address_.unix_path.empty()) SetOption(bound_.fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (listen(bound_.fd, kBacklog) < 0) return BindError(address_, errno);
  io_ = &io;
  on_accept_ = std::move(on_accept);
  retry_ = std::make_unique<uring::Timer>(
      timers, [](void* self) { static_cast<Listener*>(self)->Accept(); }, this);
  Accept();
  return absl::OkStatus();
}

void Listener::Accept() {
  if (!stopping_ && !accept_.completion.in_flight()) io_->Accept(bound_.fd, &accept_.completion);
}

void Listener::OnAccepted(int result, bool more) {
  if (result >= 0) {
    on_accept_(result);
  } else if (result != -ECANCELED) {
    LOG_EVERY_T(ERROR, 1) << "cannot accept on " << address_.ToString() << ": "
                          << std::strerror(-result);
  }
  if (more || stopping_) return;
  if (result >= 0) return Accept();
  retry_->Arm(io_->NowNs() + kRetryNs);  // Out of descriptors, usually: wait until some are closed.
}

void Listener::Stop() {
  stopping_ = true;
  if (retry_ != nullptr) retry_->Disarm();
  if (io_ != nullptr) io_->Cancel(&accept_.completion);
}

}  // namespace rcproxy::proxy
