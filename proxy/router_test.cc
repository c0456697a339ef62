#include "proxy/router.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/errors.h"
#include "proxy/router_for_test.h"
#include "resp/command_view.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class RouterTest : public testing::Test, public RouterForTest {
 protected:
  // The reply of a node in which each key is its own value.
  static std::string AnswerMget(std::string_view commands) {
    std::string replies;
    resp::RequestScanner scanner;
    while (!commands.empty()) {
      scanner.Reset();
      EXPECT_EQ(scanner.Scan(commands, resp::kDefaultRequestLimits), resp::ScanStatus::kCommand);
      const resp::CommandView command = scanner.command();
      replies += "*" + std::to_string(command.size() - 1) + "\r\n";
      for (size_t i = 1; i < command.size(); ++i) replies += Bulk(command[i]);
      commands.remove_prefix(scanner.consumed());
    }
    return replies;
  }
  Stats& stats() { return sim.stats; }
};

// ---- where commands go

TEST_F(RouterTest, ACommandGoesToTheOwnerOfItsSlotAsItIs) {
  SendNow("set b value");
  EXPECT_EQ(a.Take(), Wire("set b value"));
  EXPECT_EQ(b.connections() + c.connections(), 0u);
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(RouterTest, RepliesLeaveInTheOrderOfRequestsWhateverNodesDo) {
  OpenAll();
  Send("GET b");
  Send("GET c");
  Send("GET a");
  Settle();
  Reply(c, "+a\r\n");
  Reply(b, "+c\r\n");
  EXPECT_FALSE(client.HasOutput());
  Reply(a, "+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n+c\r\n+a\r\n");
}

TEST_F(RouterTest, KeysOfOneSlotMayBeMany) {
  SendNow("SINTER {b}1 {b}2 b");
  EXPECT_EQ(a.Take(), Wire("SINTER {b}1 {b}2 b"));
}

TEST_F(RouterTest, KeysOfSeveralSlotsHaveNoOwner) {
  EXPECT_TRUE(Send("SINTER a b"));
  EXPECT_TRUE(Send("RENAME a b"));
  EXPECT_TRUE(Send("MSETNX a 1 b 2"));
  const std::string error(kErrorCrossSlot);
  EXPECT_EQ(client.Take(), error + error + error);
}

TEST_F(RouterTest, NothingIsSplitWhereThatIsNotWanted) {
  sim.config.cross_slot = CrossSlot::kStrict;
  EXPECT_TRUE(Send("MGET a b"));
  EXPECT_EQ(client.Take(), kErrorCrossSlot);
  SendNow("MGET {b}1 {b}2");
  EXPECT_EQ(a.Take(), Wire("MGET {b}1 {b}2"));
}

TEST_F(RouterTest, AScriptWithoutKeysRunsSomewhere) {
  OpenAll();
  for (int i = 0; i < 3; ++i) SendNow("EVAL return 0");
  const std::string all = a.Take() + b.Take() + c.Take();
  EXPECT_EQ(all, Wire("EVAL return 0") + Wire("EVAL return 0") + Wire("EVAL return 0"));
}

TEST_F(RouterTest, MessagesGoOneWay) {
  for (const char* line : {"PUBLISH a x", "PUBLISH b x", "PUBLISH c x"}) SendNow(line);
  EXPECT_EQ(a.Take(), Wire("PUBLISH a x") + Wire("PUBLISH b x") + Wire("PUBLISH c x"));
}

TEST_F(RouterTest, OrOneWayForEachChannel) {
  sim.config.spread_publishes = true;
  for (const char* line : {"PUBLISH a x", "PUBLISH b x", "PUBLISH a y"}) SendNow(line);
  EXPECT_EQ(a.Take(), Wire("PUBLISH b x"));
  EXPECT_EQ(c.Take(), Wire("PUBLISH a x") + Wire("PUBLISH a y"));
}

TEST_F(RouterTest, AScriptWithAKeyRunsWhereTheKeyIs) {
  SendNow("EVAL return 1 b arg");
  EXPECT_EQ(a.Take(), Wire("EVAL return 1 b arg"));
}

TEST_F(RouterTest, WhatIsWrongWithKeyArgumentsAnyNodeSays) {
  OpenAll();
  for (const char* line : {"EVAL return 5 b", "EVAL return -1 b", "EVAL return x b"}) {
    SendNow(line);
    NodeForTest& asked = a.HasInput() ? a : b.HasInput() ? b : c;
    EXPECT_EQ(asked.Take(), Wire(line));
    Reply(asked, "-ERR as the server says it\r\n");
    EXPECT_EQ(client.Take(), "-ERR as the server says it\r\n");
  }
}

TEST_F(RouterTest, ALongCommandIsSentAsItIs) {
  const std::string value(200'000, 'v');
  Offer(&client, {"SET", "b", value});
  sim.RunFor(5 * kMillisecond);
  EXPECT_EQ(a.Take(), Multibulk({"SET", "b", value}));
}

// ---- commands over several slots

TEST_F(RouterTest, AReadOfManySlotsIsOneReadForEach) {
  SendNow("mget b c a {b}2 missing{c}");
  EXPECT_EQ(a.Take(), Wire("mget b {b}2"));
  EXPECT_EQ(b.Take(), Wire("mget c missing{c}"));
  EXPECT_EQ(c.Take(), Wire("mget a"));
  Reply(c, "*1\r\n$2\r\nva\r\n");
  Reply(b, "*2\r\n$2\r\nvc\r\n$-1\r\n");
  Reply(a, "*2\r\n$2\r\nvb\r\n$3\r\nvb2\r\n");
  EXPECT_EQ(client.Take(), "*5\r\n$2\r\nvb\r\n$2\r\nvc\r\n$2\r\nva\r\n$3\r\nvb2\r\n$-1\r\n");
  EXPECT_EQ(stats().commands_split.value(), 1u);
}

TEST_F(RouterTest, PartsAreBySlotAndNotByNode) {
  SendNow("DEL b f b");
  EXPECT_EQ(a.Take(), Wire("DEL b b") + Wire("DEL f"));
  Reply(a, ":1\r\n:1\r\n");
  EXPECT_EQ(client.Take(), ":2\r\n");
}

TEST_F(RouterTest, AWriteOfManySlotsTakesItsValuesAlong) {
  Offer(&client, {"MSET", "b", "1", "c", "", "{b}2", "line\r\nbreak"});
  Settle();
  EXPECT_EQ(a.Take(), Multibulk({"MSET", "b", "1", "{b}2", "line\r\nbreak"}));
  EXPECT_EQ(b.Take(), Multibulk({"MSET", "c", ""}));
  Reply(a, "+OK\r\n");
  EXPECT_FALSE(client.HasOutput());
  Reply(b, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(RouterTest, AWriteWhoseLastValueIsMissingIsRefusedWhole) {
  Send("MSET b 1 c");
  EXPECT_EQ(client.Take(), "-ERR wrong number of arguments for 'mset' command\r\n");
  Settle();
  EXPECT_EQ(a.connections() + b.connections(), 0u);
}

TEST_F(RouterTest, KeysOfOneSlotAreNotSplit) {
  SendNow("MGET {b}1 {b}2");
  EXPECT_EQ(a.Take(), Wire("MGET {b}1 {b}2"));
  EXPECT_EQ(stats().commands_split.value(), 0u);
}

TEST_F(RouterTest, AFailedPartFailsTheCommandInKeyOrder) {
  SendNow("DEL c b");
  Reply(a, "-ERR from b's node\r\n");
  Reply(b, "-ERR from c's node\r\n");
  EXPECT_EQ(client.Take(), "-ERR from c's node\r\n");
}

TEST_F(RouterTest, ManyKeysOfManySlots) {
  OpenAll();
  std::vector<std::string> words{"MGET"};
  for (int i = 0; i < 3000; ++i) words.push_back("key:" + std::to_string(i));
  Offer(&client, words);
  sim.RunFor(20 * kMillisecond);
  std::string expected = "*3000\r\n";
  for (NodeForTest* node : {&a, &b, &c}) Reply(*node, AnswerMget(node->Take()));
  for (int i = 0; i < 3000; ++i) expected += Bulk("key:" + std::to_string(i));
  EXPECT_EQ(client.Take(), expected);
}

TEST_F(RouterTest, APartIsRedirectedOnItsOwn) {
  SendNow("EXISTS b c");
  Reply(b, Moved(7365, 'C'));
  EXPECT_EQ(c.Take(), Wire("EXISTS c"));
  Reply(c, ":1\r\n");
  Reply(a, ":1\r\n");
  EXPECT_EQ(client.Take(), ":2\r\n");
}

// ---- MOVED

TEST_F(RouterTest, MovedIsFollowedAndRememberedAtOnce) {
  SendNow("GET b");
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "+found\r\n");
  EXPECT_EQ(client.Take(), "+found\r\n");
  EXPECT_EQ(topology.requests, 1);
  EXPECT_EQ(stats().redirects_moved.value(), 1u);
  a.Take();
  SendNow("GET b");
  EXPECT_EQ(b.Take(), Wire("GET b"));
  EXPECT_EQ(a.Take(), "");
}

TEST_F(RouterTest, MovedWithoutAHostMeansTheHostThatWasAsked) {
  NodeForTest neighbour(sim.network, "10.0.0.1:7001");
  SendNow("GET b");
  Reply(a, "-MOVED 3300 :7001\r\n");
  EXPECT_EQ(neighbour.Take(), Wire("GET b"));
  EXPECT_EQ(table.Find(3300).primary->address().ToString(), "10.0.0.1:7001");
}

TEST_F(RouterTest, MovedMayNameAnIpv6Address) {
  NodeForTest six(sim.network, "[::1]:7001");
  SendNow("GET b");
  Reply(a, "-MOVED 3300 ::1:7001\r\n");
  EXPECT_EQ(six.Take(), Wire("GET b"));
}

TEST_F(RouterTest, MovedToNobodyWaitsForTheMap) {
  SendNow("GET b");
  Reply(a, "-MOVED 3300 ?:0\r\n");
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(client.replies.delayed(), 1u);
  EXPECT_EQ(topology.requests, 1);
  table.NoteMoved(3300, table.NodeAt(AddressOf('C')));
  router.RunDelayed();
  EXPECT_EQ(client.replies.delayed(), 0u);
  Settle();
  EXPECT_EQ(c.Take(), Wire("GET b"));
}

TEST_F(RouterTest, RedirectsInCirclesEndWithAnError) {
  sim.config.redirects_max = 5;
  Send("GET b");
  for (int i = 0; i < 6; ++i) {
    NodeForTest& asked = i % 2 == 0 ? a : b;
    sim.RunUntil([&] { return asked.HasInput(); });
    EXPECT_EQ(asked.Take(), Wire("GET b"));
    EXPECT_FALSE(client.HasOutput());
    Reply(asked, Moved(3300, i % 2 == 0 ? 'B' : 'A'));
  }
  EXPECT_EQ(client.Take(), kErrorTooManyRedirects);
  EXPECT_EQ(stats().redirects_exhausted.value(), 1u);
}

TEST_F(RouterTest, AMalformedRedirectIsTheReply) {
  SendNow("GET b");
  Reply(a, "-MOVED everywhere\r\n");
  EXPECT_EQ(client.Take(), "-MOVED everywhere\r\n");
}

TEST_F(RouterTest, MovedToANodeThatCannotBeReachedWaits) {
  sim.network.SetConnectMode("10.0.0.2:7000", sim::ConnectMode::kRefuse);
  SendNow("SET b 1");
  Reply(a, Moved(3300, 'B'));
  sim.RunFor(100 * kMillisecond);
  EXPECT_FALSE(client.HasOutput());
  sim.network.SetConnectMode("10.0.0.2:7000", sim::ConnectMode::kAccept);
  sim.RunUntil([this] { return b.HasInput(); });
  EXPECT_EQ(b.Take(), Wire("SET b 1"));
}

// ---- ASK

TEST_F(RouterTest, AskChangesNothingForTheNextCommand) {
  SendNow("GET b");
  a.Take();
  Reply(a, Ask(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("GET b"));
  Reply(b, "+OK\r\n+found\r\n");
  EXPECT_EQ(client.Take(), "+found\r\n");
  EXPECT_EQ(stats().redirects_ask.value(), 1u);
  EXPECT_EQ(topology.requests, 0);
  SendNow("GET b");
  EXPECT_EQ(a.Take(), Wire("GET b"));
}

TEST_F(RouterTest, EachAskingIsFollowedByItsOwnCommand) {
  OpenAll();
  ClientForTest other(sim.resources);
  Send("GET b");
  Send(&other, "GET {b}2");
  Settle();
  a.Reply(Ask(3300, 'B') + Ask(3300, 'B'));
  Send("GET c");
  Settle();
  const std::string got = b.Take();
  EXPECT_NE(got.find(Wire("ASKING") + Wire("GET b")), std::string::npos) << got;
  EXPECT_NE(got.find(Wire("ASKING") + Wire("GET {b}2")), std::string::npos) << got;
  other.Leave();
}

TEST_F(RouterTest, AnAskingThatIsRefusedDoesNotShiftReplies) {
  SendNow("GET b");
  Reply(a, Ask(3300, 'B'));
  Reply(b, "-ERR unknown command 'ASKING'\r\n" + Moved(3300, 'A'));
  sim.RunUntil([this] { return a.HasInput(); });
  Reply(a, "+found\r\n");
  EXPECT_EQ(Await(), "+found\r\n");
}

TEST_F(RouterTest, AskToANodeThatCannotBeReachedWaitsAndAsksAgain) {
  sim.network.SetConnectMode("10.0.0.2:7000", sim::ConnectMode::kRefuse);
  SendNow("GET b");
  a.Take();
  Reply(a, Ask(3300, 'B'));
  sim.RunUntil([this] { return a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("GET b")) << "the owner is asked anew";
  Reply(a, "+back\r\n");
  EXPECT_EQ(client.Take(), "+back\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
