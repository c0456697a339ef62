// What happens to requests while their shard has no primary that can be reached.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/errors.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;

class RouterHoldTest : public testing::Test, public RouterForTest {
 protected:
  ~RouterHoldTest() override { clients.clear(); }

  void StopA() {
    sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
    if (a.connected()) a.peer().Reset();
  }
  void StartA() { sim.network.SetConnectMode(a.address(), sim::ConnectMode::kAccept); }
  ClientForTest& NewClient() {
    clients.push_back(std::make_unique<ClientForTest>(sim.resources));
    return *clients.back();
  }
  // One client for each of `count` commands on a key of A.
  void SendToA(int count, const std::string& value = "") {
    for (int i = 0; i < count; ++i) {
      const std::string command = "SET b " + value + std::to_string(clients.size());
      ASSERT_TRUE(Send(&NewClient(), command));
      Settle();
    }
  }
  bool AwaitA() {
    return sim.RunUntil([this] { return a.HasInput(); });
  }

  UpstreamConnection& link() { return table.NodeAt(AddressOf('A'))->primary_link(); }

  std::vector<std::unique_ptr<ClientForTest>> clients;
  IgnoredReply ignored;
};

TEST_F(RouterHoldTest, BeyondTheLimitThereIsAnErrorAtOnceAndOtherShardsAreServed) {
  sim.config.hold_requests_max = 2;
  StopA();
  SendToA(4);
  EXPECT_FALSE(clients[0]->HasOutput());
  EXPECT_FALSE(clients[1]->HasOutput());
  EXPECT_EQ(clients[2]->Take(), kErrorShed);
  EXPECT_EQ(clients[3]->Take(), kErrorShed);
  EXPECT_EQ(sim.stats.requests_held.value(), 2u);
  EXPECT_EQ(sim.stats.errors_shed.value(), 2u);
  SendNow("GET c");
  EXPECT_EQ(b.Take(), Wire("GET c"));
}

TEST_F(RouterHoldTest, WhatIsHeldGoesOutInTheOrderInWhichItCame) {
  StopA();
  SendToA(3);
  StartA();
  ASSERT_TRUE(AwaitA());
  EXPECT_EQ(a.Take(), Wire("SET b 0") + Wire("SET b 1") + Wire("SET b 2"));
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
  Reply(a, "+0\r\n+1\r\n+2\r\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(clients[i]->Take(), "+" + std::to_string(i) + "\r\n");
}

TEST_F(RouterHoldTest, TheYoungestOfAPipelineAreShedAndKeepTheirPlaces) {
  sim.config.hold_requests_max = 2;
  OpenAll();
  for (const char* command : {"GET b", "GET {b}1", "GET {b}2"}) EXPECT_TRUE(Send(command));
  Settle();
  a.Take();
  StopA();
  Settle();
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(sim.stats.errors_shed.value(), 1u);
  StartA();
  ASSERT_TRUE(AwaitA());
  Reply(a, "+0\r\n+1\r\n");
  EXPECT_EQ(client.Take(), "+0\r\n+1\r\n" + std::string(kErrorShed));
}

TEST_F(RouterHoldTest, BytesAreLimited) {
  sim.config.hold_bytes_max = 200;
  StopA();
  SendToA(2, std::string(120, 'x'));
  EXPECT_FALSE(clients[0]->HasOutput());
  EXPECT_EQ(clients[1]->Take(), kErrorShed);
}

TEST_F(RouterHoldTest, WhatWaitsForAConnectionToOpenIsPartOfTheWindow) {
  sim.config.hold_requests_max = 3;
  sim.config.connect_timeout_ms = 100;
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kSilent);
  SendToA(5);
  EXPECT_EQ(table.NodeAt(AddressOf('A'))->waiting().requests, 5u) << "nothing says it is not well";
  ASSERT_TRUE(sim.RunUntil([this] { return clients[4]->HasOutput(); }));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(clients[i]->HasOutput());
  EXPECT_EQ(clients[3]->Take(), kErrorShed);
  EXPECT_EQ(clients[4]->Take(), kErrorShed);
  ASSERT_TRUE(
      sim.RunUntil([this] { return table.NodeAt(AddressOf('A'))->waiting().requests == 3; }));
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
  SendToA(1);
  EXPECT_EQ(clients[5]->Take(), kErrorShed);
  SendNow("GET c");
  EXPECT_EQ(b.Take(), Wire("GET c"));
}

