#include "proxy/hedger.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/topology.h"
#include "proxy/config.h"
#include "proxy/hedge_budget.h"
#include "proxy/router_for_test.h"
#include "proxy/routing_table.h"
#include "proxy/session.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"
#include "testing/sim_network.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;

constexpr int64_t kDelayMs = 10;
// By then what was sent has been overdue at a look.
constexpr int64_t kLongMs = 2 * kDelayMs;

// A is the primary of all slots, B and C are its replicas, which serve the reads.
class HedgerTest : public testing::Test, public RouterForTest {
 protected:
  HedgerTest() {
    table.Adopt(
        cluster::Topology({NodeNamed('A', true), NodeNamed('B', false), NodeNamed('C', false)},
                          {{0, {1, 2}}}, {{0, 16383, 0}}));
    sim.config.read_prefer = ReadPreference::kReplica;
    sim.config.hedge_reads_after_ms = kDelayMs;
    hedger_ = std::make_unique<Hedger>(sim.resources, table, router);
    Prefer(&client);
    OpenEach();
  }
  ~HedgerTest() override {
    client.Leave();
    table.ForEachNode([](UpstreamNode& node) {
      node.ForEachLink([](UpstreamConnection& link) { link.Fail("the test is over"); });
    });
    Settle();
  }

  static void Prefer(ClientForTest* reader) {
    reader->replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  }
  // The connections that reads and writes go over.
  void OpenEach() {
    for (const char name : {'A', 'B', 'C'}) {
      UpstreamConnection& link = Node(name).link({.replica_reads = name != 'A'});
      link.AcceptIgnored(kPingCommand);
      Settle();
      NodeForTest& node = NodeAt(name);
      node.Take();
      if (name != 'A') Reply(node, "+OK\r\n");
      node.Take();
      Reply(node, "+PONG\r\n");
    }
  }
  UpstreamNode& Node(char name) { return *table.NodeAt(AddressOf(name)); }
  NodeForTest& NodeAt(char name) { return name == 'A' ? a : name == 'B' ? b : c; }

  // As a worker goes on.
  void Pass(int64_t ms) {
    for (int64_t i = 0; i < ms; ++i) {
      hedger_->OnTurn();
      sim.RunFor(kMillisecond);
    }
  }
  // The client reads, and a replica does not answer: slow() has its read from now on, and fast()
  // is the other replica.
  void ReadSlowly(const std::string& line = "GET a") {
    SendNow(line);
    slow_ = b.HasInput() ? &b : &c;
    EXPECT_EQ(slow_->Take(), Wire(line));
  }
  NodeForTest& slow() { return *slow_; }
  NodeForTest& fast() { return slow_ == &b ? c : b; }
  UpstreamNode& FastNode() { return Node(slow_ == &b ? 'C' : 'B'); }
  UpstreamConnection& SlowLink() {
    return Node(slow_ == &b ? 'B' : 'C').link({.replica_reads = true});
  }
  // The same, until the other replica has the copy.
  void ReadAndHedge(const std::string& line = "GET a") {
    ReadSlowly(line);
    Pass(kLongMs);
    EXPECT_EQ(fast().Take(), Wire(line));
  }
  uint64_t hedged() { return sim.stats.reads_hedged.value(); }
  uint64_t won() { return sim.stats.hedges_won.value(); }
  uint64_t over_budget() { return sim.stats.hedges_over_budget.value(); }

  std::unique_ptr<Hedger> hedger_;
  NodeForTest* slow_ = nullptr;
};

TEST_F(HedgerTest, ASlowReplicaIsNotWaitedFor) {
  ReadSlowly();
  Pass(kDelayMs - 2);
  EXPECT_FALSE(fast().HasInput()) << "not before the delay";
  Pass(kDelayMs);
  EXPECT_EQ(fast().Take(), Wire("GET a"));
  EXPECT_EQ(hedged(), 1u);
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_TRUE(client.replies.empty());
  EXPECT_EQ(won(), 1u);
}

