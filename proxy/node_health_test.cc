#include "proxy/node_health.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/topology.h"
#include "proxy/errors.h"
#include "proxy/router_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class NodeHealthTest : public testing::Test, public RouterForTest {
 protected:
  NodeHealthTest() {
    sim.config.upstream_ping_ms = 10'000;
    sim.config.upstream_silence_ms = 500;
    OpenAll();
  }
  NodeHealth& health() {
    if (health_ == nullptr) health_ = std::make_unique<NodeHealth>(sim.resources, table, topology);
    return *health_;
  }
  void Tick() { health().OnTick(sim.io.NowNs()); }
  UpstreamNode& NodeA() { return *table.NodeAt(AddressOf('A')); }
  uint64_t pings() { return sim.stats.upstream_pings.value(); }
  uint64_t silences() { return sim.stats.upstream_silences.value(); }

  std::unique_ptr<NodeHealth> health_;
};

// ---- idle connections

TEST_F(NodeHealthTest, AConnectionThatNobodyUsesIsAskedAfterTheIntervalAndAgainAfterTheNext) {
  Tick();
  sim.RunFor(9 * kSecond);
  EXPECT_EQ(pings(), 0u);
  for (int round = 1; round <= 3; ++round) {
    sim.RunUntil([this] { return a.HasInput(); });
    Settle();
    EXPECT_EQ(pings(), 3u * round);
    for (NodeForTest* node : {&a, &b, &c}) {
      EXPECT_EQ(node->Take(), Wire("PING"));
      Reply(*node, "+PONG\r\n");
    }
    sim.RunFor(9 * kSecond);
    EXPECT_EQ(pings(), 3u * round) << "and not before that";
  }
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(NodeA().primary_link().state(), UpstreamConnection::State::kReady);
}

TEST_F(NodeHealthTest, AConnectionWithTrafficIsNotAsked) {
  Tick();
  for (int i = 0; i < 30; ++i) {
    SendNow(std::string("GET ") + kKeyOfA);
    EXPECT_EQ(a.Take(), Wire(std::string("GET ") + kKeyOfA));
    Reply(a, "$-1\r\n");
    sim.RunFor(kSecond);
  }
  EXPECT_GT(pings(), 0u) << "the others are";
}

TEST_F(NodeHealthTest, WhateverTheNodeAnswersIsASignOfLife) {
  Tick();
  for (const char* reply : {"-LOADING wait\r\n", "-NOAUTH Authentication required.\r\n",
                            "-MOVED 1 10.0.0.2:7000\r\n", "$4\r\nPONG\r\n"}) {
    sim.RunUntil([this] { return a.HasInput(); });
    a.Take();
    Reply(a, reply);
    EXPECT_EQ(NodeA().primary_link().state(), UpstreamConnection::State::kReady) << reply;
  }
  EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
  EXPECT_EQ(sim.stats.redirects_moved.value(), 0u);
}

TEST_F(NodeHealthTest, BeingAskedIsNoUse) {
  const int64_t used_ns = NodeA().primary_link().last_used_ns();
  Tick();
  for (int i = 0; i < 2; ++i) {
    sim.RunUntil([this] { return a.HasInput(); });
    a.Take();
    Reply(a, "+PONG\r\n");
    EXPECT_EQ(NodeA().primary_link().last_used_ns(), used_ns);
  }
  SendNow(std::string("GET ") + kKeyOfA);
  EXPECT_GT(NodeA().primary_link().last_used_ns(), used_ns + 10 * kSecond);
}

TEST_F(NodeHealthTest, ZeroAsksNobody) {
  sim.config.upstream_ping_ms = 0;
  Tick();
  sim.RunFor(100 * kSecond);
  EXPECT_EQ(pings(), 0u);
}

TEST_F(NodeHealthTest, WhereNothingIsOpenNoTimerRuns) {
  Tick();
  table.ForEachNode([](UpstreamNode& node) { node.primary_link().CloseIdle(); });
  sim.RunFor(11 * kSecond);
  EXPECT_EQ(sim.resources.timers.size(), 0u);
  OpenAll();
  Tick();
  EXPECT_EQ(sim.resources.timers.size(), 1u);
}

// ---- silence