TEST_F(RouterHoldTest, OwnQuestionsTakeNobodysRoom) {
  sim.config.hold_requests_max = 2;
  sim.config.connect_timeout_ms = 100;
  OpenAll();
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kSilent);
  a.peer().Reset();
  Settle();
  ASSERT_TRUE(sim.RunUntil([this] { return link().CanAccept(); }));
  for (int i = 0; i < 3; ++i) link().Ask(Wire("CLUSTER INFO"), &ignored);
  SendToA(3);
  EXPECT_FALSE(clients[0]->HasOutput());
  EXPECT_FALSE(clients[1]->HasOutput());
  EXPECT_EQ(clients[2]->Take(), kErrorShed);
}

// Of a client that has nothing else to wait for something is always taken, or it would never know
// when to go on.
TEST_F(RouterHoldTest, BehindANodeWithTooMuchToDoEachClientHasOneRequest) {
  sim.config.upstream_queue_bytes_max = 10 * sizeof(Request);
  OpenAll();
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(Send(&NewClient(), "GET b"));
  Settle();
  EXPECT_FALSE(Send(clients[0].get(), "GET b"));
  EXPECT_FALSE(Send(clients[0].get(), "MGET c b"));
  EXPECT_EQ(sim.stats.clients_held_back.value(), 2u);
  EXPECT_TRUE(Send(clients[0].get(), "GET c")) << "others are well";
  EXPECT_TRUE(Send(&NewClient(), "GET b"));
  Settle();
  for (int i = 0; i < 12; ++i) Reply(a, "$1\r\n1\r\n");
  EXPECT_TRUE(Send(clients[0].get(), "GET b"));
}

TEST_F(RouterHoldTest, APartThatIsShedFailsItsCommand) {
  sim.config.hold_requests_max = 1;
  StopA();
  SendToA(1);
  SendNow("MGET c b");
  EXPECT_EQ(b.Take(), Wire("MGET c"));
  Reply(b, "*1\r\n$1\r\n1\r\n");
  EXPECT_EQ(client.Take(), kErrorShed);
}

TEST_F(RouterHoldTest, TheNodesOwnErrorIsTheAnswerWhenItGaveOne) {
  sim.config.hold_requests_max = 0;
  SendNow("GET b");
  Reply(a, "-LOADING Redis is loading the dataset in memory\r\n");
  EXPECT_EQ(client.Take(), "-LOADING Redis is loading the dataset in memory\r\n");
  EXPECT_EQ(sim.stats.errors_shed.value(), 1u);
}

TEST_F(RouterHoldTest, WhatWaitsForSomethingElseThanAPrimaryIsNotShed) {
  sim.config.hold_requests_max = 0;
  SendNow("MGET {b}1 {b}2");
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  EXPECT_FALSE(client.HasOutput());
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("MGET {b}1 {b}2"));
}

TEST_F(RouterHoldTest, TheWaitHasALimitOfItsOwn) {
  sim.config.hold_timeout_ms = 100;
  StopA();
  SendToA(1);
  sim.RunFor(150 * kMillisecond);
  EXPECT_EQ(clients[0]->Take(), kErrorUnreachable);
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
}

TEST_F(RouterHoldTest, AClientThatLeavesMakesRoom) {
  sim.config.hold_requests_max = 1;
  StopA();
  SendToA(1);
  clients[0]->Leave();
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
  SendToA(1);
  EXPECT_FALSE(clients[1]->HasOutput());
}

TEST_F(RouterHoldTest, AClientThatLeavesWithWhatIsShedLeavesNothingBehind) {
  sim.config.hold_requests_max = 0;
  StopA();
  EXPECT_TRUE(Send(&NewClient(), "SET b 1"));
  sim.RunUntil([this] { return sim.stats.upstream_connect_failures.value() > 0; });
  EXPECT_TRUE(Send(&NewClient(), "SET b 1"));
  clients[1]->Leave();
  Settle();
  EXPECT_EQ(sim.stats.requests_in_flight.value(), 0u);
}

TEST_F(RouterHoldTest, TheMapThatNamesANewPrimaryReleasesAll) {
  StopA();
  SendToA(2);
  cluster::Topology map({NodeNamed('B', true)}, {{0, {}}}, {{0, 16383, 0}});
  table.Adopt(map);
  router.OnTopologyChanged();
  Settle();
  EXPECT_EQ(b.Take(), Wire("SET b 0") + Wire("SET b 1"));
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
}

