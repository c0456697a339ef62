// Turns a node's address into a socket address. Literal addresses at once; names on a thread of
// their own, because the system's resolver blocks.
//
// Owner: Server has one Resolver for all workers; a Worker has a NameResolver, which brings answers
// to the worker's thread.
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cluster/topology.h"

namespace rcproxy::proxy {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;  // 0: not found.
};

using Resolved = std::function<void(const SocketAddress&)>;

// True when the host is a literal IPv4 or IPv6 address.
bool ResolveLiteral(const cluster::NodeAddress& address, SocketAddress* result);

class NameResolver {
 public:
  virtual ~NameResolver() = default;
  // Runs `done` on the thread of the caller, later.
  virtual void Resolve(const cluster::NodeAddress& address, Resolved done) = 0;
};

class Resolver {
 public:
  Resolver() = default;
  ~Resolver() { Stop(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Runs `done` on the resolver's thread. Any thread.
  void Start(const cluster::NodeAddress& address, Resolved done);
  // Waits for the look-up that is running and drops the others; nothing is answered any more.
  void Stop();

 private:
  struct Question {
    cluster::NodeAddress address;
    Resolved done;
  };
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> questions_;
  bool stopping_ = false;
  std::thread thread_;  // Started by the first question.
};

}  // namespace rcproxy::proxy
