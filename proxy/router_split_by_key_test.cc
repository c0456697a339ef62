// Commands with several keys of a slot whose keys are on two nodes.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/config.h"
#include "proxy/errors.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

constexpr char kTryAgain[] = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

class RouterSplitByKeyTest : public testing::Test, public RouterForTest {
 protected:
  RouterSplitByKeyTest() { OpenAll(); }

  // What A is asked next.
  std::string AskedOfA() {
    sim.RunUntil([this] { return a.HasInput(); });
    return a.Take();
  }
  // Answers TRYAGAIN until A is asked something else, or often enough; returns what it is asked.
  std::string TryPatience(const std::string& whole) {
    for (int i = 0; i < 20; ++i) {
      const std::string asked = AskedOfA();
      if (asked != whole) return asked;
      Reply(a, kTryAgain);
    }
    return whole;
  }
  // The slot of {b} has answered TRYAGAIN for long enough.
  void ExhaustPatience() {
    Send("EXISTS {b}x {b}y");
    EXPECT_NE(TryPatience(Wire("EXISTS {b}x {b}y")), Wire("EXISTS {b}x {b}y"));
    Reply(a, ":1\r\n:0\r\n");
    EXPECT_EQ(client.Take(), ":1\r\n");
  }
};

TEST_F(RouterSplitByKeyTest, EachKeyIsAskedForWhereItIs) {
  Send("MGET {b}1 {b}2 {b}1");
  const std::string whole = Wire("MGET {b}1 {b}2 {b}1");
  EXPECT_EQ(AskedOfA(), whole);
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), whole) << "often that is all it takes";
  Reply(a, kTryAgain);
  EXPECT_EQ(TryPatience(whole), Wire("MGET {b}1") + Wire("MGET {b}2") + Wire("MGET {b}1"));
  Reply(a, "*1\r\n$1\r\n1\r\n" + Ask(3300, 'B') + "*1\r\n$1\r\n1\r\n");
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("MGET {b}2"));
  EXPECT_FALSE(client.HasOutput());
  Reply(b, "+OK\r\n*1\r\n$1\r\n2\r\n");
  EXPECT_EQ(client.Take(), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n1\r\n");
  EXPECT_EQ(sim.stats.commands_split_by_key.value(), 1u);
  EXPECT_TRUE(client.replies.empty());
  EXPECT_EQ(client.replies.in_flight(), 0u);
}

TEST_F(RouterSplitByKeyTest, ThePartsOfAWriteThatMayHaveRunDoNotSayThatItHasNot) {
  sim.config.retry_idempotent_writes = true;
  ExhaustPatience();
  const std::string whole = Wire("MSET {b}1 1 {b}2 2");
  Send("MSET {b}1 1 {b}2 2");
  EXPECT_EQ(AskedOfA(), whole);
  a.peer().Close();
  sim.RunUntil([this] { return a.connections() > 1 && a.HasInput(); });
  EXPECT_EQ(a.Take(), whole);
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MSET {b}1 1") + Wire("MSET {b}2 2"));
  Reply(a, "+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  const std::string text(kErrorOutcomeUnknown.substr(0, kErrorOutcomeUnknown.size() - 2));
  EXPECT_EQ(client.Take(), text + " (a part: of 2 parts 1 done, 0 failed, 1 unknown)\r\n");
}

TEST_F(RouterSplitByKeyTest, ASlotThatIsKnownForItIsNotTriedForLong) {
  ExhaustPatience();
  Send("TOUCH {b}1 {b}2");
  EXPECT_EQ(AskedOfA(), Wire("TOUCH {b}1 {b}2")) << "its keys may be together";
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("TOUCH {b}1") + Wire("TOUCH {b}2"));
  Reply(a, ":1\r\n:1\r\n");
  EXPECT_EQ(client.Take(), ":2\r\n");
}

TEST_F(RouterSplitByKeyTest, APartOfACommandOverSlotsGivesItsPlaceToItsKeys) {
  ExhaustPatience();
  Send("MGET c {b}1 a {b}2");
  EXPECT_EQ(AskedOfA(), Wire("MGET {b}1 {b}2"));
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MGET {b}1") + Wire("MGET {b}2"));
  Reply(c, "*1\r\n$1\r\na\r\n");
  Reply(b, "*1\r\n$1\r\nc\r\n");
  Reply(a, "*1\r\n$2\r\nb1\r\n*1\r\n$2\r\nb2\r\n");
  EXPECT_EQ(client.Take(), "*4\r\n$1\r\nc\r\n$2\r\nb1\r\n$1\r\na\r\n$2\r\nb2\r\n");
  EXPECT_EQ(client.replies.in_flight(), 0u);
}

