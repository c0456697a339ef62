// A load generator that knows what every reply has to be. Two ways of asking:
//
//   closed loop  every client keeps `pipeline` requests under way: finds the highest throughput;
//   open loop    requests are due at fixed times whatever the answers do, and their latency counts
//                from when they were due: shows what users see at a given load, stalls included.
//
// Owner: main or a test. Thread: one. Invariants: 1. a key is used by one client only (see
// value_ledger.h); 2. every request ends as one reply, as lost (its connection broke), or as
// unanswered at the end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/latency_histogram.h"
#include "benchmarks/load_connection.h"
#include "benchmarks/tcp.h"
#include "benchmarks/value_ledger.h"

namespace rcproxy::benchmarks {

struct LoadOptions {
  std::string address;
  std::string key_prefix = "load:";
  uint32_t clients = 50;
  uint32_t pipeline = 1;  // Closed loop only.
  double seconds = 5;
  double rate = 0;  // Requests per second of all clients in the open loop; 0: closed loop.
  double read_ratio = 0.9;
  uint32_t value_bytes = 64;
  uint32_t keys = 10'000;                // At least one per client.
  bool verify = true;                    // Without it only error replies are noticed.
  uint32_t requests_per_connection = 0;  // Then it is closed and opened again; 0: never.
  uint64_t seed = 1;
};

struct LoadReport {
  double seconds = 0;
  uint64_t reads = 0;  // Answered, rightly or not.
  uint64_t writes = 0;
  uint64_t errors = 0;       // Error replies.
  uint64_t lost = 0;         // Requests on a connection that broke.
  uint64_t unanswered = 0;   // Still open two seconds after the end.
  uint64_t disconnects = 0;  // Not those of requests_per_connection.
  uint64_t connections = 0;  // Opened.
  std::array<uint64_t, kVerdictCount> verdicts{};
  double longest_silence_seconds = 0;  // Of the measured part, without a good reply.
  std::string first_error;             // An error reply, or why a connection broke.
  LatencyHistogram latency;

  uint64_t requests() const { return reads + writes; }
  uint64_t wrong() const;  // Replies that are not errors, but not right either.
  std::string ToJson() const;
};

class LoadRunner final {
 public:
  explicit LoadRunner(const LoadOptions& options);

  // Writes every key once, then drives the load. Fails when the address cannot be reached at first,
  // or a key cannot be written before the measured part; later trouble is in the report.
  absl::StatusOr<LoadReport> Run();

 private:
  enum class Phase : uint8_t { kPreload, kMeasure, kDrain };
  struct Client {
    LoadConnection connection;
    uint32_t index = 0;
    uint32_t preloaded = 0;           // Keys already written in kPreload.
    uint32_t sent_on_connection = 0;  // For requests_per_connection.
    uint64_t connect_at_ns = 0;       // While not connected: when to try again.
    uint64_t connect_started_ns = 0;  // 0: before the measured part.
  };

  absl::Status ConnectAll();
  absl::Status Preload();
  void Measure();
  void Drain();

  // Waits until `until_ns` at most, and serves what happened.
  void Turn(uint64_t until_ns);
  void ServeEvent(Client* client, uint32_t events);
  void Reconnect(Client* client);
  void ReconnectAllDue();
  void Disconnect(Client* client, const absl::Status& why);

  void Refill(Client* client);
  void IssueDue();
  void Issue(Client* client, uint64_t due_ns);
  uint32_t ChooseKey(Client* client);
  uint32_t KeysOf(const Client& client) const;
  uint64_t Random();

  void OnReply(const LoadRequest& request, std::string_view reply);
  void EndSilence();
  void OnError(std::string_view reply);
  size_t CountPending() const;

  const LoadOptions options_;
  ValueLedger ledger_;
  OwnedFd epoll_;
  std::vector<std::unique_ptr<Client>> clients_;
  uint32_t disconnected_ = 0;  // How many of them are not connected.
  LoadReport report_;
  Phase phase_ = Phase::kPreload;
  uint64_t now_ns_ = 0;
  uint64_t next_due_ns_ = 0;  // Open loop: when the next request is due.
  uint32_t next_client_ = 0;  // Open loop: whose turn it is.
  uint64_t last_good_ns_ = 0;
  uint64_t random_;
};

}  // namespace rcproxy::benchmarks
