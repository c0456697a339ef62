#include "proxy/replication_watch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/topology.h"
#include "proxy/config.h"
#include "proxy/moving_slots.h"
#include "proxy/request.h"
#include "proxy/router_for_test.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {
namespace {

const std::string kInfo = Wire("INFO replication");
const std::string kGet = Wire("GET a");

std::string PrimaryAt(int64_t offset, const std::string& stream = "x") {
  return Bulk("role:master\r\nmaster_replid:" + stream +
              "\r\nmaster_repl_offset:" + std::to_string(offset) + "\r\n");
}

std::string ReplicaAt(int64_t offset, const std::string& stream = "x",
                      const std::string& link = "up") {
  return Bulk("role:slave\r\nmaster_link_status:" + link + "\r\nmaster_replid:" + stream +
              "\r\nslave_repl_offset:" + std::to_string(offset) + "\r\n");
}

// A is the primary of all slots, B and C are its replicas, and the client reads from replicas.
class ReplicationWatchTest : public testing::Test, public RouterForTest {
 protected:
  ReplicationWatchTest() {
    table.Adopt(Map('A', 'B', 'C'));
    sim.config.read_your_writes_by_offset = true;
    client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
    for (int i = 0; i < 2; ++i) Send("GET a");
    Greet(b);
    Greet(c);
    SendNow("GET a");
    b.Take();
    c.Take();
    Reply(b, "+open\r\n+open\r\n");
    Reply(c, "+open\r\n");
    client.Take();
  }
  static cluster::Topology Map(char primary, char replica, char other) {
    return cluster::Topology(
        {NodeNamed(primary, true), NodeNamed(replica, false), NodeNamed(other, false)},
        {{0, {1, 2}}}, {{0, 16383, 0}});
  }
  void Greet(NodeForTest& node) {
    sim.RunUntil([&] { return node.HasInput(); });
    ASSERT_EQ(node.Take(), Wire("READONLY"));
    Reply(node, "+OK\r\n");
  }
  void Write() {
    SendNow("SET a 1");
    ASSERT_EQ(a.Take(), Wire("SET a 1"));
    Reply(a, "+OK\r\n");
    client.Take();
  }
  void Interval() { sim.RunFor(ReplicationWatch::kIntervalNs); }
  // A read that the primary serves, behind which it is asked how far it is.
  void ReadAtPrimary() {
    SendNow("GET a");
    ASSERT_EQ(a.Take(), kGet + kInfo);
    ASSERT_EQ(b.Take() + c.Take(), "");
    Reply(a, "+primary\r\n");
  }
  // The primary is at 100, and the replicas say this.
  void Tell(const std::string& of_b, const std::string& of_c) {
    ReadAtPrimary();
    Reply(a, PrimaryAt(100));
    ASSERT_EQ(b.Take(), kInfo);
    ASSERT_EQ(c.Take(), kInfo);
    Reply(b, of_b);
    Reply(c, of_c);
    client.Take();
  }
  // Which node serves the next read.
  char Read() {
    SendNow("GET a");
    for (const auto& [name, node] : {std::pair('A', &a), {'B', &b}, {'C', &c}}) {
      if (!node->Take().starts_with(kGet)) continue;
      Reply(*node, "+read\r\n");
      EXPECT_EQ(client.Take(), "+read\r\n");
      return name;
    }
    return '-';
  }
  std::string ReadOften(int times) {
    std::string names;
    for (int i = 0; i < times; ++i) names += Read();
    return names;
  }
};

TEST_F(ReplicationWatchTest, NobodyIsAskedForAClientThatHasWrittenNothing) {
  EXPECT_EQ(ReadOften(4).find('A'), std::string::npos);
  Interval();
  EXPECT_EQ(a.connections(), 0u);
  EXPECT_EQ(sim.stats.replication_questions.value(), 0u);
  EXPECT_EQ(sim.stats.reads_kept_from_replicas.value(), 0u);
}

TEST_F(ReplicationWatchTest, AReplicaServesOnceItHasWhatTheClientHasWritten) {
  Write();
  Tell(ReplicaAt(100), ReplicaAt(99));
  EXPECT_EQ(ReadOften(3), "BBB") << "C lags behind";
  EXPECT_EQ(sim.stats.reads_kept_from_replicas.value(), 1u);
  Interval();
  EXPECT_EQ(a.Take(), kInfo) << "because of C";
  Reply(a, PrimaryAt(150));
  EXPECT_EQ(b.Take(), "") << "nobody wants to know";
  EXPECT_EQ(c.Take(), kInfo);
  Reply(c, ReplicaAt(150));
  const std::string names = ReadOften(4);
  EXPECT_NE(names.find('C'), std::string::npos);
  EXPECT_EQ(names.find('A'), std::string::npos);
  Interval();
  EXPECT_EQ(a.Take(), "") << "everybody has everything";
}

TEST_F(ReplicationWatchTest, WhoIsNotKnownToHaveItDoesNotServe) {
  for (const std::string& answer :
       {ReplicaAt(99), ReplicaAt(100, "y"), ReplicaAt(100, "x", "down"), PrimaryAt(100), Bulk(""),
        std::string("-NOPERM no\r\n"), std::string("*0\r\n"), std::string("_\r\n")}) {
    Write();
    Tell(answer, answer);
    EXPECT_EQ(Read(), 'A') << answer;
    Interval();
    a.Take();
    Reply(a, PrimaryAt(100));
    b.Take();
    c.Take();
    Reply(b, ReplicaAt(0));
    Reply(c, ReplicaAt(0));
    Interval();
  }
}

TEST_F(ReplicationWatchTest, APrimaryThatDoesNotTellServesItself) {
  Write();
  for (const std::string& answer :
       {ReplicaAt(100), Bulk("role:master\r\n"), PrimaryAt(-1), std::string("-ERR no\r\n")}) {
    ReadAtPrimary();
    Reply(a, answer);
    b.Take();
    c.Take();
    Reply(b, ReplicaAt(1000));
    Reply(c, ReplicaAt(1000));
    client.Take();
    Interval();
  }
  EXPECT_EQ(Read(), 'A');
}

// What was known before says nothing of a write that is under way, nor of one that was answered
// behind the question.
TEST_F(ReplicationWatchTest, ALaterWriteNeedsALaterRound) {
  Write();
  Tell(ReplicaAt(100), ReplicaAt(100));
  Interval();
  Send("SET a 2");
  SendNow("GET a");
  EXPECT_EQ(a.Take(), Wire("SET a 2") + kGet) << "not worth a question: the answer is to come";
  EXPECT_EQ(b.Take() + c.Take(), "");
  Reply(a, "+OK\r\n+2\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n+2\r\n");
  ReadAtPrimary();
  client.Take();
  Send("SET a 3");
  Settle();
  EXPECT_EQ(a.Take(), Wire("SET a 3"));
  Reply(a, PrimaryAt(200) + "+OK\r\n");
  Reply(b, ReplicaAt(300));
  Reply(c, ReplicaAt(300));
  b.Take();
  c.Take();
  client.Take();
  EXPECT_EQ(Read(), 'A') << "the question was asked before the write was answered";
}

TEST_F(ReplicationWatchTest, AnotherClientsWritesKeepNobodyFromReplicas) {
  Write();
  ClientForTest other(sim.resources);
  other.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  Send(&other, "GET a");
  Settle();
  EXPECT_EQ(b.Take() + c.Take(), kGet);
  EXPECT_EQ(a.Take(), "");
}

TEST_F(ReplicationWatchTest, ThePrimaryIsAskedOncePerInterval) {
  Write();
  ReadAtPrimary();
  for (int i = 0; i < 20; ++i) {
    SendNow("GET a");
    Reply(a, "");
  }
  EXPECT_EQ(a.Take().find(kInfo), std::string::npos);
  Interval();
  Interval();
  EXPECT_EQ(a.Take().find(kInfo), std::string::npos) << "the first answer has not come yet";
  EXPECT_EQ(sim.stats.replication_questions.value(), 1u);
}

TEST_F(ReplicationWatchTest, AQuestionThatIsLostIsAskedAgain) {
  Write();
  ReadAtPrimary();
  a.peer().Reset();
  Interval();
  EXPECT_EQ(sim.stats.replication_questions_failed.value(), 1u);
  client.Take();
  Tell(ReplicaAt(100), ReplicaAt(99));
  EXPECT_EQ(Read(), 'B');
}

TEST_F(ReplicationWatchTest, AReplicaThatDoesNotAnswerIsAskedOnce) {
  Write();
  ReadAtPrimary();
  Reply(a, PrimaryAt(100));
  client.Take();
  EXPECT_EQ(b.Take(), kInfo);
  EXPECT_EQ(c.Take(), kInfo);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Read(), 'A');
    Interval();
  }
  EXPECT_EQ(b.Take() + c.Take(), "");
}

