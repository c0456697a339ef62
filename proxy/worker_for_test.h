// A whole worker before a fake cluster, on the simulated network, as a test of the upper half of
// rcproxy wants it. Tests only.
//
//   SimPeer (client) <-> Worker <-> FakeCluster: A 0-5460, B 5461-10922, C 10923-16383
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/learnt_commands.h"
#include "cluster/topology.h"
#include "cluster/topology_parser.h"
#include "proxy/config.h"
#include "proxy/resolver.h"
#include "proxy/server_facts.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "testing/fake_cluster.h"
#include "testing/sim_io.h"
#include "testing/sim_network.h"
#include "testing/sim_schedule.h"
#include "uring/mailbox.h"

namespace rcproxy::proxy {

class WorkerForTest : private WorkerHost {
 public:
  explicit WorkerForTest(int index = 0, const sim::SimIoOptions& options = {})
      : io(network, options), index_(index) {
    io.set_returns_after_each_event(true);
    const std::pair<int, int> slots[] = {{0, 5460}, {5461, 10922}, {10923, 16383}};
    for (int i = 0; i < 3; ++i) {
      sim::FakeNode& node = cluster.AddPrimary(std::string(1, static_cast<char>('A' + i)));
      cluster.AssignSlots(slots[i].first, slots[i].second, node);
    }
    config.learn_commands = false;  // Tests watch what nodes receive.
    facts.config = &config;
    facts.workers = {&stats};
    facts.run_id = std::string(40, 'a');
  }
  ~WorkerForTest() override { Stop(); }

  // After the configuration has been changed as the test wants it. Nodes are the startup nodes.
  void Make() {
    if (config.startup_nodes.empty()) {
      for (const std::string& address : cluster.Addresses()) {
        config.startup_nodes.push_back(*cluster::ParseNodeAddress(address));
      }
    }
    worker_ =
        std::make_unique<Worker>(index_, io, config, facts, stats, static_cast<WorkerHost&>(*this));
  }
  // Makes the worker and waits until it knows the cluster.
  void Start() {
    Make();
    worker().Start();
    RunUntil([this] { return IsReady(); });
  }
  bool IsReady() { return !worker().table().Primaries().empty(); }
  void Stop() {
    if (worker_ == nullptr) return;
    worker().BeginDrain(io.NowNs());
    RunUntil([this] { return worker().stopped(); });
    worker_.reset();
  }

  Worker& worker() { return *worker_; }
  Resources& resources() { return worker().resources(); }

  sim::SimPeer* Connect() {
    const sim::SimIo::Client client = io.NewClient();
    worker().AdoptClient({.fd = client.fd, .id = next_id_++});
    return client.peer;
  }
  // Runs until the peer has received as many bytes as `expected` has, and a little longer; then
  // takes all it has.
  std::string Await(sim::SimPeer* peer, size_t bytes) {
    RunUntil([&] { return peer->received().size() >= bytes || !peer->IsOpen(); },
             30 * sim::kSecond);
    Settle();
    return peer->Take();
  }
  std::string Ask(sim::SimPeer* peer, std::string_view bytes) {
    peer->Write(bytes);
    return Await(peer, 1);
  }
  void Settle() { RunFor(2 * sim::kMillisecond); }
  void RunFor(int64_t duration_ns) {
    const int64_t end_ns = io.NowNs() + duration_ns;
    while (io.NowNs() < end_ns) Turn(end_ns);
  }
  bool RunUntil(const std::function<bool()>& condition, int64_t timeout_ns = 60 * sim::kSecond) {
    const int64_t end_ns = io.NowNs() + timeout_ns;
    while (!condition() && io.NowNs() < end_ns) Turn(io.NowNs() + sim::kMillisecond);
    return condition();
  }
  void Turn(int64_t until_ns) {
    io.set_horizon_ns(until_ns);
    worker().RunTurn();
    worker().CheckInvariants();
  }

  sim::SimSchedule schedule{1};
  sim::SimNetwork network{schedule};
  sim::FakeCluster cluster{network};
  sim::SimIo io;
  Config config;
  Stats stats;
  ServerFacts facts;
  int refreshes = 0;     // Asked for.
  int publications = 0;  // Maps.
  int gone = 0;          // Clients.
  bool adopts = true;    // What is published reaches the worker.

 private:
  void RequestRefresh() override {
    ++refreshes;
    worker().mailbox().Post([this] { worker().RefreshTopology(); });
  }
  void RequestLearning() override {
    worker().mailbox().Post([this] { worker().RelearnCommands(); });
  }
  void PublishTopology(std::shared_ptr<const cluster::Topology> topology) override {
    ++publications;
    if (!adopts) return;
    worker().mailbox().Post([this, topology] { worker().AdoptTopology(*topology); });
  }
  void PublishCommands(std::shared_ptr<const cluster::LearntCommands> commands) override {
    worker().mailbox().Post([this, commands] { worker().AdoptCommands(commands); });
  }
  void OnClientGone(int) override { ++gone; }
  void Resolve(const cluster::NodeAddress&, uring::Mailbox& mailbox, Resolved done) override {
    mailbox.Post([done = std::move(done)] { done(SocketAddress()); });
  }

  const int index_;
  int64_t next_id_ = 1;
  std::unique_ptr<Worker> worker_;
};

}  // namespace rcproxy::proxy
