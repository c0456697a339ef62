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
    view_.epoch_of_shard = {1, 2, 3};
    GiveAllSlotsTo(0);
  }
  ~TopologyRefresherTest() override { refresher_.Stop(); }

  // With a newer epoch than anything before.
  void GiveAllSlotsTo(int shard) {
    view_.shard_of_slot.fill(static_cast<int16_t>(shard));
    view_.epoch_of_shard[shard] = ++epoch_;
  }
  std::string Shards(const sim::ClusterView& view) {
    return sim::EncodeClusterShards(view, Members(), false);
  }
  std::string Slots() { return sim::EncodeClusterSlots(view_, Members()); }
  // The other two answers of node `index`.
  std::string Rest(const sim::ClusterView& view, int index, bool is_ok = true) {
    return sim::EncodeClusterNodes(view, Members(), members_[index]) +
           sim::EncodeClusterInfo(is_ok);
  }
  sim::FakeMembers Members() const { return {&members_[0], &members_[1], &members_[2]}; }
  NodeForTest& NodeAt(int index) { return index == 0 ? a : index == 1 ? b : c; }

  // Lets what has been asked arrive.
  bool AwaitQuestion(int index, int64_t timeout_ns = 100 * kSecond) {
    return sim.RunUntil([&] { return NodeAt(index).HasInput(); }, timeout_ns);
  }
  // Answers the question that node `index` has got, or gets soon, with what it sees.
  void Answer(int index, const sim::ClusterView& view, bool is_ok = true) {
    ASSERT_TRUE(AwaitQuestion(index)) << index;
    EXPECT_EQ(NodeAt(index).Take(), kQuestion);
    Reply(NodeAt(index), Shards(view) + Rest(view, index, is_ok));
  }
  void AnswerBadly(int index, std::string_view reply) {
    ASSERT_TRUE(AwaitQuestion(index)) << index;
    NodeAt(index).Take();
    Reply(NodeAt(index), std::string(reply) + Rest(view_, index));
  }
  // All answer one round with the map as it is. Returns how long it took until they were asked.
  int64_t AnswerRound() {
    const int64_t begin_ns = sim.io.NowNs();
    if (!AwaitQuestion(0)) return -1;
    const int64_t waited_ns = sim.io.NowNs() - begin_ns;
    for (const int index : {0, 1, 2}) Answer(index, view_);
    return waited_ns;
  }
  bool NobodyIsAsked(int64_t for_ns) {
    sim.RunFor(for_ns);
    return !a.HasInput() && !b.HasInput() && !c.HasInput();
  }
  cluster::NodeAddress OwnerOfSlot(uint16_t slot) {
    const cluster::Topology& map = *maps_.back();
    return map.nodes()[map.shards()[map.ShardOfSlot(slot)].primary].address;
  }

  const std::string kRestOfQuestion = Wire("CLUSTER NODES") + Wire("CLUSTER INFO");
  const std::string kQuestion = Wire("CLUSTER SHARDS") + kRestOfQuestion;
  const std::string kSlotsQuestion = Wire("CLUSTER SLOTS") + kRestOfQuestion;
  uint64_t epoch_ = 3;
  std::vector<sim::FakeMember> members_;
  sim::ClusterView view_;
  std::vector<std::shared_ptr<const cluster::Topology>> maps_;
  TopologyRefresher refresher_{
      sim.resources, table, router, /*seed=*/1,
      [this](std::shared_ptr<const cluster::Topology> map) { maps_.push_back(std::move(map)); }};
};

TEST_F(TopologyRefresherTest, AsksTheStartupNodesAtOnceAndPublishesWhenHalfOfThemHaveAnswered) {
  EXPECT_FALSE(refresher_.has_topology());
  refresher_.Start();
  for (const int index : {0, 1, 2}) EXPECT_TRUE(AwaitQuestion(index, 10 * kMillisecond));
  Answer(0, view_);
  EXPECT_TRUE(maps_.empty()) << "one of three is not half";
  Answer(1, view_);
  ASSERT_EQ(maps_.size(), 1u);
  EXPECT_EQ(maps_[0]->slots_covered(), 16384);
  EXPECT_EQ(maps_[0]->nodes().size(), 3u);
  EXPECT_TRUE(refresher_.has_topology());
  EXPECT_EQ(sim.stats.topology_refreshes.value(), 1u);
  EXPECT_EQ(sim.stats.topology_changes.value(), 1u);
}