TEST_F(HedgerTest, TheAnswerOfTheFirstIsDroppedAndTheNextOneIsMatched) {
  ReadAndHedge();
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  FastNode().LeaveOut();
  SendNow("GET b");
  EXPECT_EQ(slow().Take(), Wire("GET b"));
  Reply(slow(), "$3\r\nold\r\n$3\r\nnew\r\n");
  EXPECT_EQ(client.Take(), "$3\r\nnew\r\n");
  EXPECT_EQ(sim.stats.replies_discarded.value(), 1u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, WhenTheFirstAnswersFirstTheCopyIsDropped) {
  ReadAndHedge();
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  Reply(fast(), "$1\r\nw\r\n");
  EXPECT_EQ(client.Take(), "");
  EXPECT_EQ(hedged(), 1u);
  EXPECT_EQ(won(), 0u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, TheNextReadOfTheClientIsHedgedToo) {
  for (uint64_t round = 1; round <= 5; ++round) {
    ReadAndHedge();
    Reply(fast(), "$1\r\nv\r\n");
    EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
    Reply(slow(), "$1\r\nv\r\n");
    EXPECT_EQ(won(), round);
  }
}

TEST_F(HedgerTest, WhereThereIsNoOtherReplicaThePrimaryAnswersUnlessItNeverServes) {
  ReadSlowly();
  FastNode().LeaveOut();
  Pass(kLongMs);
  EXPECT_FALSE(a.HasInput());
  EXPECT_FALSE(fast().HasInput());
  sim.config.read_prefer = ReadPreference::kPreferReplica;
  Pass(kLongMs);
  EXPECT_EQ(a.Take(), Wire("GET a"));
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
}

TEST_F(HedgerTest, AnErrorOfTheSecondIsNoAnswerAndTheReadIsNotHedgedAgain) {
  for (const char* error :
       {"-ERR no\r\n", "-MOVED 15495 10.0.0.1:7000\r\n", "-ASK 15495 10.0.0.1:7000\r\n",
        "-LOADING wait\r\n", "-MASTERDOWN no\r\n", "-CLUSTERDOWN no\r\n", "!5\r\nERR x\r\n",
        "|1\r\n+a\r\n+b\r\n-ERR no\r\n"}) {
    ReadAndHedge();
    Reply(fast(), error);
    Pass(kLongMs);
    EXPECT_EQ(client.Take(), "") << error;
    EXPECT_FALSE(fast().HasInput()) << error;
    Reply(slow(), "$1\r\nv\r\n");
    EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  }
  EXPECT_EQ(hedged(), 8u);
  EXPECT_EQ(won(), 0u);
  EXPECT_EQ(sim.stats.redirects_moved.value(), 0u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, AClientThatLeavesIsForgotten) {
  ReadAndHedge();
  client.Leave();
  Reply(fast(), "$1\r\nv\r\n");
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(won(), 0u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, AYoungerCommandOfTheClientMakesItWaitForTheFirst) {
  ReadAndHedge();
  SendNow("SET a 1");
  EXPECT_EQ(a.Take(), Wire("SET a 1"));
  Reply(fast(), "$1\r\n1\r\n");  // What was written meanwhile must not be seen.
  EXPECT_EQ(client.Take(), "");
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "");
  Reply(slow(), "$1\r\n0\r\n");
  EXPECT_EQ(client.Take(), "$1\r\n0\r\n+OK\r\n");
  EXPECT_EQ(won(), 0u);
}

TEST_F(HedgerTest, ACommandThatRcproxyAnswersItselfCountsAsYounger) {
  ReadAndHedge();
  client.replies.Reply("+PONG\r\n");
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "");
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n+PONG\r\n");
}

TEST_F(HedgerTest, OnlyTheOnlyRequestOfItsClientIsHedged) {
  Send("GET a");
  SendNow("GET b");
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u);
  ASSERT_EQ(b.Take(), Wire("GET a"));
  ASSERT_EQ(c.Take(), Wire("GET b"));
  Reply(b, "$1\r\nv\r\n");
  Pass(kLongMs);
  EXPECT_EQ(b.Take(), Wire("GET b")) << "now it is";
}

TEST_F(HedgerTest, WhatOnlyThePrimaryMayServeIsNotHedged) {
  for (const char* line : {"SET a 1", "INCR a"}) SendNow(line);
  ClientForTest primarys(sim.resources);
  Send(&primarys, "GET a");
  Settle();
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u);
  EXPECT_EQ(sim.resources.timers.size(), 0u) << "nobody looks";
  Reply(a, "+OK\r\n:2\r\n$1\r\n2\r\n");
}

