#include "proxy/topology_refresher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/router_for_test.h"
#include "proxy/sim_for_test.h"
#include "testing/fake_view.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class TopologyRefresherTest : public testing::Test, public RouterForTest {
 protected:
  TopologyRefresherTest() {
    sim.config.startup_nodes = {AddressOf('A'), AddressOf('B'), AddressOf('C')};
    for (const char name : {'A', 'B', 'C'}) {
      members_.push_back({std::string(1, name), std::string(40, name), AddressOf(name).host, 7000,
                          name - 'A', true, false});
    }
    for (const sim::FakeMember& member : members_) view_.primary_of_shard.push_back(&member);
    GiveAllSlotsTo(0);
  }
  ~TopologyRefresherTest() override { refresher_.Stop(); }

  void GiveAllSlotsTo(int shard) { view_.shard_of_slot.fill(static_cast<int16_t>(shard)); }
  std::string Shards() {
    return sim::EncodeClusterShards(view_, {&members_[0], &members_[1], &members_[2]}, false);
  }
  std::string Slots() {
    return sim::EncodeClusterSlots(view_, {&members_[0], &members_[1], &members_[2]});
  }
  // Waits until some node is asked. Returns it.
  NodeForTest* AwaitQuestion(int64_t timeout_ns = 100 * kSecond) {
    NodeForTest* asked = nullptr;
    sim.RunUntil(
        [&] {
          for (NodeForTest* node : {&a, &b, &c}) {
            if (node->HasInput()) asked = node;
          }
          return asked != nullptr;
        },
        timeout_ns);
    return asked;
  }
  // Answers the next question with the map as it is. Returns how long it took until it came.
  int64_t AnswerNext() {
    const int64_t begin_ns = sim.io.NowNs();
    NodeForTest* asked = AwaitQuestion();
    if (asked == nullptr) return -1;
    EXPECT_EQ(asked->Take(), kShardsQuestion);
    const int64_t waited_ns = sim.io.NowNs() - begin_ns;
    Reply(*asked, Shards());
    return waited_ns;
  }

  const std::string kShardsQuestion = Wire("CLUSTER SHARDS");
  const std::string kSlotsQuestion = Wire("CLUSTER SLOTS");
  std::vector<sim::FakeMember> members_;
  sim::ClusterView view_;
  std::vector<std::shared_ptr<const cluster::Topology>> maps_;
  TopologyRefresher refresher_{
      sim.resources, table, router, /*seed=*/1,
      [this](std::shared_ptr<const cluster::Topology> map) { maps_.push_back(std::move(map)); }};
};

TEST_F(TopologyRefresherTest, AsksTheFirstStartupNodeAndPublishes) {
  EXPECT_FALSE(refresher_.has_topology());
  refresher_.Start();
  EXPECT_EQ(AwaitQuestion(), &a);
  AnswerNext();
  ASSERT_EQ(maps_.size(), 1u);
  EXPECT_EQ(maps_[0]->slots_covered(), 16384);
  EXPECT_EQ(maps_[0]->nodes().size(), 3u);
  EXPECT_TRUE(refresher_.has_topology());
  EXPECT_EQ(sim.stats.topology_refreshes.value(), 1u);
  EXPECT_EQ(sim.stats.topology_changes.value(), 1u);
}

TEST_F(TopologyRefresherTest, SeedsThatCannotBeReachedAreSkipped) {
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
  sim.network.SetConnectMode(b.address(), sim::ConnectMode::kSilent);
  refresher_.Start();
  EXPECT_EQ(AwaitQuestion(), &c);
  AnswerNext();
  EXPECT_EQ(maps_.size(), 1u);
}

class NonsenseTest : public TopologyRefresherTest,
                     public testing::WithParamInterface<const char*> {};

