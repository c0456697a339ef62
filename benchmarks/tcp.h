// Non-blocking TCP sockets for the load generators, which use epoll on purpose: what measures the
// proxy shares none of its code below the parsers.
//
// Errors are returned as absl::Status with the address and the reason.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace rcproxy::benchmarks {

// A file descriptor that is closed by its owner's end. Movable; -1 when empty.
class OwnedFd final {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

// Connects (blocking), then makes the socket non-blocking and turns Nagle's algorithm off.
// `address` is "host:port".
absl::StatusOr<OwnedFd> ConnectTcp(const std::string& address);

// Listens on 127.0.0.1. Port 0 lets the kernel choose: ask LocalPort.
absl::StatusOr<OwnedFd> ListenTcp(uint16_t port);

// A waiting connection, non-blocking and without Nagle's algorithm; not valid() when there is none.
OwnedFd AcceptTcp(int listener);

uint16_t LocalPort(int fd);

}  // namespace rcproxy::benchmarks
