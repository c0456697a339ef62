#include "proxy/upstream_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using testing::ElementsAre;
using State = UpstreamConnection::State;

constexpr std::string_view kCommand = "*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n";

class UpstreamNodeTest : public testing::Test, public LinkForTest {
 protected:
  // How long until the node may be tried again.
  int64_t BackoffMs() {
    const int64_t begin_ns = sim.io.NowNs();
    sim.RunUntil([this] { return !upstream.InBackoff(); });
    return (sim.io.NowNs() - begin_ns) / kMillisecond;
  }
  static SocketAddress Literal(const char* host) {
    SocketAddress address;
    EXPECT_TRUE(ResolveLiteral({host, 7000}, &address));
    return address;
  }
};

TEST_F(UpstreamNodeTest, BackoffGrowsToItsLimitWithJitterAndIsForgottenAtSuccess) {
  sim.config.reconnect_delay_min_ms = 20;
  sim.config.reconnect_delay_max_ms = 1000;
  EXPECT_FALSE(upstream.InBackoff());
  for (const int64_t delay_ms : {20, 40, 80, 160, 320, 640, 1000, 1000, 1000}) {
    upstream.OnConnectFailed();
    EXPECT_TRUE(upstream.InBackoff());
    const int64_t waited_ms = BackoffMs();
    EXPECT_GE(waited_ms, delay_ms / 2 - 1);
    EXPECT_LE(waited_ms, delay_ms + 1);
  }
  upstream.OnConnectFailed();
  upstream.OnConnectSucceeded();
  EXPECT_FALSE(upstream.InBackoff());
  upstream.OnConnectFailed();
  EXPECT_LE(BackoffMs(), 21);
}

TEST_F(UpstreamNodeTest, ManyFailuresDoNotOverflow) {
  for (int i = 0; i < 200; ++i) {
    upstream.OnConnectFailed();
    EXPECT_LE(BackoffMs(), 1001);
  }
}

TEST_F(UpstreamNodeTest, ConnectionsThatBreakTogetherAreOneFailure) {
  for (int i = 0; i < 1000; ++i) upstream.OnConnectFailed();
  EXPECT_LE(BackoffMs(), 21) << "as after the first";
  for (int i = 0; i < 1000; ++i) upstream.OnConnectFailed();
  EXPECT_LE(BackoffMs(), 41);
}

// Many workers and processes lose a node at the same moment; they should not all come back at one.
TEST_F(UpstreamNodeTest, NobodyWaitsAsLongAsTheOthers) {
  sim.config.reconnect_delay_min_ms = sim.config.reconnect_delay_max_ms = 10'000;
  std::set<int64_t> waits;
  std::vector<std::unique_ptr<UpstreamNode>> nodes;
  for (int i = 0; i < 10; ++i) {
    sim.RunFor(kMillisecond);
    const std::string host = i % 2 == 0 ? "10.0.0.1" : "10.0.0.2";
    nodes.push_back(std::make_unique<UpstreamNode>(sim.resources, observer, resolver,
                                                   cluster::NodeAddress{host, 7000}));
  }
  for (const auto& each : nodes) each->OnConnectFailed();
  const int64_t failed_ns = sim.io.NowNs();
  sim.RunUntil([&] {
    std::erase_if(nodes, [&](const auto& each) {
      if (each->InBackoff()) return false;
      waits.insert((sim.io.NowNs() - failed_ns) / (100 * kMillisecond));
      return true;
    });
    return nodes.empty();
  });
  EXPECT_GE(waits.size(), 5u) << "of 50 tenths of a second between the shortest and the longest";
}

TEST_F(UpstreamNodeTest, OnlySoManyConnectionsOfSingleClientsAreOpenedAtATime) {
  sim.config.own_connections_opening_max = 2;
  const auto use = [this](UpstreamConnection* own) {
    Request* request = NewRequest(&client);
    request->spec = &cluster::CommandNamed("blpop");
    request->is_private = true;
    std::memcpy(own->Accept(request, kCommand.size()), kCommand.data(), kCommand.size());
  };
  UpstreamConnection* first = upstream.TakeOwnLink(/*resp3=*/false);
  use(first);
  Settle();
  UpstreamConnection* second = upstream.TakeOwnLink(false);
  use(second);
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr);
  Settle();
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr) << "a connection is open after its greeting";
  node.peer(0).Write(":1\r\n");  // CLIENT ID
  Settle();
  UpstreamConnection* third = upstream.TakeOwnLink(false);
  ASSERT_NE(third, nullptr);
  use(third);
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr);
  upstream.ReturnOwnLink(first);
  EXPECT_EQ(upstream.TakeOwnLink(false), first) << "it is open";
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr);
  second->Leave();
  EXPECT_NE(upstream.TakeOwnLink(false), nullptr) << "one that will not open is opening no more";
}