// It may have been started again, with what it had on disk.
TEST_F(ReplicationWatchTest, WhatIsKnownOfAReplicaEndsWithTheConnection) {
  Write();
  Tell(ReplicaAt(100), ReplicaAt(99));
  EXPECT_EQ(Read(), 'B');
  b.peer().Close();
  Interval();
  EXPECT_EQ(a.Take(), kInfo) << "because of C";
  Reply(a, PrimaryAt(100));
  EXPECT_EQ(c.Take(), kInfo);
  Reply(c, ReplicaAt(99));
  Interval();
  ReadAtPrimary();
  Reply(a, PrimaryAt(100));
  client.Take();
  Greet(b);
  EXPECT_EQ(b.Take(), kInfo) << "over a new connection";
  Reply(b, ReplicaAt(100));
  EXPECT_EQ(Read(), 'B');
}

TEST_F(ReplicationWatchTest, AfterAFailoverTheNewPrimaryIsAsked) {
  Write();
  Tell(ReplicaAt(100), ReplicaAt(100));
  Interval();
  table.Adopt(Map('B', 'C', 'A'));
  SendNow("GET a");
  EXPECT_EQ(c.Take(), "");
  EXPECT_EQ(b.Take(), kGet + kInfo) << "over its connection to a primary, which is new";
  Reply(b, "+primary\r\n" + PrimaryAt(120, "y"));
  EXPECT_EQ(client.Take(), "+primary\r\n");
  EXPECT_EQ(c.Take(), kInfo);
  Reply(c, ReplicaAt(130, "x"));
  EXPECT_EQ(Read(), 'B') << "C has not joined the new stream";
}