TEST_F(HedgerTest, NeitherAHiddenReplyNorAPartNorATransactionIsHedged) {
  ClientForTest muted(sim.resources), parts(sim.resources), unit(sim.resources);
  for (ClientForTest* reader : {&muted, &parts, &unit}) Prefer(reader);
  muted.replies.SetMode(ReplyMode::kSkipNext);
  Send(&muted, "GET a");
  Send(&parts, "MGET a b");
  const std::string commands = Wire("MULTI") + Wire("GET a") + Wire("EXEC");
  router.RouteUnit(&unit.replies, *cluster::FindCommand("exec"), commands, 15495, true);
  Settle();
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u);
}

TEST_F(HedgerTest, WhatIsOffCostsNoTimer) {
  sim.config.hedge_reads_after_ms = 0;
  hedger_ = std::make_unique<Hedger>(sim.resources, table, router);
  ReadSlowly();
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u);
  EXPECT_EQ(sim.resources.timers.size(), 0u);
}

TEST_F(HedgerTest, WhereNothingWaitsNoTimerRuns) {
  ReadAndHedge();
  Reply(fast(), "$1\r\nv\r\n");
  Reply(slow(), "$1\r\nv\r\n");
  Pass(kLongMs);
  EXPECT_EQ(sim.resources.timers.size(), 0u);
  ReadAndHedge();
}

// ---- the budget

class HedgeBudgetOfReadsTest : public HedgerTest {
 protected:
  // So many clients read, all from B, which does not answer.
  void ReadFromB(size_t count) {
    Node('C').LeaveOut();
    for (size_t i = 0; i < count; ++i) {
      readers_.push_back(std::make_unique<ClientForTest>(sim.resources));
      Prefer(readers_.back().get());
      Send(readers_.back().get(), "GET a");
    }
    Settle();
    b.Take();
    sim.config.read_prefer = ReadPreference::kPreferReplica;  // So copies go to A.
  }
  std::vector<std::unique_ptr<ClientForTest>> readers_;
};

TEST_F(HedgeBudgetOfReadsTest, MoreThanTheBurstWaitUntilOthersHaveRead) {
  ReadFromB(HedgeBudget::kBurst + 2);
  Pass(5 * kLongMs);
  EXPECT_EQ(hedged(), HedgeBudget::kBurst);
  EXPECT_EQ(over_budget(), 2u) << "each is counted once";
  Pass(1000);                     // C serves again.
  for (int i = 0; i < 20; ++i) {  // Five percent of them is one.
    SendNow("GET b");
    Reply(c, "$1\r\nv\r\n");
  }
  Pass(kLongMs);
  EXPECT_EQ(hedged(), HedgeBudget::kBurst + 1);
}

TEST_F(HedgeBudgetOfReadsTest, ResettingTheCountersDoesNotFillIt) {
  ReadFromB(HedgeBudget::kBurst + 2);
  Pass(kLongMs);
  sim.stats.ResetCounters();
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u);
}

TEST_F(HedgerTest, ACopyThatKeepsOthersWaitingIsNotAsked) {
  ClientForTest other(sim.resources);
  Prefer(&other);
  Send(&other, "GET b");
  Send("GET a");
  Settle();
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u) << "both replicas are slow";
  ASSERT_EQ(b.Take(), Wire("GET b"));
  ASSERT_EQ(c.Take(), Wire("GET a"));
  Reply(c, "$1\r\nv\r\n");
  Pass(kLongMs);
  EXPECT_EQ(c.Take(), Wire("GET b"));
  EXPECT_EQ(hedged(), 1u);
}

// ---- what ends a read otherwise

TEST_F(HedgerTest, AReadThatIsLostMeanwhileGoesItsOwnWay) {
  ReadAndHedge();
  SlowLink().node().LeaveOut();
  slow().peer().Reset();
  Settle();
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "") << "it waits to be tried again";
  sim.RunFor(sim.config.retry_delay_ms * kMillisecond);
  Settle();
  EXPECT_EQ(fast().Take(), Wire("GET a"));
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(won(), 0u);
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, ARedirectedReadGoesItsOwnWay) {
  ReadAndHedge();
  Reply(slow(), Moved(15495, 'A'));
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "");
  EXPECT_EQ(a.Take(), Wire("GET a"));
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(won(), 0u);
}

