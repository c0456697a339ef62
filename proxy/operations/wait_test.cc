#include "proxy/operations/wait.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class WaitTest : public testing::Test, public OperationsForTest {
 protected:
  // "INFO replication" of a primary at `offset`, whose replicas have acknowledged so much.
  static std::string Replication(int offset, std::initializer_list<int> acknowledged) {
    std::string text = "# Replication\r\nrole:master\r\n";
    int number = 0;
    for (const int acked : acknowledged) {
      text += "slave" + std::to_string(number++) +
              ":ip=10.0.1.1,port=1,state=online,offset=" + std::to_string(acked) + ",lag=0\r\n";
    }
    return Bulk(text + "master_repl_offset:" + std::to_string(offset) + "\r\n");
  }
  void Write(NodeForTest& node, const char* key) {
    SendNow(std::string("SET ") + key + " v");
    for (size_t i = 0; i < node.connections(); ++i) {
      if (!node.peer(i).Take().empty()) node.peer(i).Write("+OK\r\n");
    }
    Settle();
    EXPECT_EQ(client.Take(), "+OK\r\n");
  }
  // The node has been asked for its offsets on the connection that all use, and tells.
  void Offsets(NodeForTest& node, int offset, std::initializer_list<int> acknowledged) {
    EXPECT_EQ(node.peer(0).Take(), Wire("INFO replication"));
    node.peer(0).Write(Replication(offset, acknowledged));
    Settle();
  }
  // The node has been asked to ask its replicas, on a connection of its own, and the pause is over.
  // Returns its length in milliseconds as it was asked for.
  std::string Pause(NodeForTest& node) {
    if (node.peer().received() == Wire("CLIENT ID")) {
      node.peer().Take();
      Reply(node, ":77\r\n");
    }
    const std::string asked = node.Take();
    const std::string begin = Wire("WAIT 2147483647 1");
    EXPECT_EQ(asked.substr(0, 35), begin.substr(0, 35)) << asked;
    Reply(node, ":0\r\n");
    const size_t last = asked.find("\r\n", asked.rfind('$')) + 2;
    return asked.substr(last, asked.find("\r\n", last) - last);
  }
};

TEST_F(WaitTest, ReplicasThatHaveTheWritesAreCountedAtOnce) {
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  Offsets(a, 100, {100, 99});
  EXPECT_EQ(client.Take(), ":1\r\n");
  EXPECT_EQ(b.connections() + c.connections(), 0u) << "nothing was written there";
}

