#include "proxy/operations/blocking.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class BlockingTest : public testing::Test, public OperationsForTest {
 protected:
  void Block(ClientForTest* to, const std::string& line) {
    const cluster::CommandForTest owner(cluster::Words(line));
    const cluster::CommandSpec* spec = cluster::FindCommand(owner.view()[0]);
    router.Start(&to->replies, *spec, operations.MakeBlocking(*spec, owner.view(), protocol));
    Run(kMillisecond);
  }
  void Block(const std::string& line) { Block(&client, line); }
  void Run(int64_t duration_ns) {
    sim.RunFor(duration_ns);
    AnswerGreetings();
  }
  void Reply(NodeForTest& node, std::string_view bytes) {
    node.Reply(bytes);
    Run(kMillisecond);
  }
  uint64_t own_connections() { return sim.stats.own_connections.value(); }
};

TEST_F(BlockingTest, WaitsOnAConnectionOfItsOwnForLongerThanAnyOtherRequest) {
  Block("BLPOP b 0");
  EXPECT_EQ(a.Take(), Wire("BLPOP b 0"));
  EXPECT_EQ(own_connections(), 1u);
  sim.RunFor(100 * kSecond);
  EXPECT_FALSE(client.HasOutput());
  Reply(a, "*2\r\n$1\r\nb\r\n$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n$1\r\nb\r\n$1\r\nv\r\n");
  EXPECT_EQ(own_connections(), 0u);
}

TEST_F(BlockingTest, WaitingForAnElementIsNoLatencyOfTheNode) {
  Block("BLPOP b 0");
  a.Take();
  const int64_t before = table.NodeAt(AddressOf('A'))->latency_ns();
  sim.RunFor(100 * kSecond);
  Reply(a, "*2\r\n$1\r\nb\r\n$1\r\nv\r\n");
  EXPECT_LT(table.NodeAt(AddressOf('A'))->latency_ns(), before + kSecond);
}

TEST_F(BlockingTest, TheConnectionIsUsedAgainAndClosedWhenNobodyNeedsIt) {
  for (int i = 0; i < 3; ++i) {
    Block("BLPOP b 0");
    a.Take();
    Reply(a, "*-1\r\n");
    client.Take();
  }
  EXPECT_EQ(sim.stats.upstream_connects.value(), 1u);
  table.Sweep(sim.io.NowNs());
  EXPECT_TRUE(table.NeedsSweep());
  sim.RunFor(20 * kSecond);
  table.Sweep(sim.io.NowNs());
  sim.RunFor(kSecond);
  table.Sweep(sim.io.NowNs());
  EXPECT_FALSE(table.NeedsSweep());
}

TEST_F(BlockingTest, KeysOfSeveralSlotsAreRefused) {
  Block("BLPOP a b 0");
  EXPECT_EQ(client.Take(), kErrorCrossSlot);
}

