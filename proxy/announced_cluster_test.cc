#include "proxy/announced_cluster.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace rcproxy::proxy {
namespace {

using cluster::NodeAddress;

const NodeAddress kConnected = {"10.0.0.9", 6379};

TEST(AnnouncedClusterTest, AloneItOwnsEverySlotAtTheAddressOfTheClient) {
  const AnnouncedCluster alone({}, kConnected);
  ASSERT_EQ(alone.nodes().size(), 1u);
  EXPECT_EQ(alone.me().address, kConnected);
  EXPECT_EQ(alone.me().first_slot, 0);
  EXPECT_EQ(alone.me().last_slot, 16383);
  EXPECT_EQ(alone.me().id, "bfe8e7dc3b0eb245fb9b51b3478b583f7d2ea1ab") << "must never change";
}

TEST(AnnouncedClusterTest, AFleetSharesTheSlotsEvenly) {
  for (const size_t count : {2u, 3u, 7u, 1000u, 16384u}) {
    std::vector<NodeAddress> fleet;
    for (size_t i = 0; i < count; ++i) fleet.push_back({"h", static_cast<uint16_t>(i + 1)});
    const AnnouncedCluster cluster(fleet, kConnected);
    int next = 0;
    size_t least = 16384;
    size_t most = 0;
    std::set<std::string> ids;
    for (const AnnouncedNode& node : cluster.nodes()) {
      EXPECT_EQ(node.first_slot, next);
      next = node.last_slot + 1;
      const size_t slots = next - node.first_slot;
      least = std::min(least, slots);
      most = std::max(most, slots);
      ids.insert(node.id);
    }
    EXPECT_EQ(next, 16384);
    EXPECT_LE(most - least, 1u) << count;
    EXPECT_EQ(ids.size(), count);
  }
}

TEST(AnnouncedClusterTest, AllInstancesSayTheSameWhateverTheOrderOfTheList) {
  const NodeAddress a = {"10.0.0.1", 6379};
  const NodeAddress b = {"10.0.0.2", 6379};
  const NodeAddress c = {"proxy.example", 6379};
  const AnnouncedCluster one({a, b, c}, b);
  const AnnouncedCluster other({c, b, a, b}, c);
  ASSERT_EQ(one.nodes().size(), 3u);
  ASSERT_EQ(other.nodes().size(), 3u) << "an address that is listed twice is one instance";
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(one.nodes()[i].id, other.nodes()[i].id);
    EXPECT_EQ(one.nodes()[i].first_slot, other.nodes()[i].first_slot);
  }
  EXPECT_EQ(one.me().address, b);
  EXPECT_EQ(other.me().address, c);
}

TEST(AnnouncedClusterTest, WhereAddressesAreTranslatedItIsTheFirstOfTheList) {
  const AnnouncedCluster cluster({{"z", 1}, {"a", 1}}, kConnected);
  EXPECT_EQ(cluster.me().address, (NodeAddress{"z", 1}));
  EXPECT_EQ(cluster.my_index(), 1u);
}

TEST(AnnouncedClusterTest, KnowsItsIds) {
  const AnnouncedCluster cluster({{"z", 1}, {"a", 1}}, kConnected);
  EXPECT_TRUE(cluster.Has(cluster.nodes()[0].id));
  EXPECT_TRUE(cluster.Has(cluster.nodes()[1].id));
  EXPECT_FALSE(cluster.Has(std::string(40, '0')));
  EXPECT_FALSE(cluster.Has(""));
}

}  // namespace
}  // namespace rcproxy::proxy