// However many clients want something: what a node that comes back gets at once is what the window
// holds, on one connection, and nobody has pestered it meanwhile.
TEST_F(RouterHoldTest, TheStormAfterANodeHasComeBackIsAsLargeAsTheWindow) {
  sim.config.hold_requests_max = 100;
  sim.config.request_timeout_ms = 60'000;
  StopA();
  for (int i = 0; i < 1000; ++i) Send(&NewClient(), "SET b " + std::to_string(i));
  sim.RunFor(10'000 * kMillisecond);
  EXPECT_EQ(sim.stats.errors_shed.value(), 900u);
  // From 20 ms on twice as long each time, then 75 ms; the jitter takes off at most half.
  EXPECT_LE(sim.stats.upstream_connects.value(), 3u + 10'000u / 37);
  StartA();
  ASSERT_TRUE(AwaitA());
  Settle();
  EXPECT_EQ(a.connections(), 1u);
  std::string released;
  for (int i = 0; i < 100; ++i) released += Wire("SET b " + std::to_string(i));
  EXPECT_EQ(a.Take(), released);
  EXPECT_EQ(sim.stats.requests_held.value(), 0u);
}

TEST_F(RouterHoldTest, TheMoreAreHeldTheLessOftenTheyAreTried) {
  StopA();
  for (int i = 0; i < 8200; ++i) Send(&NewClient(), "SET b 1");
  sim.RunFor(100 * kMillisecond);
  const uint64_t before = sim.stats.retries.value();
  sim.RunFor(1000 * kMillisecond);
  const uint64_t rounds = (sim.stats.retries.value() - before) / 8200;
  EXPECT_GE(rounds, 1000u / (4 * sim.config.retry_delay_ms));
  // Each refused connection gives them back once.
  EXPECT_LE(rounds, 1000u / (3 * sim.config.retry_delay_ms) + 1000u / 37);
}

// ---- nodes that are slow, but there

class OverloadTest : public RouterHoldTest {
 protected:
  OverloadTest() {
    sim.config.shed_queue_delay_ms = 20;
    OpenAll();
  }
  // For so long A answers one request in 5 ms, while `wanted` come in the same time.
  void Run(int duration_ms, int wanted) {
    for (int ms = 0; ms < duration_ms; ms += 5) {
      for (int i = 0; i < wanted; ++i) Send(&NewClient(), "SET b 1");
      Settle();
      if (link().in_flight() > 0) a.Reply("+OK\r\n");
      sim.RunFor(4 * kMillisecond);
    }
  }
  uint64_t refused() { return sim.stats.errors_overload.value(); }
};

TEST_F(OverloadTest, WhileMoreIsWantedThanANodeCanDoTheQueueIsKeptAsShortAsTheTarget) {
  Run(2000, 2);
  EXPECT_GT(refused(), 100u);
  EXPECT_LE(link().in_flight(), 8u) << "20 ms are four requests";
  SendNow("GET c");
  EXPECT_EQ(b.Take(), Wire("GET c")) << "another node is not concerned";
  Run(100, 0);
  size_t done = 0;
  for (const auto& each : clients) {
    const std::string reply = each->Take();
    EXPECT_TRUE(reply == "+OK\r\n" || reply == kErrorOverload) << reply;
    done += reply == "+OK\r\n";
  }
  EXPECT_EQ(done + refused(), clients.size());
  EXPECT_GE(done, 380u) << "the node is busy all the time";
}

TEST_F(OverloadTest, WhenLessIsWantedAllAreServed) {
  Run(1000, 2);
  Run(1000, 0);
  const uint64_t before = refused();
  for (int i = 0; i < 100; ++i) {
    Run(5, 1);
    Run(5, 0);
  }
  EXPECT_EQ(refused(), before);
}

TEST_F(OverloadTest, ABurstIsNoOverload) {
  for (int i = 0; i < 10; ++i) {
    for (int request = 0; request < 30; ++request) Send(&NewClient(), "SET b 1");
    Run(200, 0);
  }
  EXPECT_EQ(refused(), 0u);
}

TEST_F(OverloadTest, ZeroRefusesNobody) {
  sim.config.shed_queue_delay_ms = 0;
  Run(500, 2);
  EXPECT_EQ(refused(), 0u);
  EXPECT_EQ(link().in_flight(), 100u);
}

}  // namespace
}  // namespace rcproxy::proxy
