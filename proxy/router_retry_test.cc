// What happens to requests that a node could not answer: errors that pass, nodes that are not
// there, connections that break, replicas.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/redirect.h"
#include "proxy/errors.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using Verdict = Router::Verdict;

class RouterRetryTest : public testing::Test, public RouterForTest {
 protected:
  RouterRetryTest() = default;
  explicit RouterRetryTest(const sim::SimIoOptions& options) : RouterForTest(options) {}

  uring::Slice CommandSlice(std::string_view bytes) {
    uring::Chunk* chunk = sim.resources.output_pool.TakeLarge(bytes.size());
    std::memcpy(chunk->data, bytes.data(), bytes.size());
    return uring::Slice::Adopt(chunk, chunk->data, bytes.size());
  }
  Stats& stats() { return sim.stats; }
};

// ---- errors that pass

class PassingErrorTest : public RouterRetryTest, public testing::WithParamInterface<const char*> {};

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

TEST_F(RouterRetryTest, ErrorsOfTheClusterMakeUsReadTheMap) {
  SendNow("GET b");
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  EXPECT_EQ(topology.requests, 0);
  sim.RunFor(25 * kMillisecond);
  Reply(a, "-CLUSTERDOWN The cluster is down\r\n");
  EXPECT_EQ(topology.requests, 1);
}

// Keys that neither node of a moving slot has: one says ASK, the other TRYAGAIN.
TEST_F(RouterRetryTest, ARequestThatIsSentBackAndForthEndsByItsDeadlineAlone) {
  SendNow("COPY {b}1 {b}2");
  for (uint32_t i = 0; i < 2 * sim.config.redirects_max; ++i) {
    EXPECT_EQ(a.Take(), Wire("COPY {b}1 {b}2")) << i;
    Reply(a, Ask(3300, 'B'));
    EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("COPY {b}1 {b}2")) << i;
    Reply(b, "+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    EXPECT_FALSE(client.HasOutput()) << i;
    sim.RunFor(25 * kMillisecond);
  }
  Reply(a, ":0\r\n");
  EXPECT_EQ(client.Take(), ":0\r\n");
}