TEST_F(TopologyRefresherTest, AtTheStartHalfIsNotEnoughToChooseBetweenTwoClusters) {
  sim.config.startup_nodes = {AddressOf('A'), AddressOf('B')};
  refresher_.Start();
  Answer(0, view_);
  EXPECT_TRUE(maps_.empty());
  for (sim::FakeMember& member : members_) member.id = std::string(39, 'x') + member.name;
  Answer(1, view_);
  EXPECT_TRUE(maps_.empty()) << "one word against the other";
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 1u);
}

TEST_F(TopologyRefresherTest, AsksNoMoreNodesAtATimeThanItMay) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  EXPECT_TRUE(AwaitQuestion(0));
  sim.RunFor(10 * kMillisecond);
  EXPECT_FALSE(b.HasInput());
  Answer(0, view_);
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, SeedsThatCannotBeReachedAreSkipped) {
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
  sim.network.SetConnectMode(b.address(), sim::ConnectMode::kSilent);
  refresher_.Start();
  Answer(2, view_);
  sim.RunFor(sim.config.refresh_timeout_ms * kMillisecond);
  EXPECT_EQ(maps_.size(), 1u);
}

class NonsenseTest : public TopologyRefresherTest,
                     public testing::WithParamInterface<const char*> {};

TEST_P(NonsenseTest, IsNoMapAndTheNextNodeIsAsked) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  AnswerBadly(0, GetParam());
  Answer(1, view_);
  EXPECT_EQ(maps_.size(), 1u);
  EXPECT_GE(sim.stats.topology_views_refused.value() + sim.stats.upstream_failures.value(), 1u);
}

INSTANTIATE_TEST_SUITE_P(, NonsenseTest,
                         testing::Values("-ERR This instance has cluster support disabled\r\n",
                                         "+OK\r\n", "*0\r\n", ":1\r\n", "*1\r\n$1\r\nx\r\n",
                                         "-LOADING Redis is loading the dataset in memory\r\n",
                                         "$-1\r\n", "not the protocol\r\n", "*1\r\n*0\r\n"));

TEST_F(TopologyRefresherTest, ANodeThatLoadsDoesNotCountThoughItTellsAMap) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  const std::string loading = "-LOADING Redis is loading the dataset in memory\r\n";
  Reply(a, Shards(view_) + loading + loading);
  EXPECT_TRUE(maps_.empty());
  Answer(1, view_);
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, ANodeThatTellsNoEpochsIsGoodEnough) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  Reply(a, Shards(view_) + "-NOPERM no\r\n-NOPERM no\r\n");
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, AnOldServerIsAskedForSlots) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  AnswerBadly(0,
              "-ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER "
              "HELP.\r\n");
  EXPECT_EQ(a.Take(), kSlotsQuestion);
  Reply(a, Slots() + Rest(view_, 0));
  ASSERT_EQ(maps_.size(), 1u);
  EXPECT_EQ(maps_[0]->slots_covered(), 16384);
  refresher_.RequestRefresh();
  NodeForTest* asked = nullptr;
  sim.RunUntil([&] {
    for (const int index : {0, 1, 2}) {
      if (NodeAt(index).HasInput()) asked = &NodeAt(index);
    }
    return asked != nullptr;
  });
  ASSERT_NE(asked, nullptr);
  EXPECT_EQ(asked->Take(), kSlotsQuestion) << "and is not asked twice again";
}

TEST_F(TopologyRefresherTest, ANodeThatHangsHoldsUpNothing) {
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  Answer(1, view_);
  Answer(2, view_);
  ASSERT_EQ(maps_.size(), 1u);
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  Answer(1, view_);
  Answer(2, view_);
  EXPECT_EQ(maps_.size(), 2u) << "and not after a timeout";
  EXPECT_EQ(a.Take(), kQuestion) << "it is not asked twice";
}

