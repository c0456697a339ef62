#include "proxy/routing_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "cluster/topology.h"
#include "proxy/router_for_test.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {
namespace {

using sim::kSecond;
using testing::UnorderedElementsAre;

class RoutingTableTest : public testing::Test, public RouterForTest {
 protected:
  UpstreamNode* Node(char name) { return table.NodeAt(AddressOf(name)); }
  UpstreamNode* Owner(uint16_t slot) { return table.Find(slot).primary; }
  static cluster::Topology OneShard(char name) {
    return cluster::Topology({NodeNamed(name, true)}, {{0, {}}}, {{0, 16383, 0}});
  }
};

TEST_F(RoutingTableTest, ATableWithoutAMapKnowsNoOwner) {
  RoutingTable empty(sim.resources, router, resolver);
  empty.CheckInvariants();
  EXPECT_EQ(empty.Find(0).primary, nullptr);
  EXPECT_EQ(empty.AnyPrimary(), nullptr);
  EXPECT_TRUE(empty.Primaries().empty());
}

TEST_F(RoutingTableTest, FollowsTheMap) {
  EXPECT_EQ(Owner(0), Node('A'));
  EXPECT_EQ(Owner(5460), Node('A'));
  EXPECT_EQ(Owner(5461), Node('B'));
  EXPECT_EQ(Owner(16383), Node('C'));
  EXPECT_EQ(table.node_count(), 3u);
  table.CheckInvariants();
}

TEST_F(RoutingTableTest, AnAddressIsOneNode) {
  EXPECT_EQ(Node('A'), Node('A'));
  EXPECT_NE(Node('A'), Node('B'));
  EXPECT_EQ(table.node_count(), 3u);
}

TEST_F(RoutingTableTest, OnlyAChangeOfOwnerIsAChange) {
  const uint32_t before = table.epoch();
  const uint32_t slot_before = table.changed_epoch(100);
  EXPECT_FALSE(table.Adopt(ThreeShards()));
  EXPECT_GT(table.epoch(), before);
  EXPECT_EQ(table.changed_epoch(100), slot_before);
  EXPECT_TRUE(table.Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('B', true)},
                                            {{0, {}}, {1, {}}}, {{0, 5460, 0}, {5461, 16383, 1}})));
  EXPECT_EQ(table.changed_epoch(100), slot_before);
  EXPECT_EQ(table.changed_epoch(16000), table.epoch());
  table.CheckInvariants();
}

TEST_F(RoutingTableTest, NewIsWhoComesAfterTheFirstMapForAMoment) {
  EXPECT_FALSE(Node('A')->IsNew());
  UpstreamNode* const joined = Node('D');
  EXPECT_TRUE(joined->IsNew());
  sim.RunFor(2 * kSecond);
  EXPECT_FALSE(joined->IsNew());
  RoutingTable empty(sim.resources, router, resolver);
  EXPECT_FALSE(empty.NodeAt(AddressOf('A'))->IsNew());
}

TEST_F(RoutingTableTest, CountsTheSlotsThatHaveAnOwner) {
  EXPECT_EQ(table.SlotsServed(), 16384);
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {{0, 9, 0}, {20, 29, 0}}));
  EXPECT_EQ(table.SlotsServed(), 20);
}

TEST_F(RoutingTableTest, ASlotThatNobodyOwnsHasNoPrimary) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {{0, 99, 0}}));
  EXPECT_EQ(Owner(99), Node('A'));
  EXPECT_EQ(Owner(100), nullptr);
}

TEST_F(RoutingTableTest, AShardWithoutAPrimaryHasNone) {
  table.Adopt(cluster::Topology({NodeNamed('A', false)}, {{cluster::Shard::kNoNode, {0}}},
                                {{0, 16383, 0}}));
  EXPECT_EQ(Owner(5), nullptr);
  EXPECT_EQ(table.Find(5).replicas.size(), 1u);
}

TEST_F(RoutingTableTest, OnlyReplicasThatAreOnlineServe) {
  cluster::Node down = NodeNamed('C', false);
  down.is_online = false;
  table.Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('B', false), down}, {{0, {1, 2}}},
                                {{0, 16383, 0}}));
  EXPECT_THAT(table.Find(7).replicas, UnorderedElementsAre(Node('B')));
}

TEST_F(RoutingTableTest, AMovedSlotChangesAloneAndAtOnce) {
  const uint32_t before = table.epoch();
  table.NoteMoved(7, Node('B'));
  EXPECT_EQ(Owner(7), Node('B'));
  EXPECT_EQ(Owner(8), Node('A'));
  EXPECT_EQ(table.epoch(), before + 1);
  EXPECT_EQ(table.changed_epoch(7), table.epoch());
  EXPECT_LT(table.changed_epoch(8), table.epoch());
  table.NoteMoved(7, Node('B'));
  EXPECT_EQ(table.epoch(), before + 1) << "what is known is no change";
  table.CheckInvariants();
}

TEST_F(RoutingTableTest, ASlotMayMoveToANodeThatIsNew) {
  table.NoteMoved(7, table.NodeAt({"10.0.0.9", 7000}));
  table.NoteMoved(8, table.NodeAt({"10.0.0.9", 7000}));
  EXPECT_EQ(Owner(7)->address().host, "10.0.0.9");
  EXPECT_EQ(table.node_count(), 4u);
  EXPECT_EQ(table.Primaries().size(), 4u);
}

