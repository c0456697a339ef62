#include "proxy/worker.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/topology_parser.h"
#include "proxy/errors.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using sim::SimPeer;

const std::string kPing = "*1\r\n$4\r\nPING\r\n";
std::string Get(const std::string& key) { return Multibulk({"GET", key}); }

class WorkerTest : public testing::Test, public WorkerForTest {
 protected:
  WorkerTest() = default;
  explicit WorkerTest(int index) : WorkerForTest(index) {}
  // Turns that the loop makes in so long when nothing keeps time but itself.
  uint64_t TurnsIn(int64_t duration_ns) {
    io.set_returns_after_each_event(false);
    const uint64_t before = stats.loop_turns.value();
    const int64_t end_ns = io.NowNs() + duration_ns;
    io.set_horizon_ns(end_ns);
    while (io.NowNs() < end_ns) worker().RunTurn();
    io.set_returns_after_each_event(true);
    return stats.loop_turns.value() - before;
  }
};

// ---- commands

TEST_F(WorkerTest, TheFirstWorkerLearnsWhichCommandsTheNodesHave) {
  config.learn_commands = true;
  Start();
  RunUntil([this] { return resources().commands.learnt() != nullptr; });
  EXPECT_EQ(stats.command_tables_read.value(), 3u);
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Multibulk({"COMMAND", "LIST", "FILTERBY", "PATTERN", "ms*"})),
            "*1\r\n$4\r\nmset\r\n");
  EXPECT_EQ(stats.requests_in_flight.value(), 0u);
}

TEST_F(WorkerTest, StopsWhileItLearns) {
  config.learn_commands = true;
  Start();
  for (const char* name : {"A", "B", "C"}) cluster.node(name).SetPaused(true);
  RunFor(kMillisecond);
  EXPECT_EQ(stats.requests_in_flight.value(), 1u);
  Stop();
  EXPECT_EQ(stats.requests_in_flight.value(), 0u);
}

// ---- idle

class SecondWorkerTest : public WorkerTest {
 protected:
  SecondWorkerTest() : WorkerTest(1) {}
};

// A worker that does not read the map has no reason to wake at all.
TEST_F(SecondWorkerTest, DoesNotWakeWhileItIsIdle) {
  Make();
  const auto map = cluster::Topology({}, {}, {});
  worker().AdoptTopology(map);
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, kPing), "+PONG\r\n");
  TurnsIn(kSecond);
  EXPECT_EQ(resources().timers.size(), 0u);
  EXPECT_LE(TurnsIn(3600 * kSecond), 2u);
}

TEST_F(WorkerTest, TheFirstWorkerWakesForTheMapAlone) {
  config.slots_reload_interval_ms = 60'000;
  config.upstream_ping_ms = 0;
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("a") + Get("b")), "$-1\r\n$-1\r\n");
  TurnsIn(kSecond);
  EXPECT_EQ(resources().timers.size(), 1u);
  EXPECT_LE(TurnsIn(600 * kSecond), 100u);
}

TEST_F(SecondWorkerTest, WakesForAPingOnEachIdleConnectionAndForNothingElse) {
  Make();
  cluster.AssignSlots(0, 16383, cluster.node("A"));
  cluster::Node node;
  node.address = *cluster::ParseNodeAddress(cluster.Addresses()[0]);
  node.is_primary = true;
  worker().AdoptTopology(cluster::Topology({node}, {{0, {}}}, {{0, 16383, 0}}));
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("b")), "$-1\r\n");
  const size_t turns = TurnsIn(600 * kSecond);
  // Its reply comes a moment after the walk that asked; the next but one is a tenth later.
  EXPECT_EQ(stats.upstream_pings.value(), 600u / 11);
  // To send it, for its reply, for the tick that looks after it, and that has nothing more to do.
  EXPECT_LE(turns, 5 * 60u);
}

// ---- nodes that say nothing

