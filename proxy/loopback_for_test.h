// Real sockets for tests of what owns threads and listeners: a client that blocks, and a cluster of
// one node on a thread of its own. Only loopback and Unix sockets. Tests only.
#pragma once

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "resp/command_view.h"
#include "resp/request_scanner.h"
#include "testing/fake_view.h"

namespace rcproxy::proxy {

// A directory of its own in /tmp, because the path of a Unix socket has to be short.
class TemporaryDirectory {
 public:
  TemporaryDirectory() { CHECK(mkdtemp(path_) != nullptr); }
  ~TemporaryDirectory() {
    const std::string command = std::string("rm -r ") + path_;
    (void)!std::system(command.c_str());
  }
  std::string File(const std::string& name) const { return std::string(path_) + "/" + name; }

 private:
  char path_[32] = "/tmp/rcproxy-test-XXXXXX";
};

class LoopbackClient {
 public:
  LoopbackClient() = default;
  LoopbackClient(LoopbackClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~LoopbackClient() { Close(); }

  static LoopbackClient Tcp(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return LoopbackClient(AF_INET, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  static LoopbackClient Unix(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return LoopbackClient(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }

  bool connected() const { return fd_ >= 0; }
  void Write(std::string_view bytes) { (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // What comes until there are `bytes`, the stream ends, or ten seconds have passed.
  std::string Read(size_t bytes) {
    std::string got;
    char buffer[65536];
    while (got.size() < bytes) {
      const ssize_t size = recv(fd_, buffer, std::min(sizeof(buffer), bytes - got.size()), 0);
      if (size <= 0) break;
      got.append(buffer, static_cast<size_t>(size));
    }
    return got;
  }
  std::string Ask(std::string_view bytes, size_t reply_bytes) {
    Write(bytes);
    return Read(reply_bytes);
  }
  bool ReadsEnd() {
    char byte;
    return recv(fd_, &byte, 1, 0) == 0;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  LoopbackClient(int family, const sockaddr* address, socklen_t length)
      : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval timeout = {10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (connect(fd_, address, length) != 0) Close();
  }
  int fd_ = -1;
};

// A cluster of one node: knows CLUSTER SHARDS, GET and SET; says +OK to anything else.
class LoopbackNode {
 public:
  LoopbackNode() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    CHECK_EQ(bind(listener_, generic, length), 0);
    CHECK_EQ(listen(listener_, 16), 0);
    CHECK_EQ(getsockname(listener_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~LoopbackNode() {
    stopping_.store(true);
    thread_.join();
    for (const auto& connection : connections_) close(connection->fd);
    close(listener_);
  }
  uint16_t port() const { return port_; }
  // How long it thinks before it answers what is on data.
  void set_delay_ms(int delay_ms) { delay_ms_.store(delay_ms); }

 private:
  struct Connection {
    int fd;
    std::string input;
    resp::RequestScanner scanner;
  };

  void Run() {
    while (!stopping_.load()) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const auto& connection : connections_) polled.push_back({connection->fd, POLLIN, 0});
      if (poll(polled.data(), polled.size(), 10) <= 0) continue;
      for (size_t i = 1; i < polled.size(); ++i) {
        if (polled[i].revents != 0) Serve(connections_[i - 1].get());
      }
      if (polled[0].revents != 0) {
        connections_.push_back(std::make_unique<Connection>());
        connections_.back()->fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      }
      std::erase_if(connections_, [](const auto& connection) { return connection->fd < 0; });
    }
  }
  void Serve(Connection* connection) {
    char buffer[65536];
    const ssize_t size = recv(connection->fd, buffer, sizeof(buffer), 0);
    if (size <= 0) {
      close(std::exchange(connection->fd, -1));
      return;
    }
    connection->input.append(buffer, static_cast<size_t>(size));
    std::string replies;
    for (;;) {
      connection->scanner.Reset();
      const resp::ScanStatus status =
          connection->scanner.Scan(connection->input, resp::kDefaultRequestLimits);
      if (status != resp::ScanStatus::kCommand) break;
      replies += Answer(connection->scanner.command());
      connection->input.erase(0, connection->scanner.consumed());
    }
    (void)!send(connection->fd, replies.data(), replies.size(), MSG_NOSIGNAL);
  }
  std::string Answer(const resp::CommandView& command) {
    if (command[0] == "CLUSTER") return Shards();
    if (const int delay_ms = delay_ms_.load(); delay_ms > 0) usleep(delay_ms * 1000);
    if (command[0] == "SET") {
      values_[std::string(command[1])] = std::string(command[2]);
      return "+OK\r\n";
    }
    if (command[0] != "GET") return "+OK\r\n";
    const auto value = values_.find(std::string(command[1]));
    if (value == values_.end()) return "$-1\r\n";
    return "$" + std::to_string(value->second.size()) + "\r\n" + value->second + "\r\n";
  }
  std::string Shards() const {
    const sim::FakeMember member{"A", std::string(40, 'a'), "127.0.0.1", port_, 0, true, false};
    sim::ClusterView view;
    view.primary_of_shard = {&member};
    view.shard_of_slot.fill(0);
    return sim::EncodeClusterShards(view, {&member}, /*resp3=*/false);
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<std::string, std::string> values_;
  std::atomic<int> delay_ms_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace rcproxy::proxy
