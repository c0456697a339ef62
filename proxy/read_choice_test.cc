#include "proxy/read_choice.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "cluster/topology.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

// A is the primary of all slots, B and C are its replicas.
class ReadChoiceTest : public testing::Test, public RouterForTest {
 protected:
  ReadChoiceTest() {
    table.Adopt(
        cluster::Topology({NodeNamed('A', true), NodeNamed('B', false), NodeNamed('C', false)},
                          {{0, {1, 2}}}, {{0, 16383, 0}}));
  }
  UpstreamNode& Node(char name) { return *table.NodeAt(AddressOf(name)); }
  void Lose(char name) { Node(name).OnConnectFailed(); }
  // The letter of the node that serves the next read; '-' when nobody does.
  char Choose(ReadPreference preference) {
    sim.config.read_prefer = preference;
    UpstreamConnection* link =
        ChooseCopy(sim.config, table.Find(0), {.preference = preference, .at_primary = LinkKind()});
    return link == nullptr ? '-' : NameOf(*link);
  }
  // Likewise for a read that `asked` has.
  char ChooseOther(ReadPreference preference, char asked) {
    sim.config.read_prefer = preference;
    const ReadNeeds needs = {.preference = PreferenceOfReaders(preference),
                             .at_primary = LinkKind(),
                             .except = &Node(asked)};
    UpstreamConnection* link = ChooseOtherCopy(sim.config, table.Find(0), needs);
    return link == nullptr ? '-' : NameOf(*link);
  }
  char NameOf(UpstreamConnection& link) {
    EXPECT_EQ(link.kind().replica_reads, &link.node() != &Node('A'));
    for (const char name : {'A', 'B', 'C'}) {
      if (&link.node() == &Node(name)) return name;
    }
    return '?';
  }
  std::map<char, int> ChooseOften(ReadPreference preference, int times) {
    std::map<char, int> chosen;
    for (int i = 0; i < times; ++i) ++chosen[Choose(preference)];
    return chosen;
  }
  void Load(char name, int requests) {
    UpstreamConnection& link = Node(name).link({.replica_reads = name != 'A'});
    for (int i = 0; i < requests; ++i) {
      Request* request = sim.resources.NewRequest();
      request->sink = Request::Sink::kIgnore;
      request->issued_ns = sim.io.NowNs();
      std::memcpy(link.Accept(request, 14), "*1\r\n$4\r\nPING\r\n", 14);
    }
    Settle();
    NodeForTest& node = name == 'A' ? a : name == 'B' ? b : c;
    if (link.state() == UpstreamConnection::State::kReady) return;
    if (name != 'A') Reply(node, "+OK\r\n");  // READONLY
  }
};

using Counts = std::map<char, int>;

TEST_F(ReadChoiceTest, EachPreferenceHasItsOrder) {
  EXPECT_EQ(Choose(ReadPreference::kPrimary), '-') << "left to the router";
  EXPECT_EQ(ChooseOften(ReadPreference::kPreferPrimary, 4), (Counts{{'A', 4}}));
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 4), (Counts{{'B', 2}, {'C', 2}}));
  EXPECT_EQ(ChooseOften(ReadPreference::kPreferReplica, 4), (Counts{{'B', 2}, {'C', 2}}));
  EXPECT_EQ(ChooseOften(ReadPreference::kAny, 6), (Counts{{'A', 2}, {'B', 2}, {'C', 2}}));
}

TEST_F(ReadChoiceTest, AnotherCopyIsNeverTheOneThatWasAsked) {
  for (int turn = 0; turn < 4; ++turn) {
    EXPECT_EQ(ChooseOther(ReadPreference::kReplica, 'B'), 'C');
    EXPECT_EQ(ChooseOther(ReadPreference::kPreferReplica, 'C'), 'B');
    EXPECT_EQ(ChooseOther(ReadPreference::kPrimary, 'C'), 'B') << "the client has said READONLY";
    EXPECT_EQ(ChooseOther(ReadPreference::kPreferPrimary, 'C'), 'A');
    EXPECT_NE(ChooseOther(ReadPreference::kPreferPrimary, 'A'), 'A');
    EXPECT_NE(ChooseOther(ReadPreference::kAny, 'B'), 'B');
    EXPECT_NE(ChooseOther(ReadPreference::kNearest, 'A'), 'A');
  }
}

TEST_F(ReadChoiceTest, WhereNoOtherReplicaIsLeftThePrimaryIsAnotherCopyUnlessItNeverServes) {
  Lose('B');
  EXPECT_EQ(ChooseOther(ReadPreference::kPreferReplica, 'C'), 'A');
  EXPECT_EQ(ChooseOther(ReadPreference::kAny, 'C'), 'A');
  EXPECT_EQ(ChooseOther(ReadPreference::kReplica, 'C'), '-');
  Lose('A');
  EXPECT_EQ(ChooseOther(ReadPreference::kPreferReplica, 'C'), '-');
  EXPECT_EQ(ChooseOther(ReadPreference::kPreferPrimary, 'C'), '-');
}

