#include "proxy/operations/fan_out.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

class FanOutTest : public testing::Test, public OperationsForTest {
 protected:
  // What the client gets when the nodes answer this.
  std::string Combined(std::string_view line, std::string_view of_a, std::string_view of_b,
                       std::string_view of_c) {
    Begin(line);
    AnswerGreetings();
    EXPECT_EQ(a.Take(), Wire(line));
    EXPECT_EQ(b.Take(), Wire(line));
    EXPECT_EQ(c.Take(), Wire(line));
    Reply(a, of_a);
    Reply(b, of_b);
    Reply(c, of_c);
    return client.Take();
  }
};

TEST_F(FanOutTest, ChannelsOfAllNodesOnce) {
  EXPECT_EQ(Combined("PUBSUB CHANNELS", "*1\r\n+x\r\n", "*2\r\n+y\r\n+x\r\n", "*0\r\n"),
            "*2\r\n+x\r\n+y\r\n");
  EXPECT_EQ(Combined("PUBSUB SHARDCHANNELS", "*0\r\n", "*0\r\n", "*0\r\n"), "*0\r\n");
}

TEST_F(FanOutTest, OneKilledScriptIsEnough) {
  const std::string idle = "-NOTBUSY No scripts in execution right now.\r\n";
  EXPECT_EQ(Combined("SCRIPT KILL", idle, "+OK\r\n", idle), "+OK\r\n");
  EXPECT_EQ(Combined("FUNCTION KILL", idle, idle, "-UNKILLABLE Sorry\r\n"),
            "-UNKILLABLE Sorry\r\n");
  EXPECT_EQ(Combined("SCRIPT KILL", idle, idle, idle), idle);
}

TEST_F(FanOutTest, AScriptIsKilledPastTheRepliesThatWaitForIt) {
  OpenAll();
  ClientForTest busy(sim.resources);
  Send(&busy, "EVAL loop 1 b");
  Begin("SCRIPT KILL");
  AnswerGreetings();
  EXPECT_EQ(a.peer(0).Take(), Wire("EVAL loop 1 b"));
  ASSERT_EQ(a.connections(), 2u);
  EXPECT_EQ(sim.stats.own_connections.value(), 3u);
  for (NodeForTest* node : {&a, &b, &c}) EXPECT_EQ(node->Take(), Wire("SCRIPT KILL"));
  Reply(b, "-NOTBUSY No scripts in execution right now.\r\n");
  Reply(c, "-NOTBUSY No scripts in execution right now.\r\n");
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
}

TEST_F(FanOutTest, AKillGoesOnWhenItsClientLeaves) {
  Begin("SCRIPT KILL");
  AnswerGreetings();
  client.Leave();
  sim.RunFor(sim::kSecond);
  for (NodeForTest* node : {&a, &b, &c}) {
    EXPECT_EQ(node->Take(), Wire("SCRIPT KILL"));
    EXPECT_TRUE(node->connected());
    Reply(*node, "+OK\r\n");
  }
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
}

TEST_F(FanOutTest, TheNodeThatRunsAFunctionTells) {
  const std::string idle = "*4\r\n+running_script\r\n*-1\r\n+engines\r\n*0\r\n";
  const std::string busy = "*4\r\n+running_script\r\n*2\r\n+name\r\n+f\r\n+engines\r\n*0\r\n";
  EXPECT_EQ(Combined("FUNCTION STATS", idle, busy, idle), busy);
  EXPECT_EQ(Combined("FUNCTION STATS", idle, idle, idle), idle);
}

TEST_F(FanOutTest, MemoryIsAddedUp) {
  EXPECT_EQ(Combined("MEMORY STATS",
                     "*6\r\n+keys\r\n:1\r\n+db.0\r\n*2\r\n+over\r\n:10\r\n+ratio\r\n$3\r\n1.5\r\n",
                     "*6\r\n+keys\r\n:2\r\n+db.0\r\n*2\r\n+over\r\n:20\r\n+ratio\r\n$4\r\n12.5\r\n",
                     "*4\r\n+keys\r\n:3\r\n+ratio\r\n$1\r\n2\r\n"),
            "*6\r\n+keys\r\n:6\r\n+db.0\r\n*2\r\n+over\r\n:30\r\n+ratio\r\n$4\r\n12.5\r\n");
}

TEST_F(FanOutTest, AdviceIsGivenOnce) {
  EXPECT_EQ(Combined("MEMORY DOCTOR", Bulk("fine"), Bulk("bad"), Bulk("fine")), Bulk("fine\nbad"));
}

TEST_F(FanOutTest, AnErrorOfOneIsTheReply) {
  EXPECT_EQ(Combined("MEMORY STATS", "*0\r\n", "-NOPERM no\r\n", "*0\r\n"), "-NOPERM no\r\n");
}

TEST_F(FanOutTest, ARandomKeyOfAPrimaryThatHasKeys) {
  Begin("RANDOMKEY");
  EXPECT_EQ(a.Take() + b.Take() + c.Take(), Wire("DBSIZE") + Wire("DBSIZE") + Wire("DBSIZE"));
  Reply(a, ":0\r\n");
  Reply(b, ":7\r\n");
  Reply(c, ":0\r\n");
  EXPECT_EQ(b.Take(), Wire("RANDOMKEY"));
  Reply(b, Bulk("k"));
  EXPECT_EQ(client.Take(), Bulk("k"));
}

TEST_F(FanOutTest, ARandomKeyOfAnotherPrimaryWhenAllHaveExpired) {
  OpenAll();
  Begin("RANDOMKEY");
  a.Take();
  b.Take();
  Reply(c, ":0\r\n");
  Reply(a, ":1\r\n");
  Reply(b, ":1\r\n");
  NodeForTest& first = a.HasInput() ? a : b;
  NodeForTest& second = &first == &a ? b : a;
  EXPECT_EQ(first.Take(), Wire("RANDOMKEY"));
  Reply(first, "$-1\r\n");
  EXPECT_EQ(second.Take(), Wire("RANDOMKEY"));
  Reply(second, Bulk("k"));
  EXPECT_EQ(client.Take(), Bulk("k"));
}

TEST_F(FanOutTest, NoKeyAtAll) {
  Begin("RANDOMKEY");
  Reply(a, ":0\r\n");
  Reply(b, ":0\r\n");
  Reply(c, ":0\r\n");
  EXPECT_EQ(client.Take(), "$-1\r\n");
}

TEST_F(FanOutTest, LargePrimariesAreChosenMoreOften) {
  int of_b = 0;
  for (int i = 0; i < 200; ++i) {
    Begin("RANDOMKEY");
    Reply(a, ":100\r\n");
    Reply(b, ":900\r\n");
    Reply(c, ":0\r\n");
    const bool asked_b = b.Take().find("RANDOMKEY") != std::string::npos;
    of_b += asked_b ? 1 : 0;
    Reply(asked_b ? b : a, Bulk("k"));
    ASSERT_EQ(client.Take(), Bulk("k"));
    a.Take();
  }
  EXPECT_GT(of_b, 150);
  EXPECT_LT(of_b, 200);
}

TEST_F(FanOutTest, WithoutAPrimaryItIsAnError) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {}));
  EXPECT_EQ(Ask("RANDOMKEY"), kErrorSlotNotServed);
  EXPECT_EQ(Ask("PUBSUB CHANNELS"), kErrorSlotNotServed);
}

}  // namespace
}  // namespace rcproxy::proxy
