#include "proxy/cluster_commands.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/announced_cluster.h"
#include "proxy/local_commands_for_test.h"

namespace rcproxy::proxy {
namespace {

class ClusterFaceTest : public testing::Test {
 protected:
  ClusterFaceTest() {
    local_.config.face = Face::kCluster;
    local_.config.announce = {{"10.0.0.1", 7000}, {"proxy.example", 60000}};
    local_.facts.tcp_port = 8088;
    const AnnouncedCluster announced(local_.config.announce, {"10.0.0.1", 7000});
    first_ = announced.nodes()[0].id;
    second_ = announced.nodes()[1].id;
  }
  // A reply with a space for each line end.
  std::string Ask(std::string_view line) {
    std::string reply = local_.Ask(line);
    for (char& byte : reply) {
      if (byte == '\n') byte = ' ';
    }
    std::erase(reply, '\r');
    return reply;
  }

  LocalCommandsForTest local_;
  std::string first_;
  std::string second_;
};

TEST_F(ClusterFaceTest, SlotsInBothProtocols) {
  const auto expected = [this](const std::string& empty) {
    return "*2 *3 :0 :8191 *4 $8 10.0.0.1 :7000 $40 " + first_ + " " + empty +
           " *3 :8192 :16383 *4 $13 proxy.example :60000 $40 " + second_ + " " + empty + " ";
  };
  EXPECT_EQ(Ask("CLUSTER SLOTS"), expected("*0"));
  local_.session.protocol = resp::Protocol::kResp3;
  EXPECT_EQ(Ask("CLUSTER SLOTS"), expected("%0"));
}

TEST_F(ClusterFaceTest, ShardsInBothProtocols) {
  const auto expected = [this](const std::string& two, const std::string& seven,
                               const std::string& eight) {
    return "*2 " + two + " $5 slots *2 :0 :8191 $5 nodes *1 " + seven + " $2 id $40 " + first_ +
           " $4 port :7000 $2 ip $8 10.0.0.1 $8 endpoint $8 10.0.0.1 $4 role $6 master"
           " $18 replication-offset :0 $6 health $6 online " +
           two + " $5 slots *2 :8192 :16383 $5 nodes *1 " + eight + " $2 id $40 " + second_ +
           " $4 port :60000 $2 ip $13 proxy.example $8 endpoint $13 proxy.example"
           " $8 hostname $13 proxy.example $4 role $6 master $18 replication-offset :0"
           " $6 health $6 online ";
  };
  EXPECT_EQ(Ask("CLUSTER SHARDS"), expected("*4", "*14", "*16"));
  local_.session.protocol = resp::Protocol::kResp3;
  EXPECT_EQ(Ask("CLUSTER SHARDS"), expected("%2", "%7", "%8"));
}

TEST_F(ClusterFaceTest, NodesAsLines) {
  const std::string nodes = Ask("CLUSTER NODES");
  EXPECT_NE(nodes.find(" " + first_ + " 10.0.0.1:7000@17000 myself,master - 0 1"),
            std::string::npos)
      << nodes;
  EXPECT_NE(nodes.find(" 1 connected 0-8191 " + second_ +
                       " proxy.example:60000@0,proxy.example master - 0 1"),
            std::string::npos)
      << nodes;
  EXPECT_TRUE(nodes.ends_with(" 2 connected 8192-16383  ")) << nodes;
}

TEST_F(ClusterFaceTest, InfoTellsWhatIsServed) {
  EXPECT_NE(Ask("CLUSTER INFO")
                .find(" cluster_state:ok cluster_slots_assigned:16384 cluster_slots_ok:16384 "
                      "cluster_slots_pfail:0 cluster_slots_fail:0 cluster_known_nodes:2 "
                      "cluster_size:2 cluster_current_epoch:2 cluster_my_epoch:1 "),
            std::string::npos);
  local_.slots_served = 16000;
  EXPECT_NE(Ask("CLUSTER INFO")
                .find(" cluster_state:fail cluster_slots_assigned:16384 cluster_slots_ok:16000 "
                      "cluster_slots_pfail:0 cluster_slots_fail:384 "),
            std::string::npos);
}

TEST_F(ClusterFaceTest, AnswersAboutItself) {
  EXPECT_EQ(Ask("CLUSTER MYID"), "$40 " + first_ + " ");
  EXPECT_EQ(Ask("CLUSTER MYSHARDID").size(), 45u);
  EXPECT_EQ(Ask("CLUSTER LINKS"), "*0 ");
  EXPECT_EQ(Ask("CLUSTER KEYSLOT foo"), ":12182 ");
  EXPECT_EQ(Ask("CLUSTER REPLICAS " + second_), "*0 ");
  EXPECT_EQ(Ask("CLUSTER SLAVES " + second_), "*0 ");
  EXPECT_EQ(Ask("CLUSTER COUNT-FAILURE-REPORTS " + second_), ":0 ");
  for (const char* command : {"REPLICAS", "SLAVES", "COUNT-FAILURE-REPORTS"}) {
    EXPECT_EQ(Ask(std::string("CLUSTER ") + command + " abc"), "-ERR Unknown node abc ");
  }
}

TEST_F(ClusterFaceTest, WithoutAListItIsWhereTheClientHasConnectedTo) {
  local_.config.announce.clear();
  EXPECT_NE(Ask("CLUSTER NODES").find(" 127.0.0.1:8088@18088 myself,master - 0 "),
            std::string::npos)
      << "a socket without an address";
}

TEST_F(ClusterFaceTest, TheModeIsCluster) {
  EXPECT_NE(Ask("HELLO").find(" $4 mode $7 cluster "), std::string::npos);
  EXPECT_NE(Ask("PROXY INFO server").find(" redis_mode:cluster "), std::string::npos);
  EXPECT_EQ(Ask("PROXY INFO cluster"), "$30 # Cluster cluster_enabled:1  ");
  EXPECT_EQ(Ask("CONFIG GET cluster-enabled"), "*2 $15 cluster-enabled $3 yes ");
  local_.node_reply = "-ERR SELECT is not allowed in cluster mode\r\n";
  EXPECT_EQ(Ask("SELECT 1"), "-ERR SELECT is not allowed in cluster mode ");
  EXPECT_EQ(Ask("SELECT 0"), "+OK ");
  EXPECT_EQ(Ask("ASKING"), "+OK ");
  EXPECT_EQ(Ask("READONLY"), "+OK ");
  EXPECT_EQ(Ask("READWRITE"), "+OK ");
}

TEST(StandaloneFaceTest, LooksLikeAServerWithoutOne) {
  LocalCommandsForTest local;
  for (const char* line :
       {"CLUSTER INFO", "CLUSTER NODES", "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER MYID",
        "CLUSTER MYSHARDID", "CLUSTER LINKS", "CLUSTER REPLICAS x", "CLUSTER SLAVES x",
        "CLUSTER COUNT-FAILURE-REPORTS x"}) {
    EXPECT_EQ(local.Ask(line), "-ERR This instance has cluster support disabled\r\n") << line;
  }
  EXPECT_EQ(local.Ask("CLUSTER KEYSLOT x{foo}y"), ":12182\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
