#include "proxy/operations/cluster_info.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/node_use.h"
#include "proxy/operations/operations_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using sim::kSecond;

class ClusterInfoTest : public testing::Test, public OperationsForTest {
 protected:
  std::string TakeText() {
    const std::string reply = client.Take();
    const auto value = resp::ParseValue(reply);
    EXPECT_TRUE(value.ok()) << reply;
    return value.ok() ? value->text : "";
  }
  // Each node has been asked `question`, and says `text`.
  void Answer(NodeForTest& node, std::string_view question, std::string_view text) {
    EXPECT_EQ(node.Take(), Wire(question));
    Reply(node, Bulk(text));
  }
  static bool Has(const std::string& text, std::string_view line) {
    return text.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

TEST_F(ClusterInfoTest, DataIsThatOfAllPrimaries) {
  Begin("INFO keyspace");
  Answer(a, "INFO Keyspace", "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n");
  Answer(b, "INFO Keyspace", "# Keyspace\r\n");
  Answer(c, "INFO Keyspace", "# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\n");
  EXPECT_EQ(TakeText(), "# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n");
}

TEST_F(ClusterInfoTest, InResp3ItIsText) {
  protocol = resp::Protocol::kResp3;
  client.replies.SetNeeds(LinkNeeds{.resp3 = true});
  Begin("INFO keyspace");
  for (NodeForTest* node : {&a, &b, &c}) {
    EXPECT_EQ(node->Take(), Wire("HELLO 3"));
    Reply(*node, "%0\r\n");
    EXPECT_EQ(node->Take(), Wire("INFO Keyspace"));
    Reply(*node, "=28\r\ntxt:# Keyspace\r\ndb0:keys=1\r\n\r\n");
  }
  EXPECT_EQ(client.Take(), "=28\r\ntxt:# Keyspace\r\ndb0:keys=3\r\n\r\n");
}

TEST_F(ClusterInfoTest, WhatIsRcproxysOwnAsksNobody) {
  for (const char* line : {"INFO server", "INFO clients cluster", "INFO proxy", "INFO nosuch"}) {
    Begin(line);
    EXPECT_TRUE(client.HasOutput()) << line;
    client.Take();
  }
  EXPECT_EQ(a.connections() + b.connections() + c.connections(), 0u);
}

TEST_F(ClusterInfoTest, ServersOfAnyVersionUnderstandTheQuestion) {
  const auto question = [this](std::string_view line) {
    Begin(line);
    const std::string asked = b.Take();
    for (NodeForTest* node : {&a, &b, &c}) Reply(*node, "$0\r\n\r\n");
    client.Take();
    return asked;
  };
  EXPECT_EQ(question("INFO memory stats"), Wire("INFO"));
  EXPECT_EQ(question("INFO memory commandstats"), Wire("INFO all"));
  EXPECT_EQ(question("INFO server memory"), Wire("INFO Memory"));
}

TEST_F(ClusterInfoTest, TheWholeHasASectionForTheProxyTheClusterAndEachNode) {
  Begin("INFO");
  EXPECT_FALSE(a.HasInput());
  const std::string use =
      EncodeNodeUse("10.0.0.2:7000", {.connections = 2, .requests = 7, .is_failing = false});
  const std::string_view answers[] = {use};
  router.Resume(workers.asked, answers);
  Settle();
  NodeStats& of_b = table.NodeAt(AddressOf('B'))->stats();
  of_b.refusals.Add(3);
  for (NodeForTest* node : {&a, &b, &c}) {
    if (node == &c) of_b.latency_ns.Set(1'234'567);  // B has answered.
    Answer(*node, "INFO", "# Server\r\ntcp_port:1\r\n\r\n# Memory\r\nused_memory:1024\r\n");
  }
  const std::string text = TakeText();
  EXPECT_TRUE(text.starts_with("# Server\r\nredis_version:")) << text;
  EXPECT_TRUE(Has(text, "redis_mode:standalone")) << text;
  EXPECT_FALSE(Has(text, "tcp_port:1")) << text;
  EXPECT_TRUE(Has(text, "used_memory:3072")) << text;
  EXPECT_TRUE(Has(text, "cluster_enabled:0")) << text;
  EXPECT_TRUE(Has(text, "rcproxy_cluster_slots_served:16384")) << text;
  EXPECT_TRUE(Has(text, "rcproxy_cluster_primaries_answered:3")) << text;
  EXPECT_TRUE(Has(text, "# Proxy")) << text;
  EXPECT_TRUE(Has(text,
                  "node1:addr=10.0.0.2:7000,role=master,shard=5461,slots=5462,state=connected,"
                  "connections=2,in_flight=7,latency_usec=1234,connect_failures=0,failures=0,"
                  "silences=0,refusals=3"))
      << text;
}

TEST_F(ClusterInfoTest, ANodeThatAnswersWithAnErrorIsLeftOut) {
  Begin("INFO keyspace");
  Answer(a, "INFO Keyspace", "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n");
  b.Take();
  Reply(b, "-NOPERM this user has no permissions\r\n");
  Answer(c, "INFO Keyspace", "# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\n");
  const std::string text = TakeText();
  EXPECT_TRUE(text.starts_with("# Keyspace\r\ndb0:keys=3,")) << text;
  EXPECT_TRUE(Has(text, "# Cluster")) << text;
  EXPECT_TRUE(Has(text, "rcproxy_cluster_primaries_asked:3")) << text;
  EXPECT_TRUE(Has(text, "rcproxy_cluster_primaries_answered:2")) << text;
}

TEST_F(ClusterInfoTest, ANodeThatIsLostIsNotWaitedFor) {
  OpenAll();
  Begin("INFO keyspace");
  Answer(a, "INFO Keyspace", "# Keyspace\r\n");
  Answer(c, "INFO Keyspace", "# Keyspace\r\n");
  b.peer().Close();
  sim.RunFor(kSecond / 10);
  EXPECT_TRUE(Has(TakeText(), "rcproxy_cluster_primaries_answered:2"));
  EXPECT_EQ(sim.stats.errors_unreachable.value(), 0u) << "no client has seen an error";
}

TEST_F(ClusterInfoTest, AnswersThatAreNoTextsAreNoAnswers) {
  Begin("INFO keyspace");
  for (NodeForTest* node : {&a, &b, &c}) {
    node->Take();
    Reply(*node, node == &a ? ":1\r\n" : node == &b ? "*1\r\n+x\r\n" : "$-1\r\n");
  }
  EXPECT_TRUE(Has(TakeText(), "rcproxy_cluster_primaries_answered:1"));
}

}  // namespace
}  // namespace rcproxy::proxy
