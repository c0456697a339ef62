#include "cluster/topology_builder.h"

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

Node NodeAt(const char* host, bool is_primary, int64_t offset = 0) {
  Node node;
  node.address = {host, 6379};
  node.is_primary = is_primary;
  node.replication_offset = offset;
  return node;
}

TEST(TopologyBuilderTest, AnAddressCountsWhereItIsNamedFirst) {
  TopologyBuilder builder;
  const uint16_t first = builder.AddShard();
  const uint16_t second = builder.AddShard();
  builder.AddNode(first, NodeAt("a", true));
  builder.AddNode(second, NodeAt("b", true));
  builder.AddNode(second, NodeAt("a", false));
  EXPECT_TRUE(builder.HasNode({"a", 6379}));
  EXPECT_FALSE(builder.HasNode({"a", 6380}));
  builder.AddRange(0, 5, second);
  const Topology topology = std::move(builder).Build();
  EXPECT_EQ(topology.nodes().size(), 2u);
  EXPECT_TRUE(topology.shards()[second].replicas.empty());
  EXPECT_EQ(topology.ShardOfSlot(5), second);
  EXPECT_EQ(topology.slots_covered(), 6);
}

TEST(TopologyBuilderTest, OfTwoPrimariesTheOneThatIsFurtherIsBelieved) {
  TopologyBuilder builder;
  const uint16_t shard = builder.AddShard();
  builder.AddNode(shard, NodeAt("a", true, 10));
  builder.AddNode(shard, NodeAt("b", true, 20));
  const Topology topology = std::move(builder).Build();
  EXPECT_EQ(topology.nodes()[topology.shards()[shard].primary].address.host, "b");
}

TEST(TopologyBuilderTest, KnowsWhenThereIsMoreThanAClusterCanHave) {
  TopologyBuilder builder;
  const uint16_t shard = builder.AddShard();
  for (int i = 0; i < 4; ++i) builder.AddRange(0, kSlotCount - 1, shard);
  EXPECT_FALSE(builder.IsFull());
  builder.AddRange(0, 0, shard);
  EXPECT_TRUE(builder.IsFull());
}

}  // namespace
}  // namespace rcproxy::cluster