TEST_F(WaitTest, TheShardWithTheFewestCounts) {
  Write(a, kKeyOfA);
  Write(b, kKeyOfB);
  Begin("WAIT 1 0");
  Offsets(a, 100, {100, 100});
  EXPECT_FALSE(client.HasOutput());
  Offsets(b, 7, {7});
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(WaitTest, NodesAskTheirReplicasUntilEnoughHaveCome) {
  Write(a, kKeyOfA);
  Begin("WAIT 2 0");
  Offsets(a, 100, {90, 100});
  EXPECT_EQ(Pause(a), "1");
  Offsets(a, 150, {99, 140});  // The node has gone on: what counts is where it was.
  EXPECT_EQ(Pause(a), "2");
  EXPECT_FALSE(client.HasOutput());
  Offsets(a, 200, {100, 140});
  EXPECT_EQ(client.Take(), ":2\r\n");
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
}

TEST_F(WaitTest, ShardsAreAskedInParallelAndThoseThatHaveEnoughNoMore) {
  Write(a, kKeyOfA);
  Write(b, kKeyOfB);
  Write(c, kKeyOfC);
  Begin("WAIT 1 0");
  Offsets(a, 1, {0});
  Offsets(b, 1, {1});
  Offsets(c, 1, {0});
  Settle();
  EXPECT_EQ(sim.stats.own_connections.value(), 2u);
  Pause(a);
  Pause(c);
  EXPECT_EQ(b.peer(0).Take(), "");
  Offsets(a, 1, {1});
  Offsets(c, 1, {1});
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(WaitTest, WhenTheTimeIsOverTheFewestAreTheAnswer) {
  Write(a, kKeyOfA);
  Begin("WAIT 3 10");
  Offsets(a, 100, {100, 20});
  sim.RunFor(9 * kMillisecond);
  EXPECT_EQ(Pause(a), "1") << "no longer than there is time";
  Offsets(a, 100, {100, 100});
  EXPECT_EQ(client.Take(), ":2\r\n");
}

TEST_F(WaitTest, WhoHasWrittenNothingIsToldOfReplicasThatAreThere) {
  OpenAll();
  Begin("WAIT 1 0");
  Offsets(a, 100, {1, 2});
  Offsets(b, 100, {0});
  Offsets(c, 100, {50, 50});
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(WaitTest, ReadsAreNoWrites) {
  OpenAll();
  SendNow(std::string("GET ") + kKeyOfB);
  b.Take();
  Reply(b, "$-1\r\n");
  EXPECT_EQ(client.Take(), "$-1\r\n");
  EXPECT_EQ(client.replies.writes().nodes(), 0u);
  Begin("WAIT 0 0");
  for (NodeForTest* node : {&a, &b, &c}) Offsets(*node, 5, {});
  EXPECT_EQ(client.Take(), ":0\r\n");
  EXPECT_EQ(client.replies.writes().nodes(), 0u) << "and WAIT is none";
}

// Asked of replicas as well, which are no primaries that could be lost.
TEST_F(WaitTest, WhatAllNodesAreToldIsNoWrite) {
  OpenAll();
  for (const char* command : {"SCRIPT FLUSH", "PROXY NODES CONFIG GET maxmemory", "PUBLISH c m"}) {
    Send(command);
    Settle();
    for (NodeForTest* node : {&a, &b, &c}) {
      if (!node->Take().empty()) Reply(*node, "+OK\r\n");
    }
    EXPECT_NE(client.Take(), "") << command;
    EXPECT_EQ(client.replies.writes().nodes(), 0u) << command;
  }
}

TEST_F(WaitTest, AScriptIsAWrite) {
  OpenAll();
  Send(std::string("EVAL x 1 ") + kKeyOfB);
  Settle();
  b.Take();
  Reply(b, ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n");
  Begin("WAIT 1 0");
  Offsets(b, 9, {9});
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(WaitTest, AWriteThatWasRedirectedCountsWhereItWent) {
  OpenAll();
  Send(std::string("SET ") + kKeyOfA + " v");
  Settle();
  a.Take();
  Reply(a, Moved(3300, 'B'));
  b.Take();
  Reply(b, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  Begin("WAIT 1 0");
  Offsets(a, 1, {1, 1, 1});
  Offsets(b, 9, {9});
  EXPECT_EQ(client.Take(), ":1\r\n");
}

// The node's last writes may be gone, whoever is there now.
TEST_F(WaitTest, ALossAfterTheWritesIsAnErrorOnce) {
  Write(a, kKeyOfA);
  a.peer().Close();
  sim.RunFor(kSecond);
  EXPECT_EQ(Ask("WAIT 1 0"), kErrorWaitLost);
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  EXPECT_EQ(a.Take(), Wire("INFO replication"));
  Reply(a, Replication(5, {5}));
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(WaitTest, APrimaryThatIsNoneAnyMoreIsLost) {
  Write(a, kKeyOfA);
  table.Adopt(cluster::Topology({NodeNamed('B', true), NodeNamed('C', true)}, {{0, {}}, {1, {}}},
                                {{0, 10922, 0}, {10923, 16383, 1}}));
  EXPECT_EQ(Ask("WAIT 1 0"), kErrorWaitLost);
}

TEST_F(WaitTest, ANodeThatSaysItIsAReplicaIsLost) {
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  EXPECT_EQ(a.Take(), Wire("INFO replication"));
  Reply(a, Bulk("role:slave\r\nmaster_repl_offset:5\r\n"));
  EXPECT_EQ(client.Take(), kErrorWaitLost);
}

TEST_F(WaitTest, ANodeThatHasBegunAgainIsLost) {
  Write(a, kKeyOfA);
  Begin("WAIT 2 0");
  Offsets(a, 100, {90});
  Pause(a);
  Offsets(a, 10, {10, 10});
  EXPECT_EQ(client.Take(), kErrorWaitLost);
}

TEST_F(WaitTest, AnErrorOfANodeIsTheAnswer) {
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  a.Take();
  Reply(a, "-NOPERM no\r\n");
  EXPECT_EQ(client.Take(), "-NOPERM no\r\n");
  Begin("WAIT 1 0");
  Offsets(a, 5, {4});
  a.Take();
  Reply(a, ":77\r\n");
  a.Take();
  Reply(a, "-NOPERM no\r\n");
  EXPECT_EQ(client.Take(), "-NOPERM no\r\n");
}

TEST_F(WaitTest, AnswersThatTellNothingAreNoNumber) {
  for (const std::string_view answer : {"$0\r\n\r\n", ":5\r\n", "*0\r\n", "$-1\r\n"}) {
    Write(a, kKeyOfA);
    Begin("WAIT 0 0");
    a.Take();
    Reply(a, answer);
    EXPECT_EQ(client.Take(), kErrorWaitLost) << answer;
  }
}

TEST_F(WaitTest, ItCanBeEnded) {
  for (const bool with_error : {false, true}) {
    Write(a, kKeyOfA);
    Begin("WAIT 1 0");
    Offsets(a, 5, {4});
    EXPECT_TRUE(router.Unblock(client.replies, with_error));
    Pause(a);
    Offsets(a, 5, {4});
    EXPECT_EQ(client.Take(),
              with_error ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" : ":0\r\n");
    EXPECT_FALSE(router.Unblock(client.replies, with_error));
  }
}

TEST_F(WaitTest, AClientThatLeavesEndsIt) {
  Write(a, kKeyOfA);
  Write(b, kKeyOfB);
  Begin("WAIT 1 0");
  Offsets(a, 5, {4});
  Offsets(b, 5, {4});
  EXPECT_TRUE(client.replies.blocking());
  EXPECT_EQ(sim.stats.own_connections.value(), 2u);
  client.Leave();
  sim.RunFor(kSecond);
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
  EXPECT_EQ(a.peer(0).Take(), "") << "nothing more is asked";
}

// A client that has left before the first answer is not waited for either.
TEST_F(WaitTest, ItBlocksFromTheBeginning) {
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  EXPECT_TRUE(client.replies.blocking());
}

TEST_F(WaitTest, WithoutAConnectionOfItsOwnThereIsAnError) {
  sim.config.own_connections_max = 0;
  Write(a, kKeyOfA);
  Begin("WAIT 1 0");
  Offsets(a, 5, {4});
  EXPECT_EQ(Await(), kErrorOwnConnections);
}

TEST_F(WaitTest, WrongArgumentsAreTheServersErrors) {
  EXPECT_EQ(Ask("WAIT x 0"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(Ask("WAIT 1 x"), "-ERR timeout is not an integer or out of range\r\n");
  EXPECT_EQ(Ask("WAIT 1 -1"), "-ERR timeout is negative\r\n");
  EXPECT_EQ(a.connections(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