TEST_F(BlockingTest, AfterMovedItWaitsElsewhereForTheTimeThatIsLeft) {
  Block("BLPOP b 10");
  a.Take();
  sim.RunFor(4 * kSecond);
  Reply(a, Moved(3300, 'B'));
  const std::string again = b.Take();
  EXPECT_EQ(again.substr(0, again.find("$5\r\n5.99")), "*3\r\n$5\r\nBLPOP\r\n$1\r\nb\r\n");
  Reply(b, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, AfterAskItWaitsAtTheOtherNode) {
  Block("BZMPOP 2.5 1 b MIN");
  a.Take();
  Reply(a, RouterForTest::Ask(3300, 'B'));
  const std::string again = b.Take();
  EXPECT_EQ(again.substr(0, 17), Wire("ASKING") + "*");
  Reply(b, "+OK\r\n*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
  EXPECT_EQ(own_connections(), 0u);
}

// Nothing has been taken there.
TEST_F(BlockingTest, APopWhosePrimaryHasBecomeAReplicaAsksAgain) {
  Block("BLPOP b 0");
  a.Take();
  table.NoteMoved(3300, table.NodeAt(AddressOf('C')));
  Reply(a, "-UNBLOCKED force unblock from blocking operation, instance state changed\r\n");
  EXPECT_EQ(c.Take(), Wire("BLPOP b 0"));
}

// A has the slot half moved to B, and neither executes a command with several keys of it.
class BlockingOnHalfMovedSlotTest : public BlockingTest {
 protected:
  // Answers as the nodes do for so long. Returns when the client was answered, in seconds.
  double Refuse(int64_t duration_ns) {
    const int64_t begin_ns = sim.io.NowNs();
    while (sim.io.NowNs() - begin_ns < duration_ns && !client.HasOutput()) {
      if (!a.Take().empty()) Reply(a, RouterForTest::Ask(3300, 'B'));
      if (!b.Take().empty()) Reply(b, "+OK\r\n-TRYAGAIN Multiple keys request\r\n");
      Run(kMillisecond);
    }
    return static_cast<double>(sim.io.NowNs() - begin_ns) / kSecond;
  }
};

TEST_F(BlockingOnHalfMovedSlotTest, TheClientsTimeoutEndsIt) {
  const std::pair<const char*, int> cases[] = {{"BLPOP {b}1 {b}2 2", 2},
                                               {"BLMOVE {b}1 {b}2 LEFT RIGHT 1", 1},
                                               {"BZMPOP 0.01 2 {b}1 {b}2 MIN", 1}};
  for (const auto& [command, seconds] : cases) {
    Block(command);
    EXPECT_NEAR(Refuse(10 * kSecond), seconds, 0.2) << command;
    EXPECT_EQ(client.Take(), "-TRYAGAIN Multiple keys request\r\n") << "it may be there";
  }
  EXPECT_EQ(own_connections(), 0u);
}

TEST_F(BlockingOnHalfMovedSlotTest, OneThatMayWaitForLongIsGivenUpLikeAnyRequest) {
  const double timeout_s = static_cast<double>(sim.config.request_timeout_ms) / 1000;
  for (const char* command : {"BLPOP {b}1 {b}2 0", "BLPOP {b}1 {b}2 1000"}) {
    Block(command);
    EXPECT_NEAR(Refuse(100 * kSecond), timeout_s, 0.2) << command;
    EXPECT_EQ(client.Take(), "-TRYAGAIN Multiple keys request\r\n") << command;
  }
}

TEST_F(BlockingOnHalfMovedSlotTest, ItWaitsWhenTheSlotHasMoved) {
  Block("BLPOP {b}1 {b}2 100");
  Refuse(2 * kSecond);
  for (int i = 0; i < 1000 && a.Take().empty(); ++i) Run(kMillisecond);
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(b.Take().substr(0, 13), "*4\r\n$5\r\nBLPOP");
  sim.RunFor(50 * kSecond);
  Reply(b, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingOnHalfMovedSlotTest, ClientUnblockEndsIt) {
  for (const bool with_error : {false, true}) {
    Block("BLPOP {b}1 {b}2 0");
    Refuse(kSecond);
    for (int i = 0; i < 1000 && sim.stats.own_connections.value() > 0; ++i) Refuse(kMillisecond);
    EXPECT_TRUE(router.Unblock(client.replies, with_error));
    EXPECT_LT(Refuse(10 * kSecond), 0.2);
    EXPECT_EQ(client.Take(),
              with_error ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" : "*-1\r\n");
  }
}

// The node that was told had refused the command already.
TEST_F(BlockingOnHalfMovedSlotTest, ClientUnblockCrossesTheNodesRefusal) {
  Block("BLPOP {b}1 {b}2 0");
  a.Take();
  EXPECT_TRUE(router.Unblock(client.replies, /*with_error=*/false));
  a.peer(0).Write(RouterForTest::Ask(3300, 'B'));
  Run(kMillisecond);
  EXPECT_EQ(client.Take(), "*-1\r\n");
  EXPECT_EQ(b.Take(), "");
}

TEST_F(BlockingTest, WhenThePrimaryHasBecomeAReplicaItAsksAgain) {
  Block("XREAD BLOCK 3000 STREAMS b 0-1");
  a.Take();
  table.NoteMoved(3300, table.NodeAt(AddressOf('C')));
  Reply(a, "-UNBLOCKED force unblock from blocking operation, instance state changed\r\n");
  EXPECT_EQ(c.Take().substr(0, 30), Wire("XREAD BLOCK 2998 STREAMS b 0-1").substr(0, 30));
  Reply(c, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, TheLatestIdIsAskedForOnce) {
  Block("XREAD BLOCK 0 STREAMS b {b}2 $ 7-1");
  EXPECT_EQ(a.Take(), Wire("XINFO STREAM b"));
  Reply(a, "*4\r\n$6\r\nlength\r\n:1\r\n$17\r\nlast-generated-id\r\n$3\r\n5-1\r\n");
  EXPECT_EQ(a.Take(), Wire("XREAD BLOCK 0 STREAMS b {b}2 5-1 7-1"));
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("XREAD BLOCK 0 STREAMS b {b}2 5-1 7-1"));
  Reply(b, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, AStreamThatIsNotThereBeginsAtZero) {
  Block("XREAD BLOCK 0 STREAMS b {b}2 $ $");
  EXPECT_EQ(a.Take(), Wire("XINFO STREAM b") + Wire("XINFO STREAM {b}2"));
  Reply(a, "-ERR no such key\r\n-WRONGTYPE Operation against a key\r\n");
  EXPECT_EQ(a.Take(), Wire("XREAD BLOCK 0 STREAMS b {b}2 0-0 $"));
  Reply(a, "-WRONGTYPE Operation against a key\r\n");
  EXPECT_EQ(client.Take(), "-WRONGTYPE Operation against a key\r\n");
}

TEST_F(BlockingTest, NamesMayReadLikeOptions) {
  Block("XREADGROUP GROUP block 7 BLOCK 3000 STREAMS b >");
  a.Take();
  Reply(a, Moved(3300, 'B'));
  const std::string begin =
      "*9\r\n$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$5\r\nblock\r\n$1\r\n7\r\n$5\r\nBLOCK\r\n$"
      "4\r\n299";
  EXPECT_EQ(b.Take().substr(0, begin.size()), begin);
  Reply(b, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, AFormThatDoesNotBlockIsNoneOfIts) {
  const cluster::CommandForTest owner(cluster::Words("XREAD COUNT 1 STREAMS block 0"));
  EXPECT_EQ(operations.MakeBlocking(*cluster::FindCommand("xread"), owner.view(), protocol),
            nullptr);
}

class LostNodeTest : public BlockingTest {
 protected:
  // A is lost while the command waits there; returns what B, which takes over, gets.
  std::string AskedOfTheNext(const std::string& line) {
    table.NoteMoved(3300, table.NodeAt(AddressOf('A')));
    Block(line);
    EXPECT_EQ(a.Take(), Wire(line));
    sim.RunFor(60 * kSecond);
    table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
    a.peer().Close();
    Run(50 * kMillisecond);
    return b.Take();
  }
};

TEST_F(LostNodeTest, WhatOnlyReadsIsAskedAgain) {
  EXPECT_EQ(AskedOfTheNext("XREAD BLOCK 0 STREAMS b 0-1"), Wire("XREAD BLOCK 0 STREAMS b 0-1"));
  Reply(b, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

// What the node has done with it is not undone by the loss.
TEST_F(LostNodeTest, WhatMayHaveTakenSomethingIsNot) {
  sim.config.reconnect_delay_min_ms = sim.config.reconnect_delay_max_ms = 1;
  uint64_t unknown = 0;
  for (const char* line : {"BLPOP b 0", "BRPOP b 0", "BLMPOP 0 1 b LEFT", "BZPOPMIN b 0",
                           "BZPOPMAX b 0", "BZMPOP 0 1 b MIN", "BLMOVE b b LEFT RIGHT 0",
                           "BRPOPLPUSH b b 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS b >"}) {
    EXPECT_EQ(AskedOfTheNext(line), "") << line;
    EXPECT_EQ(client.Take(), kErrorOutcomeUnknown) << line;
    EXPECT_EQ(sim.stats.errors_outcome_unknown.value(), ++unknown) << line;
  }
}

TEST_F(LostNodeTest, PopsAreAskedAgainWhenTheFlagSaysSo) {
  sim.config.retry_blocking_pops = true;
  for (const char* line : {"BLPOP b 0", "BRPOP b 0", "BLMPOP 0 1 b LEFT", "BZPOPMIN b 0",
                           "BZPOPMAX b 0", "BZMPOP 0 1 b MIN"}) {
    EXPECT_EQ(AskedOfTheNext(line), Wire(line));
    Reply(b, "*-1\r\n");
    EXPECT_EQ(client.Take(), "*-1\r\n") << line;
  }
  EXPECT_EQ(AskedOfTheNext("BLMOVE b b LEFT RIGHT 0"), "");
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(LostNodeTest, APopThatWasNotSentIsAskedAgain) {
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
  Block("BLPOP b 0");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  Run(50 * kMillisecond);
  EXPECT_EQ(b.Take(), Wire("BLPOP b 0"));
}

TEST_F(BlockingTest, AClientThatLeavesClosesItsConnection) {
  auto leaving = std::make_unique<ClientForTest>(sim.resources);
  Block(leaving.get(), "BLPOP b 0");
  a.Take();
  EXPECT_TRUE(a.connected());
  leaving->Leave();
  sim.RunFor(kMillisecond);
  EXPECT_FALSE(a.connected());
  EXPECT_EQ(own_connections(), 0u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
  EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
}

TEST_F(BlockingTest, OthersAreServedMeanwhile) {
  Block("BLPOP b 0");
  a.Take();
  ClientForTest other(sim.resources);
  Block(&other, "BLPOP b 0");
  EXPECT_EQ(own_connections(), 2u);
  other.Leave();
}

TEST_F(BlockingTest, ATimeoutThatIsNoneIsTheNodesBusiness) {
  Block("BLPOP b never");
  EXPECT_EQ(a.Take(), Wire("BLPOP b never"));
  Reply(a, "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(client.Take(), "-ERR timeout is not a float or out of range\r\n");
}

TEST_F(BlockingTest, ClientUnblockIsTheNodes) {
  EXPECT_FALSE(router.Unblock(client.replies, /*with_error=*/false));
  Block("BLPOP b 0");
  EXPECT_EQ(a.Take(), Wire("BLPOP b 0"));
  EXPECT_TRUE(router.Unblock(client.replies, /*with_error=*/false));
  EXPECT_TRUE(router.Unblock(client.replies, /*with_error=*/true));
  Run(kMillisecond);
  EXPECT_EQ(a.connections(), 2u);
  EXPECT_EQ(a.Take(), Wire("CLIENT UNBLOCK 77 TIMEOUT") + Wire("CLIENT UNBLOCK 77 ERROR"));
  Reply(a, ":1\r\n:1\r\n");
  EXPECT_FALSE(client.HasOutput());
  a.peer(0).Write("*-1\r\n");
  Run(kMillisecond);
  EXPECT_EQ(client.Take(), "*-1\r\n");
  EXPECT_FALSE(router.Unblock(client.replies, /*with_error=*/false));
}

TEST_F(BlockingTest, ANodeThatHasNotReadTheCommandYetIsToldAgain) {
  Block("BLPOP b 0");
  EXPECT_EQ(a.Take(), Wire("BLPOP b 0"));
  EXPECT_TRUE(router.Unblock(client.replies, /*with_error=*/false));
  Run(kMillisecond);
  EXPECT_EQ(a.Take(), Wire("CLIENT UNBLOCK 77 TIMEOUT"));
  Reply(a, ":0\r\n");
  EXPECT_EQ(a.Take(), Wire("CLIENT UNBLOCK 77 TIMEOUT"));
  a.peer(0).Write("*-1\r\n");
  Run(kMillisecond);
  EXPECT_EQ(client.Take(), "*-1\r\n");
  Reply(a, ":0\r\n");
  EXPECT_EQ(a.Take(), "") << "it has been answered meanwhile";
}

TEST_F(BlockingTest, ANodeThatNeverReadsItIsNotToldForEver) {
  Block("BLPOP b 0");
  a.Take();
  EXPECT_TRUE(router.Unblock(client.replies, /*with_error=*/false));
  Run(kMillisecond);
  int times = 0;
  for (; !a.Take().empty(); ++times) Reply(a, ":0\r\n");
  EXPECT_EQ(times, 10);
  a.peer(0).Write("*-1\r\n");
  Run(kMillisecond);
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, ANodeThatDoesNotTellAnIdIsUsedAllTheSame) {
  const cluster::CommandForTest owner(cluster::Words("BLPOP b 0"));
  const cluster::CommandSpec* spec = cluster::FindCommand("blpop");
  router.Start(&client.replies, *spec, operations.MakeBlocking(*spec, owner.view(), protocol));
  sim.RunFor(kMillisecond);
  EXPECT_EQ(a.Take(), Wire("CLIENT ID"));
  Reply(a, "-NOPERM this user has no permissions to run the 'client|id' command\r\n");
  EXPECT_EQ(a.Take(), Wire("BLPOP b 0"));
  EXPECT_FALSE(router.Unblock(client.replies, /*with_error=*/false));
  Reply(a, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST_F(BlockingTest, ThereIsALimit) {
  sim.config.own_connections_max = 1;
  sim.config.request_timeout_ms = 100;
  Block("BLPOP b 0");
  ClientForTest other(sim.resources);
  Block(&other, "BLPOP b 0");
  sim.RunFor(kSecond);
  EXPECT_EQ(other.Take(), kErrorOwnConnections);
  EXPECT_EQ(sim.stats.errors_own_connections.value(), 1u);
}

}  // namespace
}  // namespace rcproxy::proxy
