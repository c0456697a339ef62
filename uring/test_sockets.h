// Connected sockets and recording listeners for tests of the ring: real ones, on loopback.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "uring/chunk.h"
#include "uring/io.h"

namespace rcproxy::uring {

// Remembers its events.
class Recorder {
 public:
  Completion* get() { return &completion_.completion; }
  bool in_flight() const { return completion_.completion.in_flight(); }
  // The results so far, and the received bytes.
  std::vector<int> results;
  std::string data;
  std::vector<Slice> kept;  // Filled while keep_slices.
  bool keep_slices = false;

 private:
  struct Embedded {
    explicit Embedded(Recorder* owner) : completion(&OnEvent), recorder(owner) {}
    Completion completion;  // First member: the handler casts back.
    Recorder* recorder;
  };
  static void OnEvent(Completion* completion, Event&& event) {
    Recorder* const self = reinterpret_cast<Embedded*>(completion)->recorder;
    self->results.push_back(event.result);
    self->data.append(event.data.view());
    if (self->keep_slices && !event.data.empty()) self->kept.push_back(std::move(event.data));
  }

  Embedded completion_{this};
};

inline sockaddr_in LoopbackAddress() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class TestDescriptor {
 public:
  explicit TestDescriptor(int fd = -1) : fd_(fd) {}
  TestDescriptor(TestDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestDescriptor& operator=(TestDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~TestDescriptor() { Reset(); }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct TestListener {
  TestListener() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address(LoopbackAddress()) {
    socklen_t length = sizeof address;
    CHECK_EQ(bind(fd.get(), generic(), length), 0);
    CHECK_EQ(listen(fd.get(), 128), 0);
    CHECK_EQ(getsockname(fd.get(), generic(), &length), 0);
  }
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }
  TestDescriptor fd;
  sockaddr_in address;
};

// `ours` goes to the ring (blocking), `peer` is the test's (not blocking).
struct TestPair {
  TestDescriptor ours;
  TestDescriptor peer;

  static TestPair Tcp() {
    TestListener listener;
    TestPair pair;
    pair.peer = TestDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_EQ(connect(pair.peer.get(), listener.generic(), sizeof listener.address), 0);
    pair.ours = TestDescriptor(accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int on = 1;
    setsockopt(pair.peer.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(pair.peer.get(), F_SETFL, O_NONBLOCK);
    return pair;
  }
  static TestPair Local() {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    TestPair pair;
    pair.ours = TestDescriptor(fds[0]);
    pair.peer = TestDescriptor(fds[1]);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    return pair;
  }

  // Writes as much as fits; returns it.
  size_t PeerWrite(std::string_view data) {
    const ssize_t result = send(peer.get(), data.data(), data.size(), MSG_NOSIGNAL);
    return result < 0 ? 0 : static_cast<size_t>(result);
  }
  // Appends what is there. Returns false at the end of the stream.
  bool PeerRead(std::string* data) {
    char buffer[65536];
    for (;;) {
      const ssize_t result = recv(peer.get(), buffer, sizeof buffer, 0);
      if (result == 0) return false;
      if (result < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      data->append(buffer, static_cast<size_t>(result));
    }
  }
};

}  // namespace rcproxy::uring