TEST_F(TopologyRefresherTest, BesideANodeThatHangsAnotherIsAskedSoon) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  Answer(0, view_);
  ASSERT_EQ(maps_.size(), 1u);
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  const auto asked = [this] { return int{a.HasInput()} + int{b.HasInput()} + int{c.HasInput()}; };
  ASSERT_TRUE(sim.RunUntil([&] { return asked() > 0; }));
  sim.RunFor(40 * kMillisecond);
  EXPECT_EQ(asked(), 1);
  const bool first[] = {a.HasInput(), b.HasInput(), c.HasInput()};
  sim.RunFor(20 * kMillisecond);
  EXPECT_EQ(asked(), 2);
  for (const int index : {0, 1, 2}) {
    if (NodeAt(index).HasInput() && !first[index]) Answer(index, view_);
  }
  EXPECT_EQ(maps_.size(), 2u);
}

TEST_F(TopologyRefresherTest, HoweverManyHangNotAllOfALargeClusterAreAsked) {
  sim.config.topology_nodes_asked = 1;
  refresher_.Start();
  sim.RunFor(500 * kMillisecond);
  EXPECT_TRUE(a.HasInput());
  EXPECT_TRUE(b.HasInput());
  EXPECT_FALSE(c.HasInput()) << "twice as many as views are wanted, until one is given up";
}

TEST_F(TopologyRefresherTest, OnlyTheDeadlineEndsTheWaitForTooMany) {
  sim.config.refresh_timeout_ms = 200;
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  Answer(1, view_);
  sim.RunFor(150 * kMillisecond);
  EXPECT_TRUE(maps_.empty());
  sim.RunFor(60 * kMillisecond);
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, ALateAnswerIsNotBelieved) {
  sim.config.refresh_timeout_ms = 200;
  refresher_.Start();
  sim.RunFor(250 * kMillisecond);
  sim::ClusterView late = view_;
  GiveAllSlotsTo(1);
  Answer(1, view_);
  EXPECT_TRUE(maps_.empty());
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 1u);
}

TEST_F(TopologyRefresherTest, AMapWithoutSlotsIsNone) {
  refresher_.Start();
  AnswerRound();
  ASSERT_EQ(maps_.size(), 1u);
  view_.shard_of_slot.fill(sim::ClusterView::kNoShard);
  refresher_.RequestRefresh();
  AnswerRound();
  EXPECT_EQ(maps_.size(), 1u);
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 1u);
}

// ---- whom to believe

TEST_F(TopologyRefresherTest, ALiarMovesNothing) {
  refresher_.Start();
  AnswerRound();
  sim::ClusterView lie = view_;
  lie.shard_of_slot.fill(2);
  lie.epoch_of_shard = {1'000'000, 1'000'000, 1'000'000};
  refresher_.RequestRefresh();
  Answer(1, lie);
  Answer(0, view_);
  Answer(2, view_);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('A'));
  EXPECT_EQ(sim.stats.topology_changes.value(), 1u);
}

TEST_F(TopologyRefresherTest, WhoIsNamedAsTheNewOwnerIsAskedItself) {
  sim.config.topology_nodes_asked = 2;
  sim.config.startup_nodes = {AddressOf('A'), AddressOf('B')};
  refresher_.Start();
  Answer(0, view_);
  Answer(1, view_);
  ASSERT_EQ(maps_.size(), 1u);
  sim::ClusterView news = view_;
  news.shard_of_slot.fill(2);
  news.epoch_of_shard[2] = 9;
  refresher_.RequestRefresh();
  sim.RunFor(200 * kMillisecond);
  // Two of the three were drawn. One of them tells of C.
  const int first = a.HasInput() ? 0 : 1;
  if (c.HasInput()) return;  // C itself was drawn: another test.
  Answer(first, news);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('A'));
  Answer(2, news);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('C'));
}

TEST_F(TopologyRefresherTest, AMinorityMovesNothing) {
  refresher_.Start();
  AnswerRound();
  sim::ClusterView old = view_;
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  AnswerRound();
  ASSERT_EQ(OwnerOfSlot(0), AddressOf('B'));
  sim.network.SetConnectMode(b.address(), sim::ConnectMode::kRefuse);
  sim.network.SetConnectMode(c.address(), sim::ConnectMode::kRefuse);
  b.peer().Reset();
  c.peer().Reset();
  refresher_.RequestRefresh();
  Answer(0, old, /*is_ok=*/false);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('B'));
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 1u);
  EXPECT_EQ(sim.stats.topology_views_refused.value(), 1u);
}