TEST_F(RouterSplitByKeyTest, SumsAndErrorsAreThoseOfAllParts) {
  ExhaustPatience();
  Send("DEL {b}1 c {b}2 {b}3");
  Reply(b, ":1\r\n");
  AskedOfA();
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("DEL {b}1") + Wire("DEL {b}2") + Wire("DEL {b}3"));
  Reply(a, ":1\r\n:0\r\n:1\r\n");
  EXPECT_EQ(client.Take(), ":3\r\n");
  Send("MSET {b}1 x {b}2 y");
  AskedOfA();
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MSET {b}1 x") + Wire("MSET {b}2 y"));
  Reply(a, "+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  EXPECT_EQ(client.Take(),
            "-OOM command not allowed when used memory > 'maxmemory'. (a part: of 2 parts 1 done, "
            "1 failed, 0 unknown)\r\n");
}

TEST_F(RouterSplitByKeyTest, TheClientsNextCommandForTheSlotWaitsForAllOfThem) {
  ExhaustPatience();
  Send("MSET {b}1 x {b}2 y");
  AskedOfA();
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MSET {b}1 x") + Wire("MSET {b}2 y"));
  EXPECT_FALSE(Send("GET {b}2"));
  Reply(a, "+OK\r\n" + Ask(3300, 'B'));
  EXPECT_FALSE(Send("GET {b}2")) << "one is at the other node";
  EXPECT_TRUE(SendNow("GET c"));
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("MSET {b}2 y") + Wire("GET c"));
  Reply(b, "+OK\r\n+OK\r\n$-1\r\n");
  EXPECT_TRUE(SendNow("GET {b}2"));
  EXPECT_EQ(client.Take(), "+OK\r\n$-1\r\n");
}

TEST_F(RouterSplitByKeyTest, WhatIsOneThingIsNotSplit) {
  for (const char* line : {"SINTER {b}1 {b}2", "PFCOUNT {b}1 {b}2", "RENAME {b}1 {b}2"}) {
    Send(line);
    EXPECT_EQ(TryPatience(Wire(line)), Wire(line));
    EXPECT_EQ(AskedOfA(), Wire(line));
    Reply(a, "+done\r\n");
    EXPECT_EQ(client.Take(), "+done\r\n");
  }
}

TEST_F(RouterSplitByKeyTest, WhatHasNoSlotIsTriedAgain) {
  Send("EVAL return 0");
  Settle();
  for (NodeForTest* node : {&a, &b, &c}) {
    if (node->HasInput()) {
      node->Take();
      Reply(*node, kTryAgain);
    }
  }
  const auto is_asked = [this] { return a.HasInput() || b.HasInput() || c.HasInput(); };
  EXPECT_TRUE(sim.RunUntil(is_asked));
}

TEST_F(RouterSplitByKeyTest, WhoeverWantsCommandsWholeWaits) {
  sim.config.cross_slot = CrossSlot::kStrict;
  Send("MGET {b}1 {b}2");
  EXPECT_EQ(TryPatience(Wire("MGET {b}1 {b}2")), Wire("MGET {b}1 {b}2"));
}

TEST_F(RouterSplitByKeyTest, ARepliesPlaceIsKeptAlsoWhenItIsHidden) {
  ExhaustPatience();
  client.replies.SetMode(ReplyMode::kSkipNext);
  Send("MGET {b}1 {b}2");
  Send("GET c");
  AskedOfA();
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MGET {b}1") + Wire("MGET {b}2"));
  Reply(b, "$1\r\nc\r\n");
  Reply(a, "*1\r\n$-1\r\n*1\r\n$-1\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nc\r\n");
}

TEST_F(RouterSplitByKeyTest, AClientMayLeaveMeanwhile) {
  ExhaustPatience();
  Send("MGET {b}1 {b}2 c");
  AskedOfA();
  Reply(a, kTryAgain);
  EXPECT_EQ(AskedOfA(), Wire("MGET {b}1") + Wire("MGET {b}2"));
  Reply(a, "*1\r\n$-1\r\n");
  client.Leave();
  Reply(a, Ask(3300, 'B'));
  Reply(b, "*1\r\n$-1\r\n");
  EXPECT_EQ(b.Take(), Wire("MGET c")) << "nobody waits for the other";
  EXPECT_EQ(sim.stats.requests_in_flight.value(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
