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

#include <cstring>
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

absl::StatusOr<int> BindUnix(const ListenAddress& address) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (address.unix_path.size() >= sizeof(name.sun_path)) return BindError(address, ENAMETOOLONG);
  std::memcpy(name.sun_path, address.unix_path.data(), address.unix_path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return BindError(address, errno);
  // A socket file that nobody listens on is left over from a process that was killed.
  if (connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0) {
    close(fd);
    return BindError(address, EADDRINUSE);
  }
  struct stat status = {};
  if (lstat(name.sun_path, &status) == 0 && S_ISSOCK(status.st_mode)) unlink(name.sun_path);
  if (bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) < 0) {
    const int error = errno;
    close(fd);
    return BindError(address, error);
  }
  return fd;
}

absl::StatusOr<int> BindTcp(const ListenAddress& address) {
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
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // Accepted sockets inherit both.
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  const int failed = bind(fd, found->ai_addr, found->ai_addrlen);
  const int error = errno;
  freeaddrinfo(found);
  if (failed != 0) {
    close(fd);
    return BindError(address, error);
  }
  return fd;
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
  absl::StatusOr<int> fd = address.unix_path.empty() ? BindTcp(address) : BindUnix(address);
  if (!fd.ok()) return fd.status();
  return std::unique_ptr<Listener>(new Listener(address, *fd, BoundPort(*fd)));
}

Listener::Listener(const ListenAddress& address, int fd, uint16_t port)
    : address_(address), fd_(fd), port_(port), accept_(this) {}

Listener::~Listener() {
  if (fd_ >= 0) close(fd_);
  if (!address_.unix_path.empty()) unlink(address_.unix_path.c_str());
}

void Listener::Start(uring::Io& io, uring::TimerQueue& timers, OnAccept on_accept) {
  io_ = &io;
  on_accept_ = std::move(on_accept);
  retry_ = std::make_unique<uring::Timer>(
      timers, [](void* self) { static_cast<Listener*>(self)->Accept(); }, this);
  if (listen(fd_, kBacklog) < 0) {
    LOG(FATAL) << "cannot listen on " << address_.ToString() << ": " << std::strerror(errno);
  }
  Accept();
}

void Listener::Accept() {
  if (!stopping_ && !accept_.completion.in_flight()) io_->Accept(fd_, &accept_.completion);
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