// B serves the slots that A does not, and C is its replica.
TEST_F(ReplicationWatchTest, ASlotThatComesFromAnotherPrimaryNeedsALaterRound) {
  table.Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('B', true), NodeNamed('C', false)},
                                {{0, {}}, {1, {2}}}, {{0, 8191, 0}, {8192, 16383, 1}}));
  Send(std::string("SET ") + kKeyOfA + " 1");
  Settle();
  Reply(a, "+OK\r\n");
  SendNow("GET a");
  EXPECT_EQ(b.Take(), kGet + kInfo);
  Reply(b, "+primary\r\n" + PrimaryAt(100));
  EXPECT_EQ(c.Take(), kInfo);
  Reply(c, ReplicaAt(100));
  SendNow("GET a");
  EXPECT_EQ(c.Take(), kGet) << "C has come far enough";
  Reply(c, "+replica\r\n");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  const std::string get = Wire(std::string("GET ") + kKeyOfA);
  SendNow(std::string("GET ") + kKeyOfA);
  EXPECT_EQ(c.Take(), "") << "but perhaps not with what has moved since";
  EXPECT_TRUE(b.Take().starts_with(get));
}

TEST_F(ReplicationWatchTest, ASlotThatMovesIsReadFromThePrimaryUntilItHas) {
  Write();
  SendNow("SET a 1");
  a.Take();
  Reply(a, Ask(15495, 'B'));
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("SET a 1"));
  Reply(b, "+OK\r\n+OK\r\n");
  sim.RunFor(3 * MovingSlots::kPeriodNs);
  client.Take();
  for (int i = 0; i < 3; ++i) {
    SendNow("GET a");
    EXPECT_EQ(a.Take(), kGet) << "no replica will do, so nobody is asked";
    Reply(a, "+primary\r\n");
  }
}

TEST_F(ReplicationWatchTest, ThePrimaryServesWhoHasWrittenEvenIfOnlyReplicasAreToBeRead) {
  sim.config.read_prefer = ReadPreference::kReplica;
  Write();
  Tell(ReplicaAt(99), ReplicaAt(99));
  EXPECT_EQ(Read(), 'A');
}

}  // namespace
}  // namespace rcproxy::proxy
