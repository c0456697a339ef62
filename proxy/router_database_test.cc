// Clients that have selected a database: what they ask goes over connections that have selected it.
#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/errors.h"
#include "proxy/operation.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using Verdict = Router::Verdict;

constexpr char kOutOfRange[] = "-ERR DB index is out of range\r\n";

class RouterDatabaseTest : public testing::Test, public RouterForTest {
 protected:
  RouterDatabaseTest() { client.replies.SetDatabase(3); }

  // `node` hears SELECT 3, and answers it; then it has the command.
  void Greet(NodeForTest& node) {
    ASSERT_EQ(node.Take(), Wire("SELECT 3"));
    Reply(node, "+OK\r\n");
  }
  bool Run(ClientForTest* to, std::unique_ptr<Operation> operation) {
    return router.Start(&to->replies, *cluster::FindCommand("select"), std::move(operation)) ==
           Verdict::kTaken;
  }
};

TEST_F(RouterDatabaseTest, ARequestGoesOutBehindSelect) {
  SendNow("GET b");
  Greet(a);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  SendNow("GET f");
  EXPECT_EQ(a.Take(), Wire("GET f")) << "the connection is kept";
}

TEST_F(RouterDatabaseTest, ClientsOfDifferentDatabasesUseDifferentConnections) {
  ClientForTest zero{sim.resources};
  ClientForTest three{sim.resources};
  ClientForTest twelve{sim.resources};
  three.replies.SetDatabase(3);
  twelve.replies.SetDatabase(12);
  Send(&zero, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b"));
  SendNow("GET b");
  Greet(a);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Send(&three, "GET f");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET f"));
  Send(&twelve, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("SELECT 12"));
  EXPECT_EQ(a.connections(), 3u);
}

// The next owner of its slot may have fewer databases.
TEST_F(RouterDatabaseTest, AWriteThatMayHaveRunIsNotRefusedAsIfItHadNot) {
  sim.config.retry_idempotent_writes = true;
  sim.config.request_timeout_ms = 200;
  SendNow("SET b 1");
  Greet(a);
  a.peer().Close();
  while (!client.HasOutput()) {
    sim.RunUntil([this] { return client.HasOutput() || a.HasInput(); });
    if (a.HasInput()) a.Take();
    Reply(a, kOutOfRange);
  }
  EXPECT_EQ(client.Take(), kErrorOutcomeUnknown);
}

TEST_F(RouterDatabaseTest, PartsAndRedirectsStayInTheDatabase) {
  SendNow("MGET b c");
  for (NodeForTest* node : {&a, &b}) Greet(*node);
  EXPECT_EQ(a.Take(), Wire("MGET b"));
  EXPECT_EQ(b.Take(), Wire("MGET c"));
  Reply(b, "*1\r\n$1\r\n2\r\n");
  Reply(a, Ask(3300, 'C'));
  Greet(c);
  EXPECT_EQ(c.Take(), Wire("ASKING") + Wire("MGET b"));
  Reply(c, "+OK\r\n" + Moved(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("MGET b"));
  Reply(b, "*1\r\n$1\r\n1\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
}

TEST_F(RouterDatabaseTest, AConnectionThatIsLostSelectsAgain) {
  SendNow("GET b");
  Greet(a);
  a.Take();
  a.peer().Reset();
  sim.RunUntil([this] { return a.connections() == 2; });
  Settle();
  EXPECT_EQ(a.peer(1).Take(), Wire("SELECT 3"));
  a.peer(1).Write("+OK\r\n");
  Settle();
  EXPECT_EQ(a.peer(1).Take(), Wire("GET b"));
}

TEST_F(RouterDatabaseTest, WhatTheNodeRefusesIsTheAnswerAndNothingIsExecuted) {
  ClientForTest zero{sim.resources};
  SendNow("SET b 1");
  SendNow("MSET b 1 c 2");
  EXPECT_EQ(a.Take(), Wire("SELECT 3"));
  Reply(a, kOutOfRange);
  EXPECT_FALSE(a.HasInput());
  Greet(b);
  Reply(b, "+OK\r\n");
  EXPECT_EQ(client.Take(), std::string(kOutOfRange) +
                               "-ERR DB index is out of range (a part: of 2 parts 1 done, 1 "
                               "failed, 0 unknown)\r\n");
  EXPECT_EQ(sim.stats.databases_refused.value(), 1u);
  EXPECT_EQ(sim.resources.database_refusal.Find(3, sim.io.NowNs()), kOutOfRange);
  EXPECT_FALSE(table.NodeAt(AddressOf('A'))->InBackoff()) << "the node is well";
  Send(&zero, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b"));
}

TEST_F(RouterDatabaseTest, AReadGoesToAReplicaInTheDatabase) {
  cluster::Node replica = NodeNamed('B', false);
  table.Adopt(cluster::Topology({NodeNamed('A', true), replica}, {{0, {1}}}, {{0, 16383, 0}}));
  client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  SendNow("GET b");
  EXPECT_EQ(b.Take(), Wire("READONLY") + Wire("SELECT 3"));
  Reply(b, "+OK\r\n+OK\r\n");
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "$-1\r\n");
  SendNow("SET b x");
  Greet(a);
  EXPECT_EQ(a.Take(), Wire("SET b x"));
}

TEST_F(RouterDatabaseTest, AConnectionInResp3GreetsFirst) {
  client.replies.SetNeeds(LinkNeeds{.resp3 = true});
  SendNow("GET b");
  EXPECT_EQ(a.Take(), Wire("HELLO 3") + Wire("SELECT 3"));
  Reply(a, "%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n");
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "_\r\n");
  EXPECT_EQ(client.Take(), "_\r\n");
}

// Asks something that blocks.
class Blocking final : public Operation {
 public:
  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return round->AskBlocking(3300, Wire("BLPOP b 0"), /*repeatable=*/true);
    round->Finish(std::string(answers[0]));
  }
};

TEST_F(RouterDatabaseTest, AConnectionOfOnesOwnIsInTheDatabase) {
  ASSERT_TRUE(Run(&client, std::make_unique<Blocking>()));
  Settle();
  EXPECT_EQ(a.Take(), Wire("SELECT 3") + Wire("CLIENT ID"));
  Reply(a, "+OK\r\n:7\r\n");
  EXPECT_EQ(a.Take(), Wire("BLPOP b 0"));
  Reply(a, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
  ClientForTest zero{sim.resources};
  ASSERT_TRUE(Run(&zero, std::make_unique<Blocking>()));
  Settle();
  EXPECT_EQ(a.connections(), 2u) << "the free one is in another database";
  EXPECT_EQ(a.Take(), Wire("CLIENT ID"));
}

TEST_F(RouterDatabaseTest, OneOfOnesOwnThatIsRefusedIsGivenBack) {
  ASSERT_TRUE(Run(&client, std::make_unique<Blocking>()));
  Settle();
  Reply(a, std::string(kOutOfRange) + ":7\r\n");
  EXPECT_EQ(client.Take(), kOutOfRange);
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
  table.Sweep(sim.io.NowNs());
  EXPECT_FALSE(table.NeedsSweep());
}

TEST_F(RouterDatabaseTest, ConnectionsThatNobodyUsesAreClosed) {
  ClientForTest zero{sim.resources};
  Send(&zero, "GET c");
  SendNow("GET b");
  Greet(a);
  Reply(a, "$-1\r\n");
  Reply(b, "$-1\r\n");
  EXPECT_TRUE(table.NeedsSweep());
  sim.RunFor(9 * sim::kSecond);
  table.Sweep(sim.io.NowNs());
  Settle();
  EXPECT_TRUE(a.connected());
  sim.RunFor(2 * sim::kSecond);
  table.Sweep(sim.io.NowNs());
  Settle();
  EXPECT_FALSE(a.connected());
  EXPECT_FALSE(table.NeedsSweep());
  EXPECT_TRUE(b.connected()) << "database 0";
  SendNow("GET b");
  EXPECT_EQ(a.connections(), 2u);
  Greet(a);
}

}  // namespace
}  // namespace rcproxy::proxy