TEST_F(RouterRetryTest, ATransactionIsTriedAgainWhereverItsFirstErrorIsCut) {
  const std::string unit = Wire("MULTI") + Wire("GET b") + Wire("EXEC");
  const std::string refusal = "+OK\r\n" + Ask(3300, 'B') + "-EXECABORT Transaction discarded\r\n";
  for (size_t cut = 1; cut < refusal.size(); ++cut) {
    router.RouteUnit(&client.replies, cluster::CommandNamed("exec"), unit, 3300, true);
    Settle();
    EXPECT_EQ(a.Take(), unit);
    Reply(a, refusal.substr(0, cut));
    Reply(a, refusal.substr(cut));
    EXPECT_EQ(client.Take(), "") << cut;
    sim.RunFor(25 * kMillisecond);
    EXPECT_EQ(a.Take(), unit) << cut;
    Reply(a, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
    EXPECT_EQ(client.Take(), "*1\r\n$1\r\nv\r\n") << cut;
  }
}

TEST_F(RouterRetryTest, ANewMapEndsThePause) {
  SendNow("GET b");
  Reply(a, "-READONLY You can't write against a read only replica.\r\n");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  router.RunDelayed();
  Settle();
  EXPECT_EQ(b.Take(), Wire("GET b"));
  EXPECT_EQ(client.replies.delayed(), 0u);
}

TEST_F(RouterRetryTest, NothingIsSentAgainForAClientThatHasLeft) {
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

TEST_F(RouterRetryTest, NothingIsSentAgainForAPartWhoseClientHasLeft) {
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

TEST_F(RouterRetryTest, ASlotThatNobodyOwnsIsAnErrorAfterTheTimeout) {
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

TEST_F(RouterRetryTest, ASlotThatIsOwnedInTimeIsServed) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {{0, 5460, 0}}));
  Send("MGET c b");
  sim.RunFor(50 * kMillisecond);
  table.Adopt(ThreeShards());
  router.RunDelayed();
  Settle();
  Reply(b, "*1\r\n+c\r\n");
  Reply(a, "*1\r\n+b\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n+c\r\n+b\r\n");
}

TEST_F(RouterRetryTest, ANodeThatCannotBeReachedIsAnErrorAfterTheTimeout) {
  sim.config.request_timeout_ms = 300;
  sim.network.SetConnectMode("10.0.0.1:7000", sim::ConnectMode::kRefuse);
  Send("SET b 1");
  EXPECT_EQ(Await(), kErrorUnreachable);
  EXPECT_EQ(stats().errors_unreachable.value(), 1u);
  EXPECT_EQ(client.replies.delayed(), 0u);
}

TEST_F(RouterRetryTest, AKeylessCommandWithoutAnyNodeIsUnreachable) {
  sim.config.request_timeout_ms = 100;
  table.Adopt(cluster::Topology({}, {}, {}));
  Send("LOLWUT");
  EXPECT_EQ(Await(), kErrorUnreachable);
}

class RouterWithoutDescriptorsTest : public RouterRetryTest {
 protected:
  RouterWithoutDescriptorsTest() : RouterRetryTest({.open_failure_one_in = 1}) {}
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
  request->bytes = CommandSlice(Wire("GET b"));
  const std::string line = Ask(3300, 'B');
  router.OnErrorReply(request, cluster::ParseErrorReply(line),
                      &table.NodeAt(AddressOf('A'))->primary_link());
  sim.RunUntil([this] { return client.replies.empty(); });
  EXPECT_EQ(client.Take(), kErrorUnreachable);
}

// ---- connections that break

TEST_F(RouterRetryTest, AReadIsSentAgainWhenItsConnectionBreaks) {
  SendNow("GET b");
  a.peer().Reset();
  sim.RunUntil([this] { return a.connections() == 2 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "+again\r\n");
  EXPECT_EQ(client.Take(), "+again\r\n");
}

TEST_F(RouterRetryTest, AWriteThatWasSentIsNeverSentAgain) {
  SendNow("INCR b");
  a.peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(stats().errors_outcome_unknown.value(), 1u);
  sim.RunFor(kSecond);
  EXPECT_EQ(a.connections(), 1u);
}

TEST_F(RouterRetryTest, AWriteThatWasNotSentIsSentAgain) {
  OpenAll();
  Send("INCR b");
  sim.Turn(sim.io.NowNs() + 1);
  Send("INCR f");  // Waits for the send that is under way.
  table.NodeAt(AddressOf('A'))->primary_link().Fail("test");
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  sim.RunUntil([this] { return a.connections() == 2 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("INCR f"));
}

TEST_F(RouterRetryTest, AScriptThatWasSentIsNeverSentAgain) {
  SendNow("EVAL return 1 b");
  a.peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(RouterRetryTest, APartThatIsLostFailsTheWholeWrite) {
  SendNow("MSET b 1 c 2");
  Reply(b, "+OK\r\n");
  a.peer().Reset();
  Settle();
  const std::string lost(kErrorOutcomeUnknown.substr(0, kErrorOutcomeUnknown.size() - 2));
  EXPECT_EQ(client.Take(), lost + " (a part: of 2 parts 1 done, 0 failed, 1 unknown)\r\n");
}

TEST_F(RouterRetryTest, ALostConnectionMakesUsReadTheMap) {
  SendNow("GET b");
  a.peer().Close();
  Settle();
  EXPECT_GE(topology.requests, 1);
}

// ---- replicas

class ReplicaTest : public RouterRetryTest {
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
    client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
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

TEST_F(ReplicaTest, TheZoneIsPreferred) {
  client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  table.NodeAt(AddressOf('C'))->set_in_zone(true);
  for (int i = 0; i < 3; ++i) Send("GET a");
  Greet(c);
  EXPECT_EQ(c.Take(), Wire("GET a") + Wire("GET a") + Wire("GET a"));
  EXPECT_EQ(b.connections(), 0u);
}

TEST_F(ReplicaTest, WithoutAReplicaReadsWaitWhereThePrimaryMayNotServeThem) {
  sim.config.read_prefer = ReadPreference::kReplica;
  client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  table.NodeAt(AddressOf('B'))->OnConnectFailed();
  table.NodeAt(AddressOf('C'))->OnConnectFailed();
  SendNow("GET a");
  EXPECT_EQ(a.connections(), 0u);
  sim.RunFor(sim.config.request_timeout_ms * sim::kMillisecond);
  Greet(b);
  EXPECT_EQ(a.connections(), 0u);
}

TEST_F(ReplicaTest, AClientReadsWhatItHasJustWritten) {
  sim.config.read_your_writes_ms = 100;
  GreetBoth();
  Send("SET a 1");
  Send("GET a");
  Settle();
  EXPECT_EQ(a.Take(), Wire("SET a 1") + Wire("GET a"));
  Reply(a, "+OK\r\n$1\r\n1\r\n");
  sim.RunFor(101 * sim::kMillisecond);
  SendNow("GET a");
  EXPECT_EQ(a.Take(), "");
  EXPECT_EQ(b.Take() + c.Take(), Wire("GET a"));
}

TEST_F(ReplicaTest, WithoutAReachableReplicaThePrimaryServes) {
  client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
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

TEST_F(ReplicaTest, WhatAReplicaCannotServeAnotherDoesAtOnce) {
  GreetBoth();
  Send("GET a");
  Settle();
  NodeForTest& first = b.HasInput() ? b : c;
  NodeForTest& second = b.HasInput() ? c : b;
  first.Take();
  Reply(first, "-MASTERDOWN Link with MASTER is down\r\n");
  EXPECT_EQ(second.Take(), Wire("GET a"));
  Reply(second, "-LOADING Redis is loading the dataset in memory\r\n");
  EXPECT_EQ(a.Take(), Wire("GET a")) << "and after all replicas the primary";
  Reply(a, "+primary\r\n");
  EXPECT_EQ(client.Take(), "+primary\r\n");
  EXPECT_EQ(sim.stats.replicas_left_out.value(), 2u);
  SendNow("GET a");
  EXPECT_EQ(a.Take(), Wire("GET a")) << "both are left out for a while";
}

TEST_F(ReplicaTest, WhatAReplicaHasLostAnotherServes) {
  GreetBoth();
  Send("GET a");
  Settle();
  NodeForTest& first = b.HasInput() ? b : c;
  NodeForTest& second = b.HasInput() ? c : b;
  table.NodeAt(&first == &b ? AddressOf('B') : AddressOf('C'))->OnConnectFailed();
  first.peer().Reset();
  sim.RunUntil([&] { return second.HasInput(); }, kSecond);
  EXPECT_EQ(second.Take(), Wire("GET a"));
}

// ---- our own commands

class InternalReplyForTest final : public InternalReply {
 public:
  void OnReply(std::string_view reply) override { replies.emplace_back(reply); }
  void OnLost() override { ++lost; }
  std::vector<std::string> replies;
  int lost = 0;
};

TEST_F(RouterRetryTest, OurOwnCommandsGetTheirRepliesWhateverTheySay) {
  InternalReplyForTest internal;
  router.SendInternal(table.NodeAt(AddressOf('A')), Wire("CLUSTER SHARDS"), &internal);
  Settle();
  EXPECT_EQ(a.Take(), Wire("CLUSTER SHARDS"));
  Reply(a, "-CLUSTERDOWN");
  Reply(a, " no\r\n");
  EXPECT_EQ(internal.replies, std::vector<std::string>{"-CLUSTERDOWN no\r\n"});
  EXPECT_EQ(internal.lost, 0);
}

TEST_F(RouterRetryTest, OurOwnCommandsHearOfALossOnce) {
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

// ---- writes that may be repeated

class RepeatedWriteTest : public RouterRetryTest {
 protected:
  RepeatedWriteTest() {
    sim.config.retry_idempotent_writes = true;
    OpenAll();
  }
  // What the client hears when A closes the connection before it has answered.
  std::string AfterALoss(const std::string& line) {
    SendNow(line);
    EXPECT_EQ(a.Take(), Wire(line));
    a.peer().Close();
    sim.RunUntil([this] { return client.HasOutput() || (a.connections() > 1 && a.HasInput()); });
    return client.Take();
  }
};

TEST_F(RepeatedWriteTest, OneThatIsIdempotentIsSentAgain) {
  EXPECT_EQ(AfterALoss("SET b 1"), "");
  EXPECT_EQ(a.Take(), Wire("SET b 1"));
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  EXPECT_EQ(stats().writes_repeated.value(), 1u);
  EXPECT_EQ(stats().errors_outcome_unknown.value(), 0u);
}

TEST_F(RepeatedWriteTest, OthersAreNot) {
  for (const char* line : {"SET b 1 NX", "INCR b", "DEL b"}) {
    EXPECT_EQ(AfterALoss(line), kErrorOutcomeUnknown) << line;
    sim.RunFor(100 * kMillisecond);
    EXPECT_EQ(a.Take(), "");
    SendNow("GET b");
    sim.RunUntil([this] { return a.HasInput(); });
    a.Take();
    Reply(a, "$-1\r\n");
    client.Take();
  }
  EXPECT_EQ(stats().writes_repeated.value(), 0u);
}

TEST_F(RepeatedWriteTest, OnlyWhenTheFlagSaysSo) {
  sim.config.retry_idempotent_writes = false;
  EXPECT_EQ(AfterALoss("SET b 1"), kErrorOutcomeUnknown);
}

// The node may execute it yet, after what its client writes next.
TEST_F(RepeatedWriteTest, WhatASlowNodeStillHasIsNotRepeated) {
  SendNow("SET b 1");
  table.NodeAt(AddressOf('A'))->primary_link().Fail("no reply in time");
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(stats().writes_repeated.value(), 0u);
}

TEST_F(RepeatedWriteTest, ThoseOfOneClientKeepTheirOrder) {
  Send("SET b 1");
  Send("SET b 2");
  SendNow("GET b");
  a.Take();
  a.peer().Close();
  sim.RunUntil([this] { return a.connections() > 1 && a.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("SET b 1") + Wire("SET b 2") + Wire("GET b"));
}

// The younger one may have been executed, and the older one must not come behind it.
TEST_F(RepeatedWriteTest, NotBehindAYoungerOneWhoseOutcomeIsUnknown) {
  Send("SET b 1");
  SendNow("INCR b");
  a.peer().Close();
  EXPECT_EQ(Await(), std::string(kErrorOutcomeUnknown) + std::string(kErrorOutcomeUnknown));
}

TEST_F(RepeatedWriteTest, WhenItsTimeIsOverNobodySaysThatItWasNotExecuted) {
  sim.config.request_timeout_ms = 200;
  SendNow("SET b 1");
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
  a.peer().Close();
  EXPECT_EQ(Await(), kErrorOutcomeUnknown);
  EXPECT_EQ(stats().errors_unreachable.value(), 0u);
}

TEST_F(RepeatedWriteTest, ThePassingErrorOfTheSecondTimeSaysNothingOfTheFirst) {
  sim.config.request_timeout_ms = 200;
  EXPECT_EQ(AfterALoss("SET b 1"), "");
  sim.RunFor(190 * kMillisecond);
  Reply(a, "-LOADING Redis is loading the dataset in memory\r\n");
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(RepeatedWriteTest, NoErrorOfTheSecondTimeSaysAnythingOfTheFirst) {
  for (const char* error : {"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                            "-MISCONF Redis is configured to save RDB snapshots\r\n",
                            "-NOREPLICAS Not enough good replicas to write.\r\n"}) {
    EXPECT_EQ(AfterALoss("SET b 1"), "");
    a.Take();
    Reply(a, error);
    EXPECT_EQ(client.Take(), kErrorOutcomeUnknown) << error;
  }
  EXPECT_EQ(stats().errors_outcome_unknown.value(), 3u);
}

TEST_F(RepeatedWriteTest, AfterTooManyRedirectsNobodySaysThatItWasNotExecuted) {
  sim.config.redirects_max = 0;
  EXPECT_EQ(AfterALoss("SET b 1"), "");
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
  EXPECT_EQ(stats().redirects_exhausted.value(), 1u);
  EXPECT_EQ(stats().errors_outcome_unknown.value(), 1u);
}

// A node that imports slots would else seem to be the slowest for a long time.
TEST_F(RouterRetryTest, TheTimeOfAskingBeginsWhenItIsSent) {
  sim.RunFor(100 * kSecond);
  SendNow("GET b");
  Reply(a, Ask(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("GET b"));
  Reply(b, "+OK\r\n$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_LT(table.NodeAt(AddressOf('B'))->latency_ns(), kSecond);
}

}  // namespace
}  // namespace rcproxy::proxy