TEST_F(WorkerTest, ANodeThatDiesWhileNobodyAsksIsKnownBeforeTheNextRequest) {
  config.upstream_ping_ms = 2000;
  config.request_timeout_ms = 1000;
  config.slots_reload_interval_ms = 1'000'000;
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("a")), "$-1\r\n");
  RunFor(kSecond);
  cluster.OwnerOf("a").SetPaused(true);
  RunFor(4 * kSecond);
  EXPECT_EQ(stats.upstream_timeouts.value(), 1u);
  EXPECT_EQ(stats.errors_outcome_unknown.value(), 0u) << "nobody had asked";
  cluster.OwnerOf("a").SetPaused(false);
  EXPECT_EQ(Ask(peer, Multibulk({"SET", "a", "1"})), "+OK\r\n");
}

TEST_F(WorkerTest, ASilentNodeIsGivenUpSoonerThanTheRequestTimeout) {
  config.upstream_silence_ms = 300;
  Start();
  sim::FakeNode& replica = cluster.AddReplica("A2", cluster.node("A"));
  SimPeer* reader = Connect();
  SimPeer* writer = Connect();
  EXPECT_EQ(Ask(reader, Get("b")), "$-1\r\n");
  cluster.node("A").SetPaused(true);
  reader->Write(Get("b"));
  writer->Write(Multibulk({"SET", "b", "1"}));
  const int64_t begin_ns = io.NowNs();
  EXPECT_EQ(Await(writer, 1), kErrorOutcomeUnknown);
  EXPECT_LE(io.NowNs() - begin_ns, 500 * kMillisecond);
  EXPECT_EQ(stats.upstream_silences.value(), 1u);
  EXPECT_EQ(reader->received(), "") << "a read waits for whoever can answer it";
  cluster.Failover(replica);
  EXPECT_EQ(Await(reader, 5), "$-1\r\n");
  EXPECT_EQ(stats.upstream_timeouts.value(), 0u);
}

TEST_F(WorkerTest, TicksWhileARequestIsUnderWay) {
  config.request_timeout_ms = 500;
  Start();
  cluster.OwnerOf("a").SetPaused(true);
  SimPeer* peer = Connect();
  peer->Write(Multibulk({"SET", "a", "1"}));
  const int64_t begin_ns = io.NowNs();
  EXPECT_EQ(Await(peer, 1), kErrorOutcomeUnknown);
  EXPECT_GE(io.NowNs() - begin_ns, 500 * kMillisecond);
  EXPECT_LE(io.NowNs() - begin_ns, 700 * kMillisecond);
}

TEST_F(WorkerTest, WhatAHangingNodeOwesIsAskedOfItsSuccessorAsSoonAsTheMapNamesIt) {
  config.request_timeout_ms = 60'000;
  config.slots_reload_interval_ms = 1'000'000;
  Start();
  sim::FakeNode& replica = cluster.AddReplica("A2", cluster.node("A"));
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("b")), "$-1\r\n");
  cluster.node("A").Vanish();
  peer->Write(Get("b"));
  RunFor(2 * kSecond);
  EXPECT_EQ(peer->received(), "");
  cluster.Failover(replica);
  const int64_t begin_ns = io.NowNs();
  EXPECT_EQ(Await(peer, 5), "$-1\r\n");
  EXPECT_LE(io.NowNs() - begin_ns, 1500 * kMillisecond);
  EXPECT_EQ(stats.upstream_silences.value(), 1u);
}

// ---- clients

TEST_F(WorkerTest, CountsClients) {
  Start();
  SimPeer* one = Connect();
  SimPeer* two = Connect();
  Settle();
  EXPECT_EQ(worker().client_count(), 2u);
  EXPECT_EQ(stats.clients_connected.value(), 2u);
  one->Close();
  two->Reset();
  RunUntil([this] { return gone == 2; });
  EXPECT_EQ(worker().client_count(), 0u);
  EXPECT_EQ(stats.clients_connected.value(), 0u);
  EXPECT_EQ(stats.clients_accepted.value(), 2u);
}

TEST_F(WorkerTest, ClosesIdleClientsAndOnlyThose) {
  config.client_idle_timeout_s = 10;
  Start();
  SimPeer* idle = Connect();
  SimPeer* busy = Connect();
  for (int i = 0; i < 30; ++i) {
    RunFor(kSecond / 2);
    ASSERT_EQ(Ask(busy, i % 2 == 0 ? kPing : Get("a"))[0], i % 2 == 0 ? '+' : '$');
    if (i == 15) {
      EXPECT_TRUE(idle->IsOpen());
    }
  }
  EXPECT_FALSE(idle->IsOpen());
  EXPECT_TRUE(busy->IsOpen());
  EXPECT_EQ(stats.clients_closed_idle.value(), 1u);
  EXPECT_EQ(gone, 1);
}

