#include "cluster/agreement.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

Node NodeNamed(std::string_view id, bool is_primary) {
  Node node;
  node.address = {"host-" + std::string(id), 6379};
  node.id = std::string(id);
  node.is_primary = is_primary;
  return node;
}

// A third of the slots for each of P, Q and R, unless a test says otherwise. p is a replica of P.
struct Cluster {
  std::map<std::string, uint64_t> epochs = {{"P", 1}, {"Q", 2}, {"R", 3}};
  std::string owners[3] = {"P", "Q", "R"};
  std::string replica = "p";
  bool is_ok = true;

  Topology Map() const {
    std::vector<Node> nodes;
    std::vector<Shard> shards;
    std::vector<Topology::Range> ranges;
    for (int i = 0; i < 3; ++i) {
      if (owners[i].empty()) continue;
      const auto known = std::ranges::find(nodes, owners[i], &Node::id);
      const uint16_t shard = static_cast<uint16_t>(known - nodes.begin());
      if (known == nodes.end()) {
        nodes.push_back(NodeNamed(owners[i], true));
        shards.push_back({shard, {}});
      }
      const uint16_t first = static_cast<uint16_t>(i * 5000);
      const uint16_t last = static_cast<uint16_t>(i == 2 ? kSlotCount - 1 : first + 4999);
      ranges.push_back({first, last, shard});
    }
    if (!replica.empty()) {
      nodes.push_back(NodeNamed(replica, false));
      shards[0].replicas.push_back(static_cast<uint16_t>(nodes.size() - 1));
    }
    return Topology(std::move(nodes), std::move(shards), ranges);
  }
  NodeView SeenBy(std::string self) const {
    NodeView view;
    view.map = Map();
    view.self = std::move(self);
    view.is_ok = is_ok;
    for (const auto& [id, epoch] : epochs) view.epochs[id] = epoch;
    if (!replica.empty()) view.epochs[replica] = epochs.at(owners[0]);
    return view;
  }
};

std::string OwnerOf(const Agreement& agreement, int slot) {
  if (!agreement.topology.has_value()) return "no picture";
  const uint16_t shard = agreement.topology->ShardOfSlot(slot);
  if (shard == Topology::kNoShard) return "";
  return agreement.topology->nodes()[agreement.topology->shards()[shard].primary].id;
}

class AgreementTest : public testing::Test {
 protected:
  AgreementTest() {
    failed_over_.owners[0] = "p";
    failed_over_.replica = "P";
    failed_over_.epochs = {{"p", 4}, {"Q", 2}, {"R", 3}};
  }
  // With the picture of `before` as what is known.
  Agreement AgreeAfter(const Cluster& before, const std::vector<NodeView>& views, size_t asked) {
    const Agreement known = Agree({before.SeenBy("P")}, 1, {});
    return Agree(views, asked, {&*known.topology, &known.epochs});
  }

  // What is believed after each of `rounds`, of three nodes asked, beginning with `known`.
  Agreement AgreeInRounds(Agreement known, const std::vector<std::vector<NodeView>>& rounds) {
    for (const std::vector<NodeView>& views : rounds) {
      Agreement next = Agree(views, 3, {&*known.topology, &known.epochs});
      known = std::move(next);
    }
    return known;
  }
  Agreement KnownFrom(const Cluster& cluster) { return Agree({cluster.SeenBy("P")}, 1, {}); }
  std::vector<NodeView> SeenByAll(const Cluster& cluster, std::vector<std::string> nodes) {
    std::vector<NodeView> views;
    for (const std::string& node : nodes) views.push_back(cluster.SeenBy(node));
    return views;
  }

  Cluster cluster_;
  Cluster failed_over_;  // p has taken over from P.
};

TEST_F(AgreementTest, TheFirstViewIsBelieved) {
  const Agreement agreement = Agree({cluster_.SeenBy("Q")}, 1, {});
  ASSERT_TRUE(agreement.topology.has_value());
  EXPECT_TRUE(agreement.topology->SameAs(cluster_.Map()));
  EXPECT_EQ(agreement.epochs, (Epochs{{"P", 1}, {"Q", 2}, {"R", 3}}));
  EXPECT_TRUE(agreement.to_ask.empty());
}

TEST_F(AgreementTest, AViewThatAgreesChangesNothing) {
  const Agreement agreement = AgreeAfter(cluster_, {cluster_.SeenBy("Q"), cluster_.SeenBy("R")}, 3);
  EXPECT_TRUE(agreement.topology->SameAs(cluster_.Map()));
}

