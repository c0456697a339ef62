// One worker's resources on the simulated network, for tests of the parts below a Worker: a loop
// without clients of its own, nodes that the test plays by hand, and clients that are nothing but a
// queue of replies. Tests only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"
#include "proxy/config.h"
#include "proxy/reply_queue.h"
#include "proxy/resolver.h"
#include "proxy/resources.h"
#include "proxy/stats.h"
#include "testing/sim_io.h"
#include "testing/sim_network.h"
#include "testing/sim_schedule.h"

namespace rcproxy::proxy {

class SimForTest {
 public:
  explicit SimForTest(const sim::SimIoOptions& options = {}) : io(network, options) {
    io.set_returns_after_each_event(true);
  }
  SimForTest(const SimForTest&) = delete;
  SimForTest& operator=(const SimForTest&) = delete;

  // One turn, as a worker does it; time does not go beyond `until_ns`.
  void Turn(int64_t until_ns) {
    const bool dirty = !resources.dirty_clients.IsEmpty() || !resources.dirty_upstreams.IsEmpty();
    const int64_t next_ns = std::min(resources.timers.NextDeadlineNs(), until_ns);
    io.Poll(dirty ? 0 : next_ns);
    resources.timers.RunExpired(io.NowNs());
    while (Flushable* upstream = resources.dirty_upstreams.PopFront()) upstream->Flush();
    while (Flushable* client = resources.dirty_clients.PopFront()) client->Flush();
  }
  void RunFor(int64_t duration_ns) {
    const int64_t end_ns = io.NowNs() + duration_ns;
    while (io.NowNs() < end_ns) Turn(end_ns);
  }
  bool RunUntil(const std::function<bool()>& condition, int64_t timeout_ns = 60 * sim::kSecond) {
    const int64_t end_ns = io.NowNs() + timeout_ns;
    while (!condition() && io.NowNs() < end_ns) Turn(io.NowNs() + sim::kMillisecond);
    return condition();
  }

  sim::SimSchedule schedule{1};
  sim::SimNetwork network{schedule};
  sim::SimIo io;
  Config config;
  Stats stats;
  Resources resources{io, config, stats};
};

// Answers literal addresses; names when the test says so.
class ResolverForTest final : public NameResolver {
 public:
  void Resolve(const cluster::NodeAddress&, Resolved done) override {
    questions.push_back(std::move(done));
  }
  std::vector<Resolved> questions;
};

// A node that says only what the test writes.
class NodeForTest {
 public:
  NodeForTest(sim::SimNetwork& network, const std::string& address) : address_(address) {
    network.Listen(address, [this](sim::SimPeer* peer) { peers_.push_back(peer); });
  }
  NodeForTest(const NodeForTest&) = delete;
  NodeForTest& operator=(const NodeForTest&) = delete;

  const std::string& address() const { return address_; }
  size_t connections() const { return peers_.size(); }
  bool connected() const { return !peers_.empty() && peers_.back()->IsOpen(); }
  // The latest connection.
  sim::SimPeer& peer() { return *peers_.back(); }
  sim::SimPeer& peer(size_t index) { return *peers_[index]; }
  // What it has received on the latest connection since the last time.
  std::string Take() { return peers_.empty() ? std::string() : peer().Take(); }
  bool HasInput() const { return !peers_.empty() && !peers_.back()->received().empty(); }
  void Reply(std::string_view bytes) { peer().Write(bytes); }

 private:
  const std::string address_;
  std::vector<sim::SimPeer*> peers_;
};

// A client as the parts below ClientConnection see it.
class ClientForTest final : public Flushable {
 public:
  explicit ClientForTest(Resources& resources) : replies(resources, this) {}
  ~ClientForTest() { Leave(); }

  void Flush() override { ++flushes; }
  // Everything that is ready for it, as if it had been sent.
  std::string Take() {
    OutputQueue& output = replies.output();
    std::string bytes;
    while (!output.empty()) {
      const std::string_view first = output.FirstSegment();
      bytes.append(first);
      output.Consume(first.size());
    }
    if (replies.stalled()) replies.ResumeStalled();
    return bytes;
  }
  bool HasOutput() const { return !replies.output().empty(); }
  void Leave() {
    if (!gone_) replies.Abandon();
    gone_ = true;
  }

  ReplyQueue replies;
  int flushes = 0;

 private:
  bool gone_ = false;
};

// "GET x" -> its multibulk form.
inline std::string Multibulk(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}
inline std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

}  // namespace rcproxy::proxy