TEST_F(TopologyRefresherTest, ANodeThatIsBehindMovesNothingBack) {
  refresher_.Start();
  AnswerRound();
  const sim::ClusterView old = view_;
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  AnswerRound();
  refresher_.RequestRefresh();
  for (const int index : {0, 2}) Answer(index, old);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('B'));
  Answer(1, view_);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('B'));
  EXPECT_EQ(sim.stats.topology_changes.value(), 2u);
}

// As after a backup has been restored.
TEST_F(TopologyRefresherTest, WhenAllNodesGoBackTheMapDoes) {
  refresher_.Start();
  AnswerRound();
  const sim::ClusterView old = view_;
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  AnswerRound();
  refresher_.RequestRefresh();
  for (const int index : {0, 1, 2}) Answer(index, old);
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('A'));
}

// ---- when

TEST_F(TopologyRefresherTest, WhenNobodyAnswersItTriesAgainMoreSlowly) {
  sim.config.startup_nodes = {AddressOf('A')};
  sim.config.reconnect_delay_min_ms = 1;
  sim.config.reconnect_delay_max_ms = 1;
  refresher_.Start();
  std::vector<int64_t> pauses;
  for (int i = 0; i < 6; ++i) {
    const int64_t begin_ns = sim.io.NowNs();
    ASSERT_TRUE(AwaitQuestion(0));
    pauses.push_back((sim.io.NowNs() - begin_ns) / kMillisecond);
    AnswerBadly(0, "-ERR no\r\n");
  }
  EXPECT_LT(pauses[0], 10);
  const int64_t expected[] = {0, 100, 200, 400, 800, 800};
  for (int i = 1; i < 6; ++i) {
    EXPECT_GE(pauses[i], expected[i] - 10) << i;
    EXPECT_LE(pauses[i], expected[i] + 10) << i;
  }
  EXPECT_EQ(sim.stats.topology_refresh_failures.value(), 6u);
}

TEST_F(TopologyRefresherTest, AfterAFailureTheNamesOfSeedsAreLookedUpAgain) {
  sim.config.startup_nodes = {{"seed.example", 7000}};
  const auto answer = [this](char name) {
    ASSERT_TRUE(sim.RunUntil([this] { return !resolver.questions.empty(); }));
    SocketAddress address;
    ASSERT_TRUE(ResolveLiteral(AddressOf(name), &address));
    std::exchange(resolver.questions, {})[0](address);
  };
  refresher_.Start();
  answer('A');
  AnswerBadly(0, "-ERR This instance has cluster support disabled\r\n");
  answer('B');
  Answer(1, view_);
  EXPECT_EQ(maps_.size(), 1u);
}

