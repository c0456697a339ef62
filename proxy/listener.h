// Listening sockets: opened and checked at start, so that a port in use is known at once; they
// begin to listen only when rcproxy can serve. Meanwhile an address is taken, although nobody
// listens: a port is bound without SO_REUSEADDR, which it gets only then, and beside the path of a
// Unix socket goes an abstract name, which ends with the process.
//
// Owner: Server. Thread: Open and Listen on the main thread or the accepting worker's; accepted
// descriptors go to `accept`.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config.h"
#include "uring/io.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class Listener {
 public:
  using OnAccept = std::function<void(int fd)>;

  // Binds. Errors name the address and the cause.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const ListenAddress& address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Begins to listen and to accept on `io`, on its thread. Errors are as of Open.
  absl::Status Start(uring::Io& io, uring::TimerQueue& timers, OnAccept on_accept);
  // Ends accepting; IsStopped() once the kernel has let go.
  void Stop();
  bool IsStopped() const { return !accept_.completion.in_flight(); }
  // The port that was bound; useful when the configured one was 0.
  uint16_t port() const { return port_; }
  const ListenAddress& address() const { return address_; }

 private:
  struct AcceptOperation {
    explicit AcceptOperation(Listener* owner);
    uring::Completion completion;  // First member: the handler casts back.
    Listener* owner;
  };
  // What is open for an address.
  struct Bound {
    int fd = -1;
    int lock_fd = -1;    // Has the abstract name; a Unix socket only.
    uint64_t inode = 0;  // Of the socket's file.
  };

  static absl::StatusOr<Bound> BindTcp(const ListenAddress& address);
  static absl::StatusOr<Bound> BindUnix(const ListenAddress& address);
  Listener(const ListenAddress& address, const Bound& bound);
  void Accept();
  void OnAccepted(int result, bool more);

  const ListenAddress address_;
  const Bound bound_;
  const uint16_t port_;
  bool stopping_ = false;
  uring::Io* io_ = nullptr;
  OnAccept on_accept_;
  AcceptOperation accept_;
  std::unique_ptr<uring::Timer> retry_;  // After the process ran out of descriptors.
};

}  // namespace rcproxy::proxy