TEST_F(HedgerTest, ALostCopyLeavesTheReadAlone) {
  ReadAndHedge();
  fast().peer().Reset();
  Settle();
  EXPECT_EQ(client.Take(), "");
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, ANodeThatIsLostAfterTheCopyHasAnsweredOwesNothing) {
  ReadAndHedge();
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(SlowLink().in_flight(), 1u) << "until then it does, and is asked less than others";
  slow().peer().Reset();
  sim.RunFor(sim.config.request_timeout_ms * kMillisecond);
  EXPECT_EQ(client.Take(), "");
  EXPECT_FALSE(fast().HasInput());
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, AReadThatWaitsForItsConnectionIsHedgedAndNotSentAnyMore) {
  ReadSlowly();
  sim.network.SetConnectMode(slow().address(), sim::ConnectMode::kSilent);
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  SlowLink().CloseIdle();
  Settle();
  FastNode().LeaveOut();
  SendNow("GET b");
  ASSERT_EQ(SlowLink().state(), UpstreamConnection::State::kConnecting);
  sim.config.read_prefer = ReadPreference::kPreferReplica;
  Pass(kLongMs);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "$1\r\nw\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nw\r\n");
  EXPECT_FALSE(SlowLink().HasRequests());
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

// ---- order and freshness

TEST_F(HedgerTest, WhatTheClientHasJustWrittenIsNotReadFromAReplica) {
  sim.config.read_your_writes_ms = 100;
  SendNow("SET a 1");
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  SendNow("GET a");
  EXPECT_EQ(a.Take(), Wire("SET a 1") + Wire("GET a"));
  ClientForTest other(sim.resources);
  Prefer(&other);
  Send(&other, "GET b");
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 1u) << "the other's";
  for (NodeForTest* replica : {&b, &c}) {
    EXPECT_EQ(replica->Take(), Wire("GET b"));
    Reply(*replica, "$1\r\nv\r\n");
  }
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 1u);
  Pass(100);
  EXPECT_EQ(hedged(), 2u);
}

TEST_F(HedgerTest, WhileItsSlotMovesAReadIsNotHedged) {
  ClientForTest writer(sim.resources);
  ReadSlowly();
  Send(&writer, "SET a 1");
  Settle();
  Reply(a, Ask(15495, 'B'));
  Pass(kLongMs);
  EXPECT_EQ(hedged(), 0u) << "a replica may not have the key any more";
}

// ---- long replies

TEST_F(HedgerTest, ALongReplyOfTheSecondIsDroppedAndTheNextOneIsMatched) {
  sim.config.stream_reply_bytes_min = 1024;
  const std::string value = Bulk(std::string(5000, 'x'));
  ReadAndHedge();
  for (size_t i = 0; i < value.size(); i += 700) Reply(fast(), value.substr(i, 700));
  EXPECT_EQ(client.Take(), "");
  EXPECT_EQ(won(), 0u);
  for (size_t i = 0; i < value.size(); i += 700) Reply(slow(), value.substr(i, 700));
  EXPECT_EQ(client.Take(), value);
  ReadAndHedge();
  Reply(fast(), value);
  EXPECT_EQ(client.Take(), "") << "also when it comes in one piece";
  Reply(slow(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(HedgerTest, AReplyThatHasBegunToLeaveIsNotTakenBack) {
  sim.config.stream_reply_bytes_min = 1024;
  ReadAndHedge();
  const std::string value = Bulk(std::string(5000, 'x'));
  Reply(slow(), value.substr(0, 2000));
  EXPECT_EQ(client.Take(), value.substr(0, 2000));
  Reply(fast(), "$1\r\nv\r\n");
  Reply(slow(), value.substr(2000));
  EXPECT_EQ(client.Take(), value.substr(2000));
  EXPECT_EQ(won(), 0u);
}

TEST_F(HedgerTest, WhatHasArrivedOfTheFirstReplyIsDropped) {
  ReadAndHedge();
  Reply(slow(), "$10\r\n01234");
  Reply(fast(), "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  FastNode().LeaveOut();
  SendNow("GET b");
  Reply(slow(), "56789\r\n$1\r\nw\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nw\r\n");
  EXPECT_EQ(won(), 1u);
}

}  // namespace
}  // namespace rcproxy::proxy