TEST_F(RoutingTableTest, PrimariesTakeTurns) {
  std::multiset<UpstreamNode*> seen;
  for (int i = 0; i < 300; ++i) seen.insert(table.AnyPrimary());
  for (const char name : {'A', 'B', 'C'}) EXPECT_EQ(seen.count(Node(name)), 100u) << name;
}

TEST_F(RoutingTableTest, APrimaryThatCannotBeReachedIsLeftOut) {
  Node('A')->OnConnectFailed();
  Node('B')->OnConnectFailed();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(table.AnyPrimary(), Node('C'));
  Node('C')->OnConnectFailed();
  EXPECT_EQ(table.AnyPrimary(), nullptr);
}

TEST_F(RoutingTableTest, APrimaryWithoutSlotsIsNotAsked) {
  table.Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('B', true)}, {{0, {}}, {1, {}}},
                                {{0, 16383, 0}}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(table.AnyPrimary(), Node('A'));
  EXPECT_THAT(table.Primaries(), UnorderedElementsAre(Node('A')));
}

// ---- nodes that leave

TEST_F(RoutingTableTest, ANodeThatHasLeftIsClosedAndForgotten) {
  OpenAll();
  table.Adopt(OneShard('A'));
  EXPECT_TRUE(table.NeedsSweep());
  table.Sweep(sim.io.NowNs());
  Settle();
  EXPECT_FALSE(b.connected());
  EXPECT_TRUE(a.connected());
  table.Sweep(sim.io.NowNs());
  EXPECT_EQ(table.node_count(), 1u);
  EXPECT_FALSE(table.NeedsSweep());
}

TEST_F(RoutingTableTest, ANodeThatHasLeftStaysUntilItHasAnswered) {
  OpenAll();
  Send(std::string("GET ") + kKeyOfB);
  Settle();
  table.Adopt(OneShard('A'));
  table.Sweep(sim.io.NowNs());
  Settle();
  table.Sweep(sim.io.NowNs());
  EXPECT_TRUE(b.connected());
  EXPECT_EQ(table.node_count(), 2u) << "A, and B that still has to answer";
  Reply(b, "+last\r\n");
  EXPECT_EQ(client.Take(), "+last\r\n");
  table.Sweep(sim.io.NowNs());
  Settle();
  table.Sweep(sim.io.NowNs());
  EXPECT_EQ(table.node_count(), 1u);
}

TEST_F(RoutingTableTest, ANodeThatComesBackInTimeStays) {
  OpenAll();
  UpstreamNode* const b_before = Node('B');
  table.Adopt(OneShard('A'));
  table.Adopt(ThreeShards());
  table.Sweep(sim.io.NowNs());
  Settle();
  EXPECT_EQ(Node('B'), b_before);
  EXPECT_TRUE(b.connected());
}

TEST_F(RoutingTableTest, UnusedConnectionsAreKeptUnlessToldOtherwise) {
  sim.config.backend_idle_timeout_s = 5;
  OpenAll();
  table.Sweep(sim.io.NowNs() + 100 * kSecond);
  Settle();
  EXPECT_TRUE(a.connected());
  sim.config.backend_idle_connections = 0;
  table.Sweep(sim.io.NowNs() + 4 * kSecond);
  Settle();
  EXPECT_TRUE(a.connected());
  table.Sweep(sim.io.NowNs() + 6 * kSecond);
  Settle();
  EXPECT_FALSE(a.connected());
  EXPECT_EQ(table.node_count(), 3u) << "the nodes are still in the map";
}

// A connection that fails while the nodes are visited may make somebody ask for another one.
TEST_F(RoutingTableTest, NodesMayComeWhileTheyAreVisited) {
  int visited = 0;
  table.ForEachNode([&](UpstreamNode&) {
    for (int i = 0; i < 100; ++i) table.NodeAt({"10.1.0." + std::to_string(i), 7000});
    ++visited;
  });
  EXPECT_GE(visited, 3);
  EXPECT_EQ(table.node_count(), 103u);
}

TEST_F(RoutingTableTest, ReplicasThatAreTooFarBehindServeNoReads) {
  cluster::Node primary = NodeNamed('A', true);
  primary.replication_offset = 10'000;
  cluster::Node close = NodeNamed('B', false);
  close.replication_offset = 9'900;
  cluster::Node behind = NodeNamed('C', false);
  behind.replication_offset = 9'899;
  const cluster::Topology map({primary, close, behind}, {{0, {1, 2}}}, {{0, 16383, 0}});
  table.Adopt(map);
  EXPECT_THAT(table.Find(0).replicas, UnorderedElementsAre(Node('B'), Node('C'))) << "no limit";
  sim.config.replica_lag_bytes_max = 100;
  table.Adopt(map);
  EXPECT_THAT(table.Find(0).replicas, UnorderedElementsAre(Node('B')));
}

TEST_F(RoutingTableTest, KnowsWhichNodesAreInTheZone) {
  cluster::Node near = NodeNamed('A', true);
  near.availability_zone = "here";
  sim.config.zones.own = "here";
  table.Adopt(cluster::Topology({near, NodeNamed('B', false)}, {{0, {1}}}, {{0, 16383, 0}}));
  EXPECT_TRUE(Node('A')->in_zone());
  EXPECT_FALSE(Node('B')->in_zone());
}

}  // namespace
}  // namespace rcproxy::proxy