TEST_F(AgreementTest, TheNewPrimarysOwnWordSufficesWhateverOthersStillSay) {
  const Agreement agreement = AgreeAfter(
      cluster_, {cluster_.SeenBy("Q"), failed_over_.SeenBy("p"), cluster_.SeenBy("R")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "p");
  EXPECT_EQ(agreement.epochs.at("p"), 4u);
  EXPECT_TRUE(agreement.topology->SameAs(failed_over_.Map())) << "P is its replica now";
}

TEST_F(AgreementTest, ANodeThatIsBehindMovesNothingBack) {
  const Agreement agreement = AgreeAfter(failed_over_, {cluster_.SeenBy("P")}, 1);
  EXPECT_EQ(OwnerOf(agreement, 0), "p");
  EXPECT_EQ(OwnerOf(agreement, 5000), "Q");
  EXPECT_EQ(agreement.epochs.at("p"), 4u) << "what is known stays known";
}

TEST_F(AgreementTest, AClaimForAnotherNodeNeedsThatNodesWordOrMost) {
  Cluster lie = cluster_;
  lie.owners[0] = "R";
  lie.owners[2] = "P";
  lie.epochs["R"] = lie.epochs["P"] = 1'000'000;
  const NodeView liar = lie.SeenBy("Q");
  Agreement agreement = AgreeAfter(cluster_, {liar}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "P");
  EXPECT_EQ(OwnerOf(agreement, 16383), "R");
  EXPECT_EQ(agreement.to_ask, (std::vector<NodeAddress>{{"host-P", 6379}, {"host-R", 6379}}));
  agreement = AgreeAfter(cluster_, {liar, cluster_.SeenBy("P"), cluster_.SeenBy("R")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "P");
  EXPECT_EQ(OwnerOf(agreement, 16383), "R");
  agreement = AgreeAfter(cluster_, {liar, liar}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "R") << "two of three: it can not be asked, but is believed";
}

TEST_F(AgreementTest, ANodeInStateFailIsNotHeardWhileOthersAreWell) {
  Cluster isolated = failed_over_;
  isolated.is_ok = false;
  Agreement agreement = AgreeAfter(cluster_, {isolated.SeenBy("p"), cluster_.SeenBy("Q")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "P");
  EXPECT_EQ(agreement.views_left_out, 1u);
  agreement = AgreeAfter(cluster_, {isolated.SeenBy("p")}, 3);
  EXPECT_FALSE(agreement.topology.has_value()) << "a minority";
  agreement = AgreeAfter(cluster_, {isolated.SeenBy("p"), isolated.SeenBy("Q")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "p") << "slots are missing, and most say so";
}

TEST_F(AgreementTest, ANodeOfAnotherClusterIsLeftOut) {
  Cluster other;
  other.owners[0] = "X";
  other.owners[1] = other.owners[2] = "";
  other.epochs = {{"X", 99}};
  other.replica = "";
  const NodeView stranger = other.SeenBy("X");
  Agreement agreement =
      AgreeAfter(cluster_, {stranger, cluster_.SeenBy("Q"), cluster_.SeenBy("R")}, 3);
  EXPECT_TRUE(agreement.topology->SameAs(cluster_.Map()));
  EXPECT_EQ(agreement.views_left_out, 1u);
  agreement = AgreeAfter(cluster_, {stranger}, 3);
  EXPECT_FALSE(agreement.topology.has_value());
}

TEST_F(AgreementTest, WhenTwoClustersBalanceEachOtherNeitherIsBelieved) {
  Cluster other;
  other.owners[0] = "X";
  other.owners[1] = other.owners[2] = "";
  other.epochs = {{"X", 99}};
  other.replica = "";
  EXPECT_FALSE(Agree({other.SeenBy("X"), cluster_.SeenBy("Q")}, 4, {}).topology.has_value());
  const Agreement agreement =
      Agree({other.SeenBy("X"), cluster_.SeenBy("Q"), cluster_.SeenBy("R")}, 4, {});
  EXPECT_TRUE(agreement.topology->SameAs(cluster_.Map()));
}

TEST_F(AgreementTest, AClusterThatWasMadeAnewIsBelievedWhenMostSaySo) {
  Cluster anew = cluster_;
  anew.owners[0] = "X";
  anew.owners[1] = "Y";
  anew.owners[2] = "Z";
  anew.replica = "";
  anew.epochs = {{"X", 0}, {"Y", 0}, {"Z", 0}};
  EXPECT_FALSE(AgreeAfter(cluster_, {anew.SeenBy("X")}, 3).topology.has_value());
  EXPECT_EQ(OwnerOf(AgreeAfter(cluster_, {anew.SeenBy("X"), anew.SeenBy("Y")}, 3), 0), "X");
}

TEST_F(AgreementTest, ASlotThatNobodyClaimsHasNoOwner) {
  Cluster hole = cluster_;
  hole.owners[1] = "";
  const Agreement agreement = AgreeAfter(cluster_, {hole.SeenBy("P"), hole.SeenBy("R")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 5000), "");
  EXPECT_EQ(OwnerOf(agreement, 0), "P");
  EXPECT_EQ(OwnerOf(agreement, 16383), "R");
}

// CLUSTER DELSLOTS and ADDSLOTS move a slot without a new epoch.
TEST_F(AgreementTest, AnOwnerWithALowerEpochIsBelievedWhenTheOldOneHasLetGo) {
  Cluster moved = cluster_;
  moved.owners[2] = "P";
  const Agreement agreement = AgreeAfter(cluster_, {moved.SeenBy("P"), moved.SeenBy("R")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 16383), "P");
}

TEST_F(AgreementTest, AnOwnerThatHasLeftTheClusterLosesItsSlots) {
  Cluster after = cluster_;
  after.owners[2] = "Q";
  after.epochs = {{"P", 1}, {"Q", 2}};
  const Agreement agreement = AgreeAfter(cluster_, {after.SeenBy("P"), after.SeenBy("Q")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 16383), "Q");
  EXPECT_EQ(agreement.topology->nodes().size(), 3u) << "R is forgotten";
}

TEST_F(AgreementTest, TwoChangesThatNoNodeKnowsBothOfAreBothSeen) {
  Cluster other = cluster_;
  other.owners[2] = "Q";
  other.epochs["Q"] = 9;
  const Agreement agreement =
      AgreeAfter(cluster_, {failed_over_.SeenBy("p"), other.SeenBy("Q")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "p");
  EXPECT_EQ(OwnerOf(agreement, 16383), "Q");
}

TEST_F(AgreementTest, ALieAboutTheEpochsOfOthersIsForgottenAtOnce) {
  Cluster lie = cluster_;
  lie.epochs = {{"P", 1'000'000}, {"Q", 1'000'000}, {"R", 1'000'000}};
  Agreement known = AgreeInRounds(KnownFrom(cluster_), {{lie.SeenBy("R"), cluster_.SeenBy("Q")}});
  EXPECT_EQ(known.epochs, (Epochs{{"P", 1}, {"Q", 2}, {"R", 1'000'000}}));
  known = AgreeInRounds(std::move(known), {SeenByAll(failed_over_, {"p", "Q", "R"})});
  EXPECT_EQ(OwnerOf(known, 0), "p");
  EXPECT_EQ(known.epochs, (Epochs{{"p", 4}, {"Q", 2}, {"R", 3}}));
}

TEST_F(AgreementTest, WhoIsHeardAloneRaisesNoEpochThatIsKnown) {
  Cluster lie = cluster_;
  lie.epochs["P"] = 1'000'000;
  EXPECT_EQ(AgreeAfter(cluster_, {lie.SeenBy("R")}, 3).epochs.at("P"), 1u);
  EXPECT_EQ(AgreeAfter(cluster_, {lie.SeenBy("R")}, 1).epochs.at("P"), 1u);
  EXPECT_EQ(AgreeAfter(cluster_, {lie.SeenBy("R"), lie.SeenBy("Q")}, 3).epochs.at("P"), 1'000'000u);
}

TEST_F(AgreementTest, WhoGoesOnLyingAboutAnOldOwnerIsOutvotedByTheNewOne) {
  Cluster lie = cluster_;
  lie.epochs["P"] = 1'000'000;
  const Agreement agreement = AgreeAfter(
      cluster_, {lie.SeenBy("R"), failed_over_.SeenBy("p"), failed_over_.SeenBy("Q")}, 3);
  EXPECT_EQ(OwnerOf(agreement, 0), "p");
}

TEST_F(AgreementTest, AnOwnerThatLiedAboutItselfAndIsGoneIsSucceededWhenMostSaySo) {
  Cluster lie = cluster_;
  lie.epochs["P"] = 1'000'000;
  const std::vector<NodeView> honest = SeenByAll(failed_over_, {"p", "Q", "R"});
  Agreement known = AgreeInRounds(KnownFrom(lie), {honest});
  EXPECT_EQ(OwnerOf(known, 0), "P") << "it is asked first";
  EXPECT_EQ(known.to_ask, (std::vector<NodeAddress>{{"host-P", 6379}}));
  known = AgreeInRounds(std::move(known), {honest});
  EXPECT_EQ(OwnerOf(known, 0), "p");
  EXPECT_EQ(known.epochs.at("p"), 4u);
}

TEST_F(AgreementTest, AClusterRestoredWithLowerEpochsIsBelieved) {
  Cluster old = cluster_;
  old.epochs = {{"P", 71}, {"Q", 72}, {"R", 73}};
  Agreement known = AgreeInRounds(KnownFrom(old), {SeenByAll(cluster_, {"P", "Q", "R"})});
  EXPECT_EQ(known.epochs, (Epochs{{"P", 1}, {"Q", 2}, {"R", 3}})) << "their own words";
  known = AgreeInRounds(KnownFrom(old), {SeenByAll(cluster_, {"p", "Q"})});
  EXPECT_EQ(known.epochs, (Epochs{{"P", 1}, {"Q", 2}, {"R", 3}})) << "two of three";
  const std::vector<NodeView> moved = SeenByAll(failed_over_, {"p", "Q"});
  EXPECT_EQ(OwnerOf(AgreeInRounds(KnownFrom(old), {moved, moved}), 0), "p");
}

TEST_F(AgreementTest, WhoeverIsBehindEndsNoEpochUnlessMostAreOfOneMind) {
  for (const std::vector<NodeView>& behind :
       {SeenByAll(cluster_, {"P"}), {cluster_.SeenBy("P"), failed_over_.SeenBy("Q")}}) {
    const Agreement known = AgreeInRounds(KnownFrom(failed_over_), {behind, behind, behind});
    EXPECT_EQ(OwnerOf(known, 0), "p");
    EXPECT_EQ(known.epochs.at("p"), 4u);
  }
}

// Two have not heard of the failover yet: the new primary is asked before they are believed.
TEST_F(AgreementTest, TheOwnWordOfANewPrimaryHoldsAgainstMostThatAreBehind) {
  std::vector<NodeView> views = SeenByAll(cluster_, {"P", "Q"});
  Agreement known = AgreeInRounds(KnownFrom(failed_over_), {views});
  EXPECT_EQ(OwnerOf(known, 0), "p");
  EXPECT_EQ(known.to_ask, (std::vector<NodeAddress>{{"host-p", 6379}}));
  views.push_back(failed_over_.SeenBy("p"));
  known = AgreeInRounds(std::move(known), {views});
  EXPECT_EQ(OwnerOf(known, 0), "p");
  EXPECT_EQ(known.epochs.at("p"), 4u);
}

TEST_F(AgreementTest, NodesThatTellNoEpochsAreBelievedAsTheyCome) {
  NodeView moved = failed_over_.SeenBy("");
  moved.epochs.clear();
  const Agreement agreement = AgreeAfter(cluster_, {moved}, 1);
  EXPECT_EQ(OwnerOf(agreement, 0), "p");
}

TEST_F(AgreementTest, TheSameAddressUnderANewIdIsOnePrimary) {
  NodeView renamed = cluster_.SeenBy("N");
  std::vector<Node> nodes = renamed.map.nodes();
  nodes[0].id = "N";
  renamed.map = Topology(nodes, renamed.map.shards(), {{0, 4999, 0}, {5000, 9999, 1}});
  renamed.epochs["N"] = 7;
  const Agreement agreement = AgreeAfter(cluster_, {renamed, cluster_.SeenBy("R")}, 2);
  ASSERT_TRUE(agreement.topology.has_value());
  agreement.topology->CheckInvariants();
  const uint16_t shard = agreement.topology->ShardOfSlot(0);
  EXPECT_EQ(agreement.topology->nodes()[agreement.topology->shards()[shard].primary].address.host,
            "host-P");
}

TEST_F(AgreementTest, APrimaryWithoutSlotsIsKnown) {
  NodeView view = cluster_.SeenBy("P");
  std::vector<Node> nodes = view.map.nodes();
  nodes.push_back(NodeNamed("N", true));
  std::vector<Shard> shards = view.map.shards();
  shards.push_back({static_cast<uint16_t>(nodes.size() - 1), {}});
  view.map = Topology(nodes, shards, {{0, 16383, 0}});
  const Agreement agreement = AgreeAfter(cluster_, {cluster_.SeenBy("Q"), view}, 2);
  EXPECT_EQ(agreement.topology->nodes().size(), 5u);
}

}  // namespace
}  // namespace rcproxy::cluster
