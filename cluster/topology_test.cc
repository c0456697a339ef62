#include "cluster/topology.h"

#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology_parser.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

Node MakeNode(std::string_view host, bool is_primary, bool is_online = true) {
  Node node;
  node.address = {std::string(host), 6379};
  node.is_primary = is_primary;
  node.is_online = is_online;
  return node;
}

// Two shards: a (replica c) with the lower half of the slots, b with the upper half.
Topology MakeTopology() {
  return Topology({MakeNode("a", true), MakeNode("b", true), MakeNode("c", false)},
                  {{0, {2}}, {1, {}}}, {{0, 8191, 0}, {8192, 16383, 1}});
}

TEST(NodeAddressTest, WritesIpv6InBrackets) {
  EXPECT_EQ((NodeAddress{"127.0.0.1", 6379}).ToString(), "127.0.0.1:6379");
  EXPECT_EQ((NodeAddress{"::1", 6379}).ToString(), "[::1]:6379");
}

TEST(ParseNodeAddressTest, ReadsEveryForm) {
  EXPECT_EQ(*ParseNodeAddress("127.0.0.1:1"), (NodeAddress{"127.0.0.1", 1}));
  EXPECT_EQ(*ParseNodeAddress("node-1.example:65535"), (NodeAddress{"node-1.example", 65535}));
  EXPECT_EQ(*ParseNodeAddress("[2001:db8::1]:6379"), (NodeAddress{"2001:db8::1", 6379}));
  EXPECT_EQ(*ParseNodeAddress("2001:db8::1:6379"), (NodeAddress{"2001:db8::1", 6379}));
  EXPECT_EQ(*ParseNodeAddress((NodeAddress{"::1", 7}).ToString()), (NodeAddress{"::1", 7}));
}

TEST(ParseNodeAddressTest, SaysWhatIsWrong) {
  for (const std::string_view text :
       {"", "host", "host:", ":6379", "host:0", "host:65536", "host:-1", "host:+1", "host:x",
        "host: 1", "ho st:1", "[::1:6379", "::1]:6379", "[]:6379", "host:99999999999999999999"}) {
    const auto address = ParseNodeAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(address.status().ToString().find(text), std::string::npos) << text;
  }
}

TEST(TopologyTest, KnowsTheShardOfEachSlot) {
  const Topology topology = MakeTopology();
  EXPECT_EQ(topology.ShardOfSlot(0), 0);
  EXPECT_EQ(topology.ShardOfSlot(8191), 0);
  EXPECT_EQ(topology.ShardOfSlot(8192), 1);
  EXPECT_EQ(topology.ShardOfSlot(16383), 1);
  EXPECT_EQ(topology.slots_covered(), kSlotCount);
}

TEST(TopologyTest, KnowsWhichShardsHaveSlots) {
  Node node;
  node.address = {"10.0.0.1", 7000};
  node.is_primary = true;
  const Topology topology({node}, {{0, {}}, {Shard::kNoNode, {}}, {Shard::kNoNode, {}}},
                          {{0, 5, 2}, {16383, 16383, 0}});
  EXPECT_EQ(topology.ShardsWithSlots(), (std::vector<bool>{true, false, true}));
}

TEST(TopologyTest, KnowsWhichSlotsNobodyOwns) {
  const Topology topology({MakeNode("a", true)}, {{0, {}}}, {{5, 5, 0}, {7, 9, 0}});
  EXPECT_EQ(topology.ShardOfSlot(4), Topology::kNoShard);
  EXPECT_EQ(topology.ShardOfSlot(5), 0);
  EXPECT_EQ(topology.ShardOfSlot(6), Topology::kNoShard);
  EXPECT_EQ(topology.slots_covered(), 4);
  EXPECT_EQ(Topology({}, {}, {}).slots_covered(), 0);
}

TEST(TopologySameAsTest, IgnoresTheOrderOfListingAndOffsets) {
  std::vector<Node> nodes = {MakeNode("c", false), MakeNode("b", true), MakeNode("a", true)};
  nodes[0].replication_offset = 99;
  const Topology reordered(nodes, {{1, {}}, {2, {0}}}, {{8192, 16383, 0}, {0, 8191, 1}});
  EXPECT_TRUE(MakeTopology().SameAs(reordered));
  EXPECT_TRUE(reordered.SameAs(MakeTopology()));
}

TEST(TopologySameAsTest, NoticesEveryChange) {
  const Topology before = MakeTopology();
  const std::vector<Node> nodes = before.nodes();
  // One slot moved.
  EXPECT_FALSE(before.SameAs(Topology(nodes, before.shards(), {{0, 8192, 0}, {8193, 16383, 1}})));
  // Slots exchanged.
  EXPECT_FALSE(before.SameAs(Topology(nodes, before.shards(), {{0, 8191, 1}, {8192, 16383, 0}})));
  // The replica went to the other shard.
  EXPECT_FALSE(
      before.SameAs(Topology(nodes, {{0, {}}, {1, {2}}}, {{0, 8191, 0}, {8192, 16383, 1}})));
  // Failover: the replica is the primary.
  EXPECT_FALSE(
      before.SameAs(Topology({MakeNode("a", false), MakeNode("b", true), MakeNode("c", true)},
                             {{2, {0}}, {1, {}}}, {{0, 8191, 0}, {8192, 16383, 1}})));
  // The replica is offline.
  EXPECT_FALSE(before.SameAs(
      Topology({MakeNode("a", true), MakeNode("b", true), MakeNode("c", false, false)},
               {{0, {2}}, {1, {}}}, {{0, 8191, 0}, {8192, 16383, 1}})));
  // A node with another address.
  EXPECT_FALSE(
      before.SameAs(Topology({MakeNode("a", true), MakeNode("b2", true), MakeNode("c", false)},
                             {{0, {2}}, {1, {}}}, {{0, 8191, 0}, {8192, 16383, 1}})));
  // A slot without an owner.
  EXPECT_FALSE(before.SameAs(Topology(nodes, before.shards(), {{1, 8191, 0}, {8192, 16383, 1}})));
}

using TopologyDeathTest = testing::Test;

TEST(TopologyDeathTest, RefusesWhatItsCallerMustNotBuild) {
  EXPECT_DEATH(Topology({MakeNode("a", true)}, {{0, {}}}, {{0, 1, 1}}), "");
  EXPECT_DEATH(Topology({MakeNode("a", true)}, {{0, {}}}, {{0, 16384, 0}}), "");
  EXPECT_DEATH(Topology({MakeNode("a", true)}, {{1, {}}}, {}), "");
  EXPECT_DEATH(Topology({MakeNode("a", false)}, {{0, {}}}, {}), "");
  EXPECT_DEATH(Topology({MakeNode("a", true), MakeNode("a", false)}, {{0, {1}}}, {}), "twice");
  EXPECT_DEATH(
      Topology({MakeNode("a", false, false), MakeNode("b", false)}, {{Shard::kNoNode, {0, 1}}}, {}),
      "offline");
}

}  // namespace
}  // namespace rcproxy::cluster