TEST_F(NodeHealthTest, ASilentNodeLosesItsConnectionsAndMustShowThatItLives) {
  ClientForTest writer(sim.resources);
  Send(std::string("GET ") + kKeyOfA);
  Send(&writer, std::string("SET ") + kKeyOfA + " 1");
  Settle();
  a.Take();
  sim.RunFor(400 * kMillisecond);
  Tick();
  EXPECT_EQ(silences(), 0u);
  sim.RunFor(100 * kMillisecond);
  Tick();
  EXPECT_EQ(silences(), 1u);
  EXPECT_EQ(writer.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(client.Take(), "") << "a read is tried again";
  EXPECT_GT(topology.requests, 0) << "perhaps another has taken over";
  sim.RunUntil([this] { return a.connections() == 2 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("PING"));
  Reply(a, "+PONG\r\n");
  EXPECT_EQ(a.Take(), Wire(std::string("GET ") + kKeyOfA));
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
}

TEST_F(NodeHealthTest, ANodeThatAnswersOnAnotherConnectionIsNotSilent) {
  SendNow(std::string("GET ") + kKeyOfA);
  sim.RunFor(400 * kMillisecond);
  UpstreamConnection& other = NodeA().link({.replica_reads = true});
  Request* request = sim.resources.NewRequest();
  request->sink = Request::Sink::kIgnore;
  std::memcpy(other.Accept(request, kPingCommand.size()), kPingCommand.data(), kPingCommand.size());
  Settle();
  a.Take();
  Reply(a, "+OK\r\n+PONG\r\n");  // READONLY and PING.
  sim.RunFor(200 * kMillisecond);
  Tick();
  EXPECT_EQ(silences(), 0u);
  sim.RunFor(400 * kMillisecond);
  Tick();
  EXPECT_EQ(silences(), 1u);
  EXPECT_NE(other.state(), UpstreamConnection::State::kReady) << "all its connections are closed";
}

TEST_F(NodeHealthTest, ANodeThatOwesNothingMaySaySo) {
  sim.RunFor(5 * kSecond);
  Tick();
  EXPECT_EQ(silences(), 0u);
}

TEST_F(NodeHealthTest, AClientThatBlocksIsOwedNothing) {
  UpstreamConnection* own = NodeA().TakeOwnLink(/*resp3=*/false);
  Request* request = sim.resources.NewRequest();
  client.replies.Push(request);
  request->spec = cluster::FindCommand("blpop");
  request->is_private = true;
  const std::string command = Wire("BLPOP b 0");
  std::memcpy(own->Accept(request, command.size()), command.data(), command.size());
  Settle();
  AnswerGreetings();
  sim.RunFor(60 * kSecond);
  Tick();
  EXPECT_EQ(silences(), 0u);
  EXPECT_EQ(own->state(), UpstreamConnection::State::kReady);
  own->Fail("the test is over");
}

// ---- what the others say of it

class ReplacedNodeTest : public NodeHealthTest {
 protected:
  ReplacedNodeTest() {
    sim.config.upstream_silence_ms = 0;
    topology.requests = 0;
  }
  // B has A's slots, if `replaced`; A is down, if not `online`.
  cluster::Topology MapAfter(bool replaced, bool online) {
    cluster::Node old = NodeNamed('A', !replaced);
    old.is_online = online;
    const uint16_t owner = replaced ? 1 : 0;
    return cluster::Topology({old, NodeNamed('B', true), NodeNamed('C', true)}, Shards(replaced),
                             {{0, 5460, owner}, {5461, 10922, 1}, {10923, 16383, 2}});
  }
  void Adopt(const cluster::Topology& map) {
    table.Adopt(map);
    health().OnMap(map);
    router.OnTopologyChanged();
    Settle();
  }

 private:
  static std::vector<cluster::Shard> Shards(bool replaced) {
    if (replaced) return {{}, {1, {0}}, {2, {}}};
    return {{0, {}}, {1, {}}, {2, {}}};
  }
};

TEST_F(ReplacedNodeTest, TheMapIsReadWhenANodeOwesForAWhile) {
  SendNow("GET b");
  sim.RunFor(400 * kMillisecond);
  Tick();
  EXPECT_EQ(topology.requests, 0);
  sim.RunFor(100 * kMillisecond);
  Tick();
  EXPECT_EQ(topology.requests, 1);
  sim.RunFor(100 * kMillisecond);
  Tick();
  EXPECT_EQ(topology.requests, 1) << "twice a second is enough";
  sim.RunFor(400 * kMillisecond);
  Tick();
  EXPECT_EQ(topology.requests, 2);
}

TEST_F(ReplacedNodeTest, WhatItOwesIsAskedOfItsSuccessorAtOnce) {
  SendNow("GET b");
  sim.RunFor(500 * kMillisecond);
  Adopt(MapAfter(/*replaced=*/true, /*online=*/false));
  EXPECT_EQ(silences(), 1u);
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
}

TEST_F(ReplacedNodeTest, AWriteThatItOwesHasAnUnknownOutcome) {
  SendNow("SET b 1");
  sim.RunFor(500 * kMillisecond);
  Adopt(MapAfter(true, false));
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(b.Take(), "");
}

TEST_F(ReplacedNodeTest, WhileNobodyHasReplacedItItMayComeBack) {
  SendNow("SET b 1");
  sim.RunFor(500 * kMillisecond);
  Adopt(MapAfter(/*replaced=*/false, /*online=*/false));
  EXPECT_EQ(silences(), 0u);
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(ReplacedNodeTest, OneThatHandsOverAsPlannedAnswersWhatItHas) {
  SendNow("SET b 1");
  sim.RunFor(500 * kMillisecond);
  Adopt(MapAfter(/*replaced=*/true, /*online=*/true));
  EXPECT_EQ(silences(), 0u);
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(ReplacedNodeTest, OneThatHasJustAnsweredIsNotSilentWhateverTheMapSays) {
  Send("GET b");
  SendNow("GET f");
  sim.RunFor(400 * kMillisecond);
  Reply(a, "$1\r\n1\r\n");
  sim.RunFor(200 * kMillisecond);
  Adopt(MapAfter(true, false));
  EXPECT_EQ(silences(), 0u);
}

TEST_F(NodeHealthTest, ZeroLeavesItToTheRequestTimeout) {
  sim.config.upstream_silence_ms = 0;
  SendNow(std::string("GET ") + kKeyOfA);
  sim.RunFor(4 * kSecond);
  Tick();
  EXPECT_EQ(silences(), 0u);
  EXPECT_EQ(NodeA().primary_link().state(), UpstreamConnection::State::kReady);
}

}  // namespace
}  // namespace rcproxy::proxy