TEST_F(UpstreamNodeTest, TheReplicaLinkIsAConnectionOfItsOwn) {
  EXPECT_FALSE(link().kind().replica_reads);
  EXPECT_TRUE(replica().kind().replica_reads);
  EXPECT_NE(&replica(), &link());
  int links = 0;
  upstream.ForEachLink([&links](UpstreamConnection&) { ++links; });
  EXPECT_EQ(links, 7) << "in two protocols, one for subscriptions, two that track keys";
}

TEST_F(UpstreamNodeTest, IsQuietOnlyWhenNoLinkIsOpenOrOpening) {
  EXPECT_TRUE(upstream.IsQuiet());
  Send(link(), "*1\r\n$4\r\nPING\r\n", &client);
  EXPECT_FALSE(upstream.IsQuiet());
  Settle();
  Reply("+PONG\r\n");
  EXPECT_FALSE(upstream.IsQuiet());
  link().CloseIdle();
  Settle();
  EXPECT_TRUE(upstream.IsQuiet());
}

TEST_F(UpstreamNodeTest, ConnectionsOfOneClientHaveALimitForAllNodesTogether) {
  sim.config.own_connections_total_max = 2;
  UpstreamConnection* first = upstream.TakeOwnLink(/*resp3=*/false);
  ASSERT_NE(first, nullptr);
  EXPECT_TRUE(upstream.HasRoomForOwnLink());
  sim.stats.own_connections.Add();  // One at another node.
  EXPECT_FALSE(upstream.HasRoomForOwnLink());
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr);
  sim.stats.own_connections.Sub();
  upstream.ReturnOwnLink(first);
  sim.stats.own_connections.Add(2);
  EXPECT_FALSE(upstream.HasRoomForOwnLink()) << "also when one is free";
  EXPECT_EQ(upstream.TakeOwnLink(false), nullptr);
  sim.stats.own_connections.Sub();
  EXPECT_NE(upstream.TakeOwnLink(false), nullptr);
}

TEST_F(UpstreamNodeTest, EachDatabaseHasConnectionsOfItsOwn) {
  UpstreamConnection& three = upstream.link({.database = 3});
  EXPECT_EQ(three.kind().database, 3);
  EXPECT_EQ(&upstream.link({.database = 3}), &three);
  EXPECT_NE(&upstream.link({.replica_reads = true, .database = 3}), &three);
  EXPECT_NE(&upstream.link({.database = 1}), &three);
  EXPECT_EQ(&upstream.link(LinkKind()), &link());
  size_t selecting = 0;
  upstream.ForEachLink(
      [&](const UpstreamConnection& link) { selecting += link.kind().database != 0; });
  EXPECT_EQ(selecting, 3u);
  EXPECT_FALSE(upstream.NeedsSweep()) << "none is open";
  EXPECT_TRUE(upstream.IsQuiet());
}

TEST_F(UpstreamNodeTest, AConnectionOfOneClientIsOnlyForItsDatabase) {
  UpstreamConnection* const three = upstream.TakeOwnLink(/*resp3=*/false, 3);
  upstream.ReturnOwnLink(three);
  UpstreamConnection* const zero = upstream.TakeOwnLink(false);
  EXPECT_NE(zero, three);
  EXPECT_EQ(upstream.TakeOwnLink(false, 3), three);
  EXPECT_NE(upstream.TakeOwnLink(false, 4), nullptr);
}

// ---- names

class NamedNodeTest : public UpstreamNodeTest {
 protected:
  ~NamedNodeTest() override { End(); }
  void End() {
    if (named_ == nullptr) return;
    named_->primary_link().Fail("over");
    sim.RunUntil([this] { return named_->IsQuiet(); });
    named_.reset();
  }
  UpstreamConnection& named_link() { return named_->primary_link(); }