TEST_F(TopologyRefresherTest, RequestsAreLimitedInRate) {
  sim.config.refresh_min_interval_ms = 100;
  refresher_.Start();
  AnswerRound();
  const int64_t begin_ns = sim.io.NowNs();
  for (int i = 0; i < 1000; ++i) {
    refresher_.RequestRefresh();
    if (i % 100 == 0) sim.RunFor(100'000);
  }
  ASSERT_TRUE(AwaitQuestion(0));
  EXPECT_GE(sim.io.NowNs() - begin_ns, 80 * kMillisecond);
  EXPECT_LE(sim.io.NowNs() - begin_ns, 120 * kMillisecond);
  AnswerRound();
  EXPECT_TRUE(NobodyIsAsked(kSecond)) << "one round was for all of them";
}

TEST_F(TopologyRefresherTest, OneRoundAtATime) {
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  refresher_.RequestRefresh();
  refresher_.RequestRefresh();
  sim.RunFor(500 * kMillisecond);
  for (const int index : {0, 1, 2}) {
    EXPECT_EQ(NodeAt(index).Take(), kQuestion);
    NodeAt(index).Reply(Shards(view_) + Rest(view_, index));  // All at the same time.
  }
  Settle();
  // What was noticed meanwhile may be newer than the answers: one more round, and only one.
  ASSERT_TRUE(AwaitQuestion(0));
  for (const int index : {0, 1, 2}) {
    if (NodeAt(index).HasInput()) Answer(index, view_);
  }
  EXPECT_TRUE(NobodyIsAsked(kSecond));
}

TEST_F(TopologyRefresherTest, TheMapIsReadFromTimeToTime) {
  sim.config.slots_reload_interval_ms = 10'000;
  refresher_.Start();
  AnswerRound();
  for (int i = 0; i < 10; ++i) {
    const int64_t waited_ms = AnswerRound() / kMillisecond;
    EXPECT_GE(waited_ms, 8'900);
    EXPECT_LE(waited_ms, 10'010);
  }
}

// One that has been out for longer may take longer to be seen again.
TEST_F(TopologyRefresherTest, WhileAReplicaIsOutTheMapIsReadOften) {
  members_[2].shard = 0;
  members_[2].loading = true;
  view_.primary_of_shard.pop_back();
  view_.epoch_of_shard.pop_back();
  refresher_.Start();
  AnswerRound();
  int64_t out_ms = 0;
  int rounds = 0;
  for (; out_ms < 50'000; ++rounds) {
    const int64_t waited_ms = AnswerRound() / kMillisecond;
    EXPECT_GE(waited_ms, 890);
    EXPECT_LE(waited_ms, 1'010 + out_ms / 10);
    out_ms += waited_ms;
  }
  EXPECT_LT(rounds, 40);
  members_[2].loading = false;
  AnswerRound();
  EXPECT_GE(AnswerRound() / kMillisecond, sim.config.slots_reload_interval_ms * 8 / 10);
}

TEST_F(TopologyRefresherTest, AMapThatHasNotChangedIsPublishedAllTheSame) {
  refresher_.Start();
  AnswerRound();
  refresher_.RequestRefresh();
  AnswerRound();
  ASSERT_EQ(maps_.size(), 2u);
  EXPECT_TRUE(maps_[0]->SameAs(*maps_[1]));
  EXPECT_EQ(sim.stats.topology_changes.value(), 1u);
  GiveAllSlotsTo(1);
  refresher_.RequestRefresh();
  AnswerRound();
  EXPECT_EQ(sim.stats.topology_changes.value(), 2u);
}

// ---- nodes that have gone

TEST_F(TopologyRefresherTest, WhenAllSeedsAreGoneTheNodesOfTheMapAreAsked) {
  NodeForTest seed(sim.network, "10.0.0.9:7000");
  sim.config.startup_nodes = {{"10.0.0.9", 7000}};
  refresher_.Start();
  sim.RunUntil([&] { return seed.HasInput(); });
  Reply(seed, Shards(view_) + Rest(view_, 0));
  ASSERT_EQ(maps_.size(), 1u);
  seed.peer().Reset();
  sim.network.SetConnectMode(seed.address(), sim::ConnectMode::kRefuse);
  sim.RunFor(200 * kMillisecond);
  refresher_.RequestRefresh();
  EXPECT_GE(AnswerRound(), 0);
  EXPECT_EQ(maps_.size(), 2u);
}

TEST_F(TopologyRefresherTest, WhenAllNodesOfTheMapAreGoneTheSeedsAreAskedAndBelieved) {
  NodeForTest seed(sim.network, "10.0.0.9:7000");
  sim.config.startup_nodes = {{"10.0.0.9", 7000}};
  refresher_.Start();
  sim.RunUntil([&] { return seed.HasInput(); });
  Reply(seed, Shards(view_) + Rest(view_, 0));
  seed.Take();
  for (NodeForTest* node : {&a, &b, &c}) {
    sim.network.SetConnectMode(node->address(), sim::ConnectMode::kRefuse);
  }
  refresher_.RequestRefresh();
  ASSERT_TRUE(sim.RunUntil([&] { return seed.HasInput(); }));
  for (sim::FakeMember& member : members_) member.id = std::string(40, 'x') + member.name;
  GiveAllSlotsTo(1);
  Reply(seed, Shards(view_) + Rest(view_, 0));
  EXPECT_EQ(OwnerOfSlot(0), AddressOf('B'))
      << "another cluster, where the operator says there is one";
}

TEST_F(TopologyRefresherTest, AfterStopNothingIsAskedAndNoAnswerCounts) {
  refresher_.Start();
  ASSERT_TRUE(AwaitQuestion(0));
  refresher_.Stop();
  AnswerRound();
  EXPECT_TRUE(maps_.empty());
  refresher_.RequestRefresh();
  EXPECT_TRUE(NobodyIsAsked(100 * kSecond));
  EXPECT_EQ(sim.resources.timers.size(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
