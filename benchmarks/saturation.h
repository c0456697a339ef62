// Clients and nodes of a proxy in one thread, both so cheap that the proxy is what limits: commands
// and expected replies are ready-made text, a node stores nothing (fake_node.h). Replies are
// compared byte by byte, so a proxy cannot win by answering wrongly.
//
//   clients (closed loop) --> proxy under test --> fake nodes
//   `---------------- this thread ----------------'
//
// Owner: the program's main. Thread: one. Invariants: 1. a client has no request or exactly one
// batch of `pipeline` requests under way; 2. every reply equals the expected text.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/fake_node.h"
#include "benchmarks/latency_histogram.h"
#include "benchmarks/process_cpu.h"
#include "benchmarks/tcp.h"

namespace rcproxy::benchmarks {

struct SaturationOptions {
  std::vector<uint16_t> node_ports;  // Of the fake nodes to start; 0: the kernel chooses.
  size_t value_bytes = 64;
  int clients = 50;
  int pipeline = 1;
  bool read = false;  // GET instead of SET.
  double warmup_seconds = 0.3;
  double seconds = 1.5;
};

struct SaturationResult {
  double requests_per_second = 0;
  double requests_total = 0;  // Since the start, the warm-up included.
  double proxy_us = 0;        // CPU microseconds of the proxy per request, and its two parts.
  double proxy_user_us = 0;
  double proxy_system_us = 0;
  double proxy_busy = 0;      // Share of one CPU that the proxy used.
  double generator_us = 0;    // CPU microseconds of this process per request.
  double generator_busy = 0;  // Near 1: the generator limits, not the proxy.
  double other_busy = 0;      // What everything else on the machine used.
  double p50_us = 0;          // From sending a batch to its last reply.
  double p99_us = 0;
};

class Saturation final {
 public:
  // Starts the nodes.
  static absl::StatusOr<std::unique_ptr<Saturation>> Create(const SaturationOptions& options);

  const std::vector<uint16_t>& node_ports() const { return node_ports_; }

  // Answers what is sent to the nodes until `fd` is readable.
  absl::Status ServeUntilReadable(int fd);

  // Drives the proxy at `address`, whose process is `pid`. Fails when it closes a connection or
  // answers anything but the expected reply.
  absl::StatusOr<SaturationResult> Run(const std::string& address, int pid);

 private:
  struct Peer {
    enum class Kind : uint8_t { kListener, kNode, kClient, kSignal };
    Kind kind;
    OwnedFd fd;
    std::unique_ptr<FakeNodeSession> session;  // Of a node's connection.
    std::string output;                        // Node: replies to send. Client: its batch.
    size_t sent_bytes = 0;                     // Of `output`.
    size_t received_bytes = 0;                 // Client: of the expected replies.
    uint64_t batch_start_ns = 0;
  };
  struct Snapshot {
    double seconds = 0;
    uint64_t requests = 0;
    CpuSeconds proxy;
    double generator = 0;
    double machine = 0;
  };

  explicit Saturation(const SaturationOptions& options) : options_(options) {}

  absl::Status StartNodes();
  absl::Status ConnectClients(const std::string& address);
  void Add(Peer::Kind kind, OwnedFd fd);
  std::string MakeBatch(int client) const;
  Snapshot TakeSnapshot(int pid) const;
  SaturationResult Compare(const Snapshot& from, const Snapshot& to) const;

  // Waits for events and serves them. Sets `status_` when something is wrong.
  void Turn(int timeout_ms);
  void Serve(Peer* peer, uint32_t events);
  void AcceptNodes(const Peer& listener);
  // `ending`: the peer has closed.
  void ServeNode(Peer* peer, bool ending);
  void ServeClient(Peer* peer, bool ending);
  void StartBatch(Peer* peer);
  void Flush(Peer* peer);

  const SaturationOptions options_;
  std::vector<uint16_t> node_ports_;
  std::unique_ptr<FakeCluster> cluster_;
  OwnedFd epoll_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::string expected_replies_;  // To one batch.
  std::vector<char> receive_buffer_ = std::vector<char>(256 << 10);
  LatencyHistogram latencies_;
  uint64_t requests_done_ = 0;
  bool signalled_ = false;  // The descriptor of ServeUntilReadable is readable.
  absl::Status status_;
};

}  // namespace rcproxy::benchmarks