TEST_F(ReadChoiceTest, WhoCannotBeReachedIsNotChosen) {
  Lose('B');
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 4), (Counts{{'C', 4}}));
  EXPECT_EQ(ChooseOften(ReadPreference::kAny, 30).count('B'), 0u);
  Lose('A');
  EXPECT_EQ(Choose(ReadPreference::kPreferPrimary), 'C');
  Lose('C');
  for (const auto preference : {ReadPreference::kReplica, ReadPreference::kAny,
                                ReadPreference::kNearest, ReadPreference::kPreferPrimary})
    EXPECT_EQ(Choose(preference), '-');
}

TEST_F(ReadChoiceTest, WhoIsLeftOutIsChosenAgainAfterASecond) {
  Node('B').LeaveOut();
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 4), (Counts{{'C', 4}}));
  sim.RunFor(sim::kSecond);
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 4), (Counts{{'B', 2}, {'C', 2}}));
}

TEST_F(ReadChoiceTest, WhoHasLessToDoIsChosen) {
  Load('B', 3);
  ASSERT_EQ(Node('B').link({.replica_reads = true}).in_flight(), 3u);
  Choose(ReadPreference::kReplica);  // Turn 0 is a trial.
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 8), (Counts{{'C', 8}}));
  Reply(b, "+PONG\r\n+PONG\r\n+PONG\r\n");
  EXPECT_EQ(Node('B').link({.replica_reads = true}).in_flight(), 0u);
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 8), (Counts{{'B', 4}, {'C', 4}}));
}

TEST_F(ReadChoiceTest, TheNearestAnswersSoonest) {
  for (int i = 0; i < 50; ++i) {
    Node('A').NoteLatency(3'000'000);
    Node('B').NoteLatency(1'000'000);
    Node('C').NoteLatency(2'000'000);
  }
  Choose(ReadPreference::kNearest);
  EXPECT_EQ(ChooseOften(ReadPreference::kNearest, 63), (Counts{{'B', 63}}));
  const Counts many = ChooseOften(ReadPreference::kNearest, 64 * 30);
  EXPECT_GE(many.at('A'), 9) << "others are tried now and then";
  EXPECT_GE(many.at('C'), 9);
  EXPECT_GT(many.at('B'), 64 * 29);
  Load('B', 2);
  EXPECT_EQ(Choose(ReadPreference::kNearest), 'C') << "two more there take longer";
}

TEST_F(ReadChoiceTest, LatencyIsMeasured) {
  Load('B', 1);
  const int64_t before = Node('B').latency_ns();
  sim.RunFor(80 * sim::kMillisecond);
  Reply(b, "+PONG\r\n");
  EXPECT_GE(Node('B').latency_ns(), before + 9 * sim::kMillisecond);
  EXPECT_LE(Node('B').latency_ns(), before + 12 * sim::kMillisecond);
}

TEST_F(ReadChoiceTest, TheZoneComesFirstUntilItHasEnoughToDo) {
  sim.config.zone_spill_requests = 3;
  Node('C').set_in_zone(true);
  EXPECT_EQ(ChooseOften(ReadPreference::kReplica, 4), (Counts{{'C', 4}}));
  Load('C', 2);
  EXPECT_EQ(ChooseOften(ReadPreference::kAny, 4), (Counts{{'C', 4}}));
  Load('C', 1);
  EXPECT_EQ(Choose(ReadPreference::kReplica), 'B');
  Lose('B');
  EXPECT_EQ(Choose(ReadPreference::kReplica), 'C') << "rather than nobody";
}

// Both are asked for the same read, of which the nearest copy is at another node than the next.
TEST_F(ReadChoiceTest, ClientsOfTheReplicaAddressHaveAPolicyOfTheirOwn) {
  sim.config.read_prefer = ReadPreference::kReplica;
  sim.config.replica_read_prefer = ReadPreference::kNearest;
  for (int i = 0; i < 50; ++i) {
    Node('A').NoteLatency(1'000'000);
    Node('B').NoteLatency(3'000'000);
    Node('C').NoteLatency(3'000'000);
  }
  ClientForTest reader{sim.resources};
  client.replies.SetNeeds(LinkNeeds{.prefers_replica = true});
  reader.replies.SetNeeds(LinkNeeds{.prefers_replica = true, .is_reader = true});
  SendNow("GET b");  // Turn 0 is a trial.
  for (NodeForTest* node : {&a, &b, &c}) {
    if (node->HasInput()) Reply(*node, node == &a ? "$-1\r\n" : "+OK\r\n$-1\r\n");
    node->Take();
  }
  Send(&reader, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b"));
  SendNow("GET b");
  EXPECT_EQ(a.Take(), "");
}

TEST(PreferenceOfReadersTest, ReadonlyMeansReplicasFirst) {
  EXPECT_EQ(PreferenceOfReaders(ReadPreference::kPrimary), ReadPreference::kPreferReplica);
  EXPECT_EQ(PreferenceOfReaders(ReadPreference::kNearest), ReadPreference::kNearest);
}

}  // namespace
}  // namespace rcproxy::proxy