TEST_P(NonsenseTest, IsNoMapAndTheNextNodeIsAsked) {
  refresher_.Start();
  ASSERT_EQ(AwaitQuestion(), &a);
  a.Take();
  Reply(a, GetParam());
  ASSERT_EQ(AwaitQuestion(), &b);
  Reply(b, Shards());
  EXPECT_EQ(maps_.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(, NonsenseTest,
                         testing::Values("-ERR This instance has cluster support disabled\r\n",
                                         "+OK\r\n", "*0\r\n", ":1\r\n", "*1\r\n$1\r\nx\r\n",
                                         "-LOADING Redis is loading the dataset in memory\r\n",
                                         "$-1\r\n", "not the protocol\r\n", "*1\r\n*0\r\n"));

TEST_F(TopologyRefresherTest, AnOldServerIsAskedForSlots) {
  refresher_.Start();
  AwaitQuestion();
  a.Take();
  Reply(a,
        "-ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER "
        "HELP.\r\n");
  EXPECT_EQ(a.Take(), kSlotsQuestion);
  Reply(a, Slots());
  ASSERT_EQ(maps_.size(), 1u);
  EXPECT_EQ(maps_[0]->slots_covered(), 16384);
  refresher_.RequestRefresh();
  EXPECT_EQ(AwaitQuestion()->Take(), kSlotsQuestion) << "and is not asked twice again";
}

TEST_F(TopologyRefresherTest, ANodeThatDoesNotAnswerIsLeftForTheNext) {
  sim.config.refresh_timeout_ms = 200;
  refresher_.Start();
  AwaitQuestion();
  a.Take();
  const int64_t begin_ns = sim.io.NowNs();
  EXPECT_EQ(AwaitQuestion(), &b);
  EXPECT_GE(sim.io.NowNs() - begin_ns, 190 * kMillisecond);
  EXPECT_LE(sim.io.NowNs() - begin_ns, 210 * kMillisecond);
}

TEST_F(TopologyRefresherTest, ALateAnswerIsNotBelieved) {
  sim.config.refresh_timeout_ms = 200;
  refresher_.Start();
  AwaitQuestion();
  a.Take();
  EXPECT_EQ(AwaitQuestion(), &b);
  GiveAllSlotsTo(2);
  Reply(a, Shards());
  EXPECT_TRUE(maps_.empty());
  GiveAllSlotsTo(1);
  b.Take();
  Reply(b, Shards());
  ASSERT_EQ(maps_.size(), 1u);
  const uint16_t shard = maps_[0]->ShardOfSlot(0);
  EXPECT_EQ(maps_[0]->nodes()[maps_[0]->shards()[shard].primary].address, AddressOf('B'));
}

TEST_F(TopologyRefresherTest, AMapWithoutSlotsIsNone) {
  refresher_.Start();
  AnswerNext();
  view_.shard_of_slot.fill(sim::ClusterView::kNoShard);
  refresher_.RequestRefresh();
  AnswerNext();
  AnswerNext();
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, WhenNobodyAnswersItTriesAgainMoreSlowly) {
  sim.config.startup_nodes = {AddressOf('A')};
  sim.config.reconnect_delay_min_ms = 1;
  sim.config.reconnect_delay_max_ms = 1;
  refresher_.Start();
  std::vector<int64_t> pauses;
  for (int i = 0; i < 6; ++i) {
    const int64_t begin_ns = sim.io.NowNs();
    ASSERT_EQ(AwaitQuestion(), &a);
    pauses.push_back((sim.io.NowNs() - begin_ns) / kMillisecond);
    a.Take();
    Reply(a, "-ERR no\r\n");
  }
  EXPECT_LT(pauses[0], 10);
  const int64_t expected[] = {0, 100, 200, 400, 800, 800};
  for (int i = 1; i < 6; ++i) {
    EXPECT_GE(pauses[i], expected[i] - 10) << i;
    EXPECT_LE(pauses[i], expected[i] + 10) << i;
  }
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 6u);
}

TEST_F(TopologyRefresherTest, RequestsAreLimitedInRate) {
  sim.config.refresh_min_interval_ms = 100;
  refresher_.Start();
  AnswerNext();
  const int64_t begin_ns = sim.io.NowNs();
  for (int i = 0; i < 1000; ++i) {
    refresher_.RequestRefresh();
    if (i % 100 == 0) sim.RunFor(100'000);
  }
  AnswerNext();
  EXPECT_GE(sim.io.NowNs() - begin_ns, 90 * kMillisecond);
  EXPECT_LE(sim.io.NowNs() - begin_ns, 120 * kMillisecond);
  EXPECT_EQ(AwaitQuestion(kSecond), nullptr) << "one round was for all of them";
}

TEST_F(TopologyRefresherTest, OneQuestionAtATime) {
  refresher_.Start();
  AwaitQuestion();
  refresher_.RequestRefresh();
  refresher_.RequestRefresh();
  sim.RunFor(500 * kMillisecond);
  EXPECT_EQ(a.Take(), kShardsQuestion);
  EXPECT_FALSE(b.HasInput());
  EXPECT_FALSE(c.HasInput());
  // What was noticed meanwhile may be newer than the answer: one more round, and only one.
  Reply(a, Shards());
  EXPECT_GE(AnswerNext(), 0);
  EXPECT_EQ(AwaitQuestion(kSecond), nullptr);
}

TEST_F(TopologyRefresherTest, TheMapIsReadFromTimeToTime) {
  sim.config.slots_reload_interval_ms = 10'000;
  refresher_.Start();
  AnswerNext();
  for (int i = 0; i < 10; ++i) {
    const int64_t waited_ms = AnswerNext() / kMillisecond;
    EXPECT_GE(waited_ms, 8'900);
    EXPECT_LE(waited_ms, 10'010);
  }
}

TEST_F(TopologyRefresherTest, AMapThatHasNotChangedIsPublishedAllTheSame) {
  refresher_.Start();
  AnswerNext();
  refresher_.RequestRefresh();
  AnswerNext();
  ASSERT_EQ(maps_.size(), 2u);
  EXPECT_EQ(maps_[0], maps_[1]) << "the same object, so that nothing is copied";
  EXPECT_EQ(sim.stats.topology_changes.value(), 1u);
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  AnswerNext();
  EXPECT_EQ(sim.stats.topology_changes.value(), 2u);
}

TEST_F(TopologyRefresherTest, WhenAllSeedsAreGoneTheNodesOfTheMapAreAsked) {
  NodeForTest seed(sim.network, "10.0.0.9:7000");
  sim.config.startup_nodes = {{"10.0.0.9", 7000}};
  refresher_.Start();
  sim.RunUntil([&] { return seed.HasInput(); });
  Reply(seed, Shards());
  ASSERT_EQ(maps_.size(), 1u);
  seed.peer().Reset();
  sim.network.SetConnectMode(seed.address(), sim::ConnectMode::kRefuse);
  sim.RunFor(200 * kMillisecond);
  refresher_.RequestRefresh();
  EXPECT_GE(AnswerNext(), 0);
  EXPECT_EQ(maps_.size(), 2u);
}

TEST_F(TopologyRefresherTest, WhenAllNodesOfTheMapAreGoneTheSeedsAreAsked) {
  NodeForTest seed(sim.network, "10.0.0.9:7000");
  sim.config.startup_nodes = {{"10.0.0.9", 7000}};
  refresher_.Start();
  sim.RunUntil([&] { return seed.HasInput(); });
  Reply(seed, Shards());
  seed.Take();
  for (NodeForTest* node : {&a, &b, &c}) {
    sim.network.SetConnectMode(node->address(), sim::ConnectMode::kRefuse);
  }
  refresher_.RequestRefresh();
  EXPECT_TRUE(sim.RunUntil([&] { return seed.HasInput(); }));
}

TEST_F(TopologyRefresherTest, AfterStopNothingIsAskedAndNoAnswerCounts) {
  refresher_.Start();
  AwaitQuestion();
  refresher_.Stop();
  a.Take();
  Reply(a, Shards());
  EXPECT_TRUE(maps_.empty());
  refresher_.RequestRefresh();
  EXPECT_EQ(AwaitQuestion(100 * kSecond), nullptr);
  EXPECT_EQ(sim.resources.timers.size(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