TEST_F(WorkerTest, AClientThatWaitsForANodeIsNotIdle) {
  config.client_idle_timeout_s = 1;
  config.request_timeout_ms = 60'000;
  Start();
  cluster.OwnerOf("a").SetPaused(true);
  SimPeer* peer = Connect();
  peer->Write(Get("a"));
  RunFor(20 * kSecond);
  EXPECT_TRUE(peer->IsOpen());
  cluster.OwnerOf("a").SetPaused(false);
  EXPECT_EQ(Await(peer, 1), "$-1\r\n");
}

// ---- memory

class MemoryTest : public WorkerTest {
 protected:
  MemoryTest() {
    config.memory_limit_bytes = 1'000'000;
    config.stream_reply_bytes_min = 1 << 30;
    config.client_output_soft_bytes = 100'000'000;
    config.client_output_hard_bytes = 200'000'000;
    Start();
    cluster.OwnerOf("a").store().Put("a", std::string(200'000, 'v'));
  }
};

TEST_F(MemoryTest, TheClientThatHoldsMostIsClosedAndTheOthersGoOn) {
  SimPeer* hog = Connect();
  hog->SetReading(false);
  std::string input;
  for (int i = 0; i < 20; ++i) input += Get("a");
  hog->Write(input);
  SimPeer* other = Connect();
  EXPECT_EQ(Ask(other, kPing), "+PONG\r\n");
  RunUntil([this] { return stats.clients_closed_memory.value() > 0; });
  EXPECT_EQ(stats.clients_closed_memory.value(), 1u);
  RunUntil([this] { return gone == 1; });
  RunFor(kSecond);
  EXPECT_EQ(Ask(other, kPing + Get("b")), "+PONG\r\n$-1\r\n");
  EXPECT_LT(stats.memory_bytes.value(), config.memory_limit_bytes);
  EXPECT_EQ(stats.clients_closed_memory.value(), 1u);
}

TEST_F(MemoryTest, ManyUnfinishedCommandsDoNotStopTheWorker) {
  std::vector<SimPeer*> peers;
  for (int i = 0; i < 10; ++i) {
    peers.push_back(Connect());
    peers.back()->Write("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n" + std::string(300'000, 'v'));
    Settle();
  }
  SimPeer* other = Connect();
  other->Write(kPing);
  EXPECT_EQ(Await(other, 7), "+PONG\r\n");
  EXPECT_GE(stats.clients_closed_memory.value(), 1u);
}

// ---- the cluster changes

TEST_F(WorkerTest, NodesThatLeaveAreClosedAndForgotten) {
  config.slots_reload_interval_ms = 1000;
  sim::FakeNode& replica = cluster.AddReplica("D", cluster.node("A"));
  Start();
  SimPeer* peer = Connect();
  Ask(peer, Get("a") + Get("b") + Get("c"));
  EXPECT_EQ(worker().table().node_count(), 4u);
  cluster.node("A").Kill();
  cluster.Failover(replica);
  EXPECT_EQ(Ask(peer, Get("b")), "$-1\r\n");
  RunFor(5 * kSecond);
  EXPECT_EQ(Ask(peer, Get("a") + Get("b") + Get("c")), "$-1\r\n$-1\r\n$-1\r\n");
}

TEST_F(WorkerTest, ARequestThatWaitsGoesOnWithTheNewMap) {
  sim::FakeNode& replica = cluster.AddReplica("D", cluster.node("A"));
  Start();
  SimPeer* peer = Connect();
  Ask(peer, Get("b"));
  cluster.node("A").Kill();
  peer->Write(Get("b") + Multibulk({"SET", "b", "1"}) + Get("b"));
  RunFor(300 * kMillisecond);
  EXPECT_EQ(peer->received(), "");
  cluster.Failover(replica);
  EXPECT_EQ(Await(peer, 17), "$-1\r\n+OK\r\n$1\r\n1\r\n");
}

// The nodes are visited while one of them fails, and that makes us look for others.
TEST_F(WorkerTest, ANodeThatHangsInTheMiddleOfARefreshIsGivenUp) {
  config.request_timeout_ms = 300;
  config.refresh_timeout_ms = 10'000;
  config.slots_reload_interval_ms = 500;
  for (int i = 0; i < 50; ++i) {
    config.startup_nodes.push_back({"10.9.0." + std::to_string(i), 7000});
  }
  for (const std::string& address : cluster.Addresses()) {
    config.startup_nodes.push_back(*cluster::ParseNodeAddress(address));
  }
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("a")), "$-1\r\n");
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(true);
  RunFor(5 * kSecond);
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(false);
  RunFor(5 * kSecond);
  EXPECT_EQ(Ask(peer, Get("a")), "$-1\r\n");
}

// ---- the end

TEST_F(WorkerTest, StopsAtOnceWithoutClients) {
  Start();
  worker().BeginDrain(io.NowNs() + 100 * kSecond);
  const int64_t begin_ns = io.NowNs();
  RunUntil([this] { return worker().stopped(); });
  EXPECT_LT(io.NowNs() - begin_ns, 10 * kMillisecond);
  EXPECT_EQ(io.open_descriptors(), 0u);
}

TEST_F(WorkerTest, StopsAtTheDeadlineWhateverIsUnderWay) {
  config.request_timeout_ms = 100'000;
  Start();
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(true);
  SimPeer* waiting = Connect();
  waiting->Write(Get("a") + Multibulk({"MGET", "a", "b"}));
  cluster.node("C").SetClusterDown(true);
  SimPeer* slow = Connect();
  slow->SetReading(false);
  slow->Write(Multibulk({"ECHO", std::string(900'000, 'e')}));
  RunFor(100 * kMillisecond);
  worker().BeginDrain(io.NowNs() + 3 * kSecond);
  RunFor(2900 * kMillisecond);
  EXPECT_FALSE(worker().stopped());
  EXPECT_TRUE(waiting->IsOpen());
  RunFor(200 * kMillisecond);
  EXPECT_TRUE(worker().stopped());
  EXPECT_FALSE(waiting->IsOpen());
  EXPECT_EQ(io.open_descriptors(), 0u);
  EXPECT_EQ(resources().requests.live(), 0u);
  EXPECT_EQ(gone, 2);
}

TEST_F(WorkerTest, StopsWhileRequestsWaitForARetry) {
  config.request_timeout_ms = 100'000;
  Start();
  for (int round = 0; round < 1; ++round) {
    for (sim::FakeNode* node : cluster.nodes()) node->SetClusterDown(true);
    std::vector<SimPeer*> peers;
    for (int i = 0; i < 20; ++i) {
      peers.push_back(Connect());
      peers.back()->Write(Get("a") + Get("b") + Get("c"));
      RunFor(1'700'000);
    }
    worker().BeginDrain(io.NowNs() + 50 * kMillisecond);
    RunFor(kSecond);
    EXPECT_TRUE(worker().stopped());
    EXPECT_EQ(io.open_descriptors(), 0u);
  }
}

TEST_F(WorkerTest, AClientThatComesTooLateIsClosed) {
  Start();
  SimPeer* waiting = Connect();
  cluster.OwnerOf("a").SetPaused(true);
  waiting->Write(Get("a"));
  RunFor(kMillisecond);
  worker().BeginDrain(io.NowNs() + kSecond);
  SimPeer* late = Connect();
  RunFor(10 * kMillisecond);
  EXPECT_FALSE(late->IsOpen());
  EXPECT_EQ(gone, 1);
}

TEST_F(WorkerTest, StopsBeforeItKnowsTheCluster) {
  for (sim::FakeNode* node : cluster.nodes()) node->Vanish();
  Make();
  worker().Start();
  RunFor(500 * kMillisecond);
  worker().BeginDrain(io.NowNs());
  RunUntil([this] { return worker().stopped(); }, kSecond);
  EXPECT_TRUE(worker().stopped());
  EXPECT_EQ(io.open_descriptors(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