  std::unique_ptr<UpstreamNode> named_ = std::make_unique<UpstreamNode>(
      sim.resources, observer, resolver, cluster::NodeAddress{"node.example", 7000});
};

TEST_F(NamedNodeTest, ANodeOfAnotherNetworkIsReachedWhereTheOperatorSays) {
  sim.config.node_addresses["node.example:7000"] = {"10.0.0.1", 7000};
  Send(named_link(), "*1\r\n$4\r\nPING\r\n", &client);
  EXPECT_TRUE(resolver.questions.empty());
  EXPECT_TRUE(sim.RunUntil([this] { return node.HasInput(); }));
  EXPECT_EQ(named_->address().ToString(), "node.example:7000") << "it is still called so";
}

TEST_F(NamedNodeTest, ANameIsLookedUpAtEachConnect) {
  Send(named_link(), "*1\r\n$4\r\nPING\r\n", &client);
  ASSERT_EQ(resolver.questions.size(), 1u);
  Settle();
  EXPECT_EQ(node.connections(), 0u);
  resolver.questions[0](Literal("10.0.0.1"));
  sim.RunUntil([this] { return node.HasInput(); });
  Reply("+PONG\r\n");
  EXPECT_EQ(client.Take(), "+PONG\r\n");
  named_link().CloseIdle();
  Settle();
  Send(named_link(), "*1\r\n$4\r\nPING\r\n", &client);
  EXPECT_EQ(resolver.questions.size(), 2u);
}

TEST_F(NamedNodeTest, ANameThatIsNotFoundFailsTheConnection) {
  Send(named_link(), "*1\r\n$1\r\nx\r\n", &client);
  resolver.questions[0](SocketAddress());
  EXPECT_TRUE(observer.lost.empty()) << "not while somebody may still write its command";
  Settle();
  EXPECT_THAT(observer.lost, ElementsAre("x unsent"));
  EXPECT_THAT(observer.failures, ElementsAre("host name not found"));
  EXPECT_EQ(named_link().state(), State::kIdle);
}

TEST_F(NamedNodeTest, ASlowLookUpIsPartOfTheConnectTimeout) {
  Send(named_link(), "*1\r\n$1\r\nx\r\n", &client);
  sim.RunFor(kSecond + 2 * kMillisecond);
  EXPECT_THAT(observer.failures, ElementsAre("connect timeout"));
  EXPECT_EQ(named_link().state(), State::kIdle);
  resolver.questions[0](Literal("10.0.0.1"));  // Too late.
  EXPECT_EQ(named_link().state(), State::kIdle);
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
}

TEST_F(NamedNodeTest, TheAnswersToTwoLookUpsOpenOneConnection) {
  Send(named_link(), "*1\r\n$1\r\nx\r\n", &client);
  sim.RunFor(kSecond + 2 * kMillisecond);
  sim.RunUntil([this] { return named_link().CanAccept(); });
  Send(named_link(), "*1\r\n$1\r\ny\r\n", &client);
  ASSERT_EQ(resolver.questions.size(), 2u);
  resolver.questions[0](Literal("10.0.0.1"));
  resolver.questions[1](Literal("10.0.0.1"));
  EXPECT_EQ(sim.io.open_descriptors(), 1u);
  Settle();
  EXPECT_EQ(node.Take(), "*1\r\n$1\r\ny\r\n");
}

TEST_F(NamedNodeTest, AnAnswerAfterItsConnectionHasGoneIsIgnored) {
  UpstreamConnection* const own = named_->TakeOwnLink(/*resp3=*/false);
  Send(*own, "*1\r\n$1\r\nx\r\n", &client);
  sim.RunFor(kSecond + 2 * kMillisecond);
  ASSERT_EQ(own->state(), State::kIdle);
  named_->ReturnOwnLink(own);
  named_->SweepLinks(sim.io.NowNs());
  EXPECT_FALSE(named_->NeedsSweep()) << "it has been forgotten";
  resolver.questions[0](Literal("10.0.0.1"));
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
}

TEST_F(NamedNodeTest, AnAnswerAfterTheNodeHasGoneIsIgnored) {
  Send(named_link(), "*1\r\n$1\r\nx\r\n", &client);
  End();
  resolver.questions[0](Literal("10.0.0.1"));
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
