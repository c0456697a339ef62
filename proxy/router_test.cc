#include "proxy/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/redirect.h"
#include "proxy/errors.h"
#include "proxy/request.h"
#include "proxy/router_for_test.h"
#include "resp/command_view.h"
#include "resp/request_scanner.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using Verdict = Router::Verdict;

class RouterTest : public testing::Test, public RouterForTest {
 protected:
  RouterTest() = default;
  explicit RouterTest(const sim::SimIoOptions& options) : RouterForTest(options) {}

  std::string Moved(int slot, char to) {
    return "-MOVED " + std::to_string(slot) + " " + AddressOf(to).ToString() + "\r\n";
  }
  std::string Ask(int slot, char to) {
    return "-ASK " + std::to_string(slot) + " " + AddressOf(to).ToString() + "\r\n";
  }
  // Runs until the client has something, and takes it.
  std::string Await() {
    sim.RunUntil([this] { return client.HasOutput(); });
    return client.Take();
  }
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
  uring::Slice CommandSlice(std::string_view bytes) {
    uring::Chunk* chunk = sim.resources.output_pool.TakeLarge(bytes.size());
    std::memcpy(chunk->data, bytes.data(), bytes.size());
    return uring::Slice::Adopt(chunk, chunk->data, bytes.size());
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

TEST_F(RouterTest, KeysOfSeveralSlotsAreRefused) {
  EXPECT_TRUE(Send("SINTER a b"));
  EXPECT_TRUE(Send("RENAME a b"));
  EXPECT_TRUE(Send("MSETNX a 1 b 2"));
  const std::string error(kErrorCrossSlot);
  EXPECT_EQ(client.Take(), error + error + error);
  EXPECT_EQ(stats().errors_crossslot.value(), 3u);
  EXPECT_EQ(stats().commands_refused.value(), 3u);
}

TEST_F(RouterTest, AScriptWithoutKeysRunsSomewhere) {
  OpenAll();
  for (int i = 0; i < 3; ++i) SendNow("EVAL return 0");
  const std::string all = a.Take() + b.Take() + c.Take();
  EXPECT_EQ(all, Wire("EVAL return 0") + Wire("EVAL return 0") + Wire("EVAL return 0"));
}

TEST_F(RouterTest, MessagesToOneChannelGoOneWay) {
  const std::string publish = Wire("PUBLISH b message");
  for (int i = 0; i < 3; ++i) SendNow("PUBLISH b message");
  EXPECT_EQ(a.Take(), publish + publish + publish);
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
  router.RunDelayed(/*all=*/true);
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

// ---- errors that pass

class PassingErrorTest : public RouterTest, public testing::WithParamInterface<const char*> {};

TEST_P(PassingErrorTest, IsTriedAgainAfterAPause) {
  const std::string error = std::string(GetParam()) + "\r\n";
  SendNow("GET b");
  a.Take();
  Reply(a, error);
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(client.replies.delayed(), 1u);
  sim.RunFor((sim.config.retry_delay_ms - 2) * kMillisecond);
  EXPECT_EQ(a.Take(), "");
  sim.RunFor(5 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "+at last\r\n");
  EXPECT_EQ(client.Take(), "+at last\r\n");
  EXPECT_EQ(stats().retries.value(), 1u);
}

TEST_P(PassingErrorTest, IsTheReplyInTheEndWholeHoweverItWasCut) {
  const std::string error = std::string(GetParam()) + "\r\n";
  sim.config.request_timeout_ms = 100;
  SendNow("SET b 1");
  int tries = 0;
  while (!client.HasOutput() && tries < 100) {
    sim.RunUntil([this] { return a.HasInput() || client.HasOutput(); });
    if (!a.HasInput()) break;
    a.Take();
    ++tries;
    const size_t cut = tries % error.size();
    Reply(a, error.substr(0, cut));
    Reply(a, error.substr(cut));
  }
  EXPECT_EQ(client.Take(), error);
  EXPECT_GT(tries, 2);
  EXPECT_LT(tries, 7);
  EXPECT_EQ(client.replies.delayed(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    , PassingErrorTest,
    testing::Values("-TRYAGAIN Multiple keys request during rehashing of slot",
                    "-CLUSTERDOWN The cluster is down", "-LOADING Redis is loading the dataset",
                    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'.",
                    "-READONLY You can't write against a read only replica."));

TEST_F(RouterTest, ErrorsOfTheClusterMakeUsReadTheMap) {
  SendNow("GET b");
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  EXPECT_EQ(topology.requests, 0);
  sim.RunFor(25 * kMillisecond);
  Reply(a, "-CLUSTERDOWN The cluster is down\r\n");
  EXPECT_EQ(topology.requests, 1);
}

TEST_F(RouterTest, ANewMapEndsThePause) {
  SendNow("GET b");
  Reply(a, "-READONLY You can't write against a read only replica.\r\n");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  router.RunDelayed(/*all=*/true);
  Settle();
  EXPECT_EQ(b.Take(), Wire("GET b"));
  EXPECT_EQ(client.replies.delayed(), 0u);
}

TEST_F(RouterTest, NothingIsSentAgainForAClientThatHasLeft) {
  ClientForTest leaving(sim.resources);
  Send(&leaving, "SET b 1");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  leaving.Leave();
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(a.Take(), "");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(RouterTest, NothingIsSentAgainForAPartWhoseClientHasLeft) {
  ClientForTest leaving(sim.resources);
  Send(&leaving, "DEL b c");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  leaving.Leave();
  Reply(b, ":1\r\n");
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(a.Take(), "");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

// ---- nobody there

TEST_F(RouterTest, ASlotThatNobodyOwnsIsAnErrorAfterTheTimeout) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {{0, 5460, 0}}));
  sim.config.request_timeout_ms = 200;
  const int64_t begin_ns = sim.io.NowNs();
  Send("GET c");
  EXPECT_EQ(Await(), "-CLUSTERDOWN Hash slot not served\r\n");
  EXPECT_GE(sim.io.NowNs() - begin_ns, 200 * kMillisecond);
  EXPECT_LE(sim.io.NowNs() - begin_ns, 250 * kMillisecond);
  EXPECT_GT(topology.requests, 0);
  EXPECT_EQ(stats().errors_slot_uncovered.value(), 1u);
}

TEST_F(RouterTest, ASlotThatIsOwnedInTimeIsServed) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {{0, 5460, 0}}));
  Send("MGET c b");
  sim.RunFor(50 * kMillisecond);
  table.Adopt(ThreeShards());
  router.RunDelayed(/*all=*/true);
  Settle();
  Reply(b, "*1\r\n+c\r\n");
  Reply(a, "*1\r\n+b\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n+c\r\n+b\r\n");
}

TEST_F(RouterTest, ANodeThatCannotBeReachedIsAnErrorAfterTheTimeout) {
  sim.config.request_timeout_ms = 300;
  sim.network.SetConnectMode("10.0.0.1:7000", sim::ConnectMode::kRefuse);
  Send("SET b 1");
  EXPECT_EQ(Await(), kErrorUnreachable);
  EXPECT_EQ(stats().errors_unreachable.value(), 1u);
  EXPECT_EQ(client.replies.delayed(), 0u);
}

TEST_F(RouterTest, AKeylessCommandWithoutAnyNodeIsUnreachable) {
  sim.config.request_timeout_ms = 100;
  table.Adopt(cluster::Topology({}, {}, {}));
  Send("LOLWUT");
  EXPECT_EQ(Await(), kErrorUnreachable);
}

class RouterWithoutDescriptorsTest : public RouterTest {
 protected:
  RouterWithoutDescriptorsTest() : RouterTest({.open_failure_one_in = 1}) {}
};

TEST_F(RouterWithoutDescriptorsTest, EverythingIsUnreachable) {
  sim.config.request_timeout_ms = 100;
  const std::vector<std::vector<std::string>> commands{
      {"SET", "b", "1"}, {"SET", "b", std::string(5000, 'v')}, {"MGET", "a", "b", "c"}};
  for (const std::vector<std::string>& command : commands) {
    EXPECT_EQ(Offer(&client, command), Verdict::kTaken);
    sim.RunUntil([this] { return client.replies.empty(); });
    EXPECT_EQ(client.Take(), kErrorUnreachable);
  }
}

TEST_F(RouterWithoutDescriptorsTest, ARedirectIsUnreachableToo) {
  sim.config.request_timeout_ms = 100;
  Request* request = sim.resources.NewRequest();
  request->spec = cluster::FindCommand("GET");
  request->slot = 3300;
  request->issued_ns = sim.io.NowNs();
  client.replies.Push(request);
  request->command = CommandSlice(Wire("GET b"));
  const std::string line = Ask(3300, 'B');
  router.OnErrorReply(request, cluster::ParseErrorReply(line),
                      &table.NodeAt(AddressOf('A'))->primary_link());
  sim.RunUntil([this] { return client.replies.empty(); });
  EXPECT_EQ(client.Take(), kErrorUnreachable);
}

// ---- connections that break

TEST_F(RouterTest, AReadIsSentAgainWhenItsConnectionBreaks) {
  SendNow("GET b");
  a.peer().Reset();
  sim.RunUntil([this] { return a.connections() == 2 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "+again\r\n");
  EXPECT_EQ(client.Take(), "+again\r\n");
}

TEST_F(RouterTest, AWriteThatWasSentIsNeverSentAgain) {
  SendNow("INCR b");
  a.peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(stats().errors_outcome_unknown.value(), 1u);
  sim.RunFor(kSecond);
  EXPECT_EQ(a.connections(), 1u);
}

TEST_F(RouterTest, AWriteThatWasNotSentIsSentAgain) {
  OpenAll();
  Send("INCR b");
  sim.Turn(sim.io.NowNs() + 1);
  Send("INCR f");  // Waits for the send that is under way.
  table.NodeAt(AddressOf('A'))->primary_link().Fail("test");
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  sim.RunUntil([this] { return a.connections() == 2 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("INCR f"));
}

TEST_F(RouterTest, AScriptThatWasSentIsNeverSentAgain) {
  SendNow("EVAL return 1 b");
  a.peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(RouterTest, APartThatIsLostFailsTheWholeWrite) {
  SendNow("MSET b 1 c 2");
  Reply(b, "+OK\r\n");
  a.peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(RouterTest, ALostConnectionMakesUsReadTheMap) {
  SendNow("GET b");
  a.peer().Close();
  Settle();
  EXPECT_GE(topology.requests, 1);
}

// ---- order

TEST_F(RouterTest, ACommandWaitsWhileOlderOnesMayStillRunAtTheOldOwner) {
  OpenAll();
  Send("SET b 1");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_FALSE(Send("SET b 2"));
  EXPECT_EQ(stats().fences.value(), 1u);
  EXPECT_TRUE(Send("SET c 1")) << "another slot has not changed";
  Settle();
  a.Take();
  Reply(a, "+OK\r\n");
  EXPECT_TRUE(Send("SET b 2")) << "SET c was sent after the change";
}

TEST_F(RouterTest, ACommandGoesOnWhenOlderOnesAreAnswered) {
  OpenAll();
  Send("SET b 1");
  Settle();
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_FALSE(Send("SET b 2"));
  EXPECT_FALSE(Send("MSET a 1 b 2"));
  Reply(a, "+OK\r\n");
  EXPECT_TRUE(Send("SET b 2"));
  Settle();
  EXPECT_EQ(b.Take(), Wire("SET b 2"));
}

TEST_F(RouterTest, OtherClientsDoNotWait) {
  OpenAll();
  ClientForTest other(sim.resources);
  Send("SET b 1");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_TRUE(Send(&other, "SET b 2"));
}

TEST_F(RouterTest, NothingNewIsSentWhileARequestWaitsForARetry) {
  SendNow("GET b");
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  EXPECT_FALSE(Send("GET c"));
  EXPECT_FALSE(Send("PUBLISH x y"));
  sim.RunFor(25 * kMillisecond);
  EXPECT_TRUE(Send("GET c"));
}

TEST_F(RouterTest, AChangeThatIsOlderThanAllRequestsIsNoReasonToWait) {
  OpenAll();
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_TRUE(Send("SET b 1"));
  EXPECT_TRUE(Send("SET b 2"));
  table.NoteMoved(15495, table.NodeAt(AddressOf('A')));
  EXPECT_TRUE(Send("SET b 3"));
  EXPECT_FALSE(Send("SET a 1"));
}

TEST_F(RouterTest, ARedirectedCommandDoesNotOvertakeOneThatWaits) {
  OpenAll();
  Send("SET b 1");
  Send("SET b 2");
  Settle();
  a.Take();
  a.Reply("-TRYAGAIN Multiple keys request during rehashing of slot\r\n" + Moved(3300, 'B'));
  sim.RunFor(100 * kMillisecond);
  const std::string at_a = a.Take();
  EXPECT_EQ(at_a + b.Take(), Wire("SET b 1") + Wire("SET b 2")) << "at A: " << at_a;
}

// A younger command has been executed: the older one can only fail, or they would change places.
TEST_F(RouterTest, AnOvertakenCommandIsAnsweredWithAnError) {
  OpenAll();
  Send("SET b 1");
  Send("SET b 2");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n");
  EXPECT_EQ(client.Take(), std::string(kErrorUnreachable) + "+OK\r\n");
  EXPECT_EQ(client.replies.delayed(), 0u);
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(a.Take(), "") << "and is not sent again";
}

TEST_F(RouterTest, ReadsMayChangePlaces) {
  OpenAll();
  Send("GET b");
  Send("GET b");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+2\r\n");
  EXPECT_FALSE(client.HasOutput());
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "+1\r\n");
  EXPECT_EQ(client.Take(), "+1\r\n+2\r\n");
}

TEST_F(RouterTest, CommandsOfOtherSlotsAndOtherClientsOvertakeNobody) {
  OpenAll();
  ClientForTest other(sim.resources);
  Send("SET b 1");
  Send("SET f 2");
  Send(&other, "SET b 3");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n+OK\r\n");
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(client.replies.delayed(), 1u);
  EXPECT_EQ(other.Take(), "+OK\r\n");
}

TEST_F(RouterTest, AnOvertakenPartFailsItsWholeCommand) {
  OpenAll();
  Send("MSET b 1 c 1");
  Send("SET b 2");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n");
  EXPECT_FALSE(client.HasOutput()) << "the other part is still under way";
  Reply(b, "+OK\r\n");
  EXPECT_EQ(client.Take(), std::string(kErrorUnreachable) + "+OK\r\n");
}

TEST_F(RouterTest, WhatWaitsForADeadNodeGoesToItsSuccessor) {
  sim.network.SetConnectMode("10.0.0.1:7000", sim::ConnectMode::kSilent);
  Send("SET b 1");
  sim.RunFor(10 * kMillisecond);
  table.Adopt(cluster::Topology({NodeNamed('B', true)}, {{0, {}}}, {{0, 16383, 0}}));
  router.OnTopologyChanged();
  Settle();
  EXPECT_EQ(b.Take(), Wire("SET b 1"));
}

// ---- replicas

class ReplicaTest : public RouterTest {
 protected:
  // A is the primary of everything, B and C are its replicas.
  ReplicaTest() {
    table.Adopt(
        cluster::Topology({NodeNamed('A', true), NodeNamed('B', false), NodeNamed('C', false)},
                          {{0, {1, 2}}}, {{0, 16383, 0}}));
  }
  void Greet(NodeForTest& node) {
    sim.RunUntil([&] { return node.HasInput(); });
    ASSERT_EQ(node.Take(), Wire("READONLY"));
    Reply(node, "+OK\r\n");
  }
  void GreetBoth() {
    sim.config.read_prefer = ReadPreference::kReplica;
    for (int i = 0; i < 2; ++i) Send("GET a");
    Greet(b);
    Greet(c);
    b.Take();
    c.Take();
    Reply(b, "+open\r\n");
    Reply(c, "+open\r\n");
    client.Take();
  }
};

TEST_F(ReplicaTest, ReplicasAreNotAskedUnlessToldTo) {
  SendNow("GET a");
  EXPECT_EQ(a.Take(), Wire("GET a"));
}

TEST_F(ReplicaTest, ReadsTakeTurnsAtReplicasAndWritesGoToThePrimary) {
  GreetBoth();
  for (int i = 0; i < 4; ++i) Send("GET a");
  Send("SET a 1");
  Settle();
  EXPECT_EQ(b.Take(), Wire("GET a") + Wire("GET a"));
  EXPECT_EQ(c.Take(), Wire("GET a") + Wire("GET a"));
  EXPECT_EQ(a.Take(), Wire("SET a 1"));
}

TEST_F(ReplicaTest, PartsOfReadsGoToReplicasToo) {
  GreetBoth();
  SendNow("MGET a b");
  EXPECT_EQ(a.connections(), 0u);
}

TEST_F(ReplicaTest, TheZoneIsPreferredAndNotRequired) {
  sim.config.read_prefer = ReadPreference::kReplicaSameZone;
  sim.config.zone_prefix = "10.0.0.3";
  for (int i = 0; i < 3; ++i) Send("GET a");
  Greet(c);
  EXPECT_EQ(c.Take(), Wire("GET a") + Wire("GET a") + Wire("GET a"));
  EXPECT_EQ(b.connections(), 0u);
  sim.config.zone_prefix = "192.168.";
  SendNow("GET a");
  EXPECT_EQ(a.connections(), 0u) << "any replica is better than none";
}

TEST_F(ReplicaTest, WithoutAReachableReplicaThePrimaryServes) {
  sim.config.read_prefer = ReadPreference::kReplica;
  table.NodeAt(AddressOf('B'))->OnConnectFailed();
  table.NodeAt(AddressOf('C'))->OnConnectFailed();
  SendNow("GET a");
  EXPECT_EQ(a.Take(), Wire("GET a"));
}

TEST_F(ReplicaTest, AReplicaThatSendsUsAwaySendsUsToThePrimary) {
  GreetBoth();
  Send("GET a");
  sim.RunUntil([this] { return b.HasInput() || c.HasInput(); });
  Reply(b.HasInput() ? b : c, Moved(15495, 'A'));
  sim.RunUntil([this] { return a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("GET a"));
  Reply(a, "+primary\r\n");
  EXPECT_EQ(client.Take(), "+primary\r\n");
  EXPECT_GE(topology.requests, 1);
}

TEST_F(ReplicaTest, WhatAReplicaCannotServeThePrimaryDoes) {
  GreetBoth();
  Send("GET a");
  sim.RunUntil([this] { return b.HasInput() || c.HasInput(); });
  Reply(b.HasInput() ? b : c, "-MASTERDOWN Link with MASTER is down\r\n");
  sim.RunUntil([this] { return a.HasInput(); }, kSecond);
  EXPECT_EQ(a.Take(), Wire("GET a"));
}

TEST_F(ReplicaTest, WhatAReplicaHasLostThePrimaryServes) {
  GreetBoth();
  Send("GET a");
  sim.RunUntil([this] { return b.HasInput() || c.HasInput(); });
  (b.HasInput() ? b : c).peer().Reset();
  sim.RunUntil([this] { return a.HasInput(); }, kSecond);
  EXPECT_EQ(a.Take(), Wire("GET a"));
}

// ---- our own commands

class InternalReplyForTest final : public InternalReply {
 public:
  void OnReply(std::string_view reply) override { replies.emplace_back(reply); }
  void OnLost() override { ++lost; }
  std::vector<std::string> replies;
  int lost = 0;
};

TEST_F(RouterTest, OurOwnCommandsGetTheirRepliesWhateverTheySay) {
  InternalReplyForTest internal;
  router.SendInternal(table.NodeAt(AddressOf('A')), Wire("CLUSTER SHARDS"), &internal);
  Settle();
  EXPECT_EQ(a.Take(), Wire("CLUSTER SHARDS"));
  Reply(a, "-CLUSTERDOWN");
  Reply(a, " no\r\n");
  EXPECT_EQ(internal.replies, std::vector<std::string>{"-CLUSTERDOWN no\r\n"});
  EXPECT_EQ(internal.lost, 0);
}

TEST_F(RouterTest, OurOwnCommandsHearOfALossOnce) {
  InternalReplyForTest internal;
  router.SendInternal(table.NodeAt(AddressOf('A')), Wire("CLUSTER SHARDS"), &internal);
  Settle();
  a.peer().Reset();
  Settle();
  EXPECT_EQ(internal.lost, 1);
  router.SendInternal(table.NodeAt(AddressOf('A')), Wire("CLUSTER SHARDS"), &internal);
  EXPECT_EQ(internal.lost, 2) << "the node is left alone for a moment";
  EXPECT_TRUE(internal.replies.empty());
}

}  // namespace
}  // namespace rcproxy::proxy
