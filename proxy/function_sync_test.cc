#include "proxy/function_sync.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/router_for_test.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

const std::string kDump = std::string("\0\r\ndump", 7);

// Three primaries have a map; D joins.
class FunctionSyncTest : public testing::Test, public RouterForTest {
 protected:
  FunctionSyncTest() { sync_.OnMap(ThreeShards()); }
  ~FunctionSyncTest() override {
    sync_.Stop();
    for (NodeForTest* node : {&a, &b, &c, &d_}) {
      sim.network.SetConnectMode(node->address(), sim::ConnectMode::kRefuse);
    }
    table.ForEachNode([](UpstreamNode& node) {
      node.ForEachLink([](UpstreamConnection& link) { link.Fail("the test is over"); });
    });
  }

  // D has the slots from 16383 - `slots_of_d` on.
  static cluster::Topology FourPrimaries(uint16_t slots_of_d) {
    const uint16_t last_of_c = static_cast<uint16_t>(16383 - slots_of_d);
    std::vector<cluster::Topology::Range> ranges = {
        {0, 5460, 0}, {5461, 10922, 1}, {10923, last_of_c, 2}};
    if (slots_of_d > 0) ranges.push_back({static_cast<uint16_t>(last_of_c + 1), 16383, 3});
    return cluster::Topology(
        {NodeNamed('A', true), NodeNamed('B', true), NodeNamed('C', true), NodeNamed('D', true)},
        {{0, {}}, {1, {}}, {2, {}}, {3, {}}}, ranges);
  }
  void Adopt(const cluster::Topology& topology) {
    table.Adopt(topology);
    sync_.OnMap(topology);
    Settle();
  }
  static std::string Stats(int libraries) {
    return "*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*4\r\n$3\r\nLUA\r\n*4\r\n"
           "$15\r\nlibraries_count\r\n:" +
           std::to_string(libraries) +
           "\r\n$15\r\nfunctions_count\r\n:9\r\n$2\r\nJS\r\n*4\r\n$15\r\nlibraries_count\r\n:0\r\n"
           "$15\r\nfunctions_count\r\n:0\r\n";
  }
  // Every node is asked, and answers how many libraries it has; -1: with an error.
  void Count(int of_a, int of_b, int of_c, int of_d) {
    const std::vector<std::pair<NodeForTest*, int>> answers = {
        {&a, of_a}, {&b, of_b}, {&c, of_c}, {&d_, of_d}};
    for (const auto& [node, libraries] : answers) EXPECT_EQ(node->Take(), Wire("FUNCTION STATS"));
    for (const auto& [node, libraries] : answers) {
      Reply(*node, libraries < 0 ? "-NOPERM no\r\n" : Stats(libraries));
    }
  }
  void ExpectQuiet() {
    sim.RunFor(3 * kSecond);
    for (NodeForTest* node : {&a, &b, &c, &d_}) EXPECT_FALSE(node->HasInput()) << node->address();
  }

  NodeForTest d_{sim.network, "10.0.0.4:7000"};
  FunctionSync sync_{sim.resources, table, router};
  const std::string restore_ = Multibulk({"FUNCTION", "RESTORE", kDump, "APPEND"});
};

TEST_F(FunctionSyncTest, ANewPrimaryGetsWhatTheOthersHave) {
  Adopt(FourPrimaries(0));
  Count(1, 2, -1, 0);
  EXPECT_EQ(b.Take(), Wire("FUNCTION DUMP")) << "the one that has most";
  Reply(b, Bulk(kDump));
  EXPECT_EQ(d_.Take(), restore_);
  Reply(d_, "+OK\r\n");
  EXPECT_EQ(sim.stats.functions_restored.value(), 1u);
  EXPECT_EQ(sim.stats.function_restore_failures.value(), 0u);
  Adopt(FourPrimaries(0));
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, ItIsAskedAgainWhenItOwnsItsFirstSlots) {
  Adopt(FourPrimaries(0));
  Count(0, 0, 0, 0);
  ExpectQuiet();
  Adopt(FourPrimaries(1));
  Count(1, 1, 1, 1);
  ExpectQuiet();
  Adopt(FourPrimaries(2));
  ExpectQuiet();
  EXPECT_EQ(sim.stats.functions_restored.value(), 0u);
}

TEST_F(FunctionSyncTest, WhoHasSomeIsLeftAsItIs) {
  Adopt(FourPrimaries(1));
  Count(5, 5, 5, 1);
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, WhoWasThereBeforeIsNotNew) {
  Adopt(ThreeShards());
  ExpectQuiet();
  // D is a replica first, which its primary gives its functions.
  Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('D', false)}, {{0, {1}}},
                          {{0, 16383, 0}}));
  Adopt(cluster::Topology({NodeNamed('A', false), NodeNamed('D', true)}, {{1, {0}}},
                          {{0, 16383, 0}}));
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, ALostConnectionMakesAnotherRound) {
  Adopt(FourPrimaries(0));
  for (NodeForTest* node : {&a, &b, &c, &d_}) node->Take();
  d_.peer().Close();
  for (NodeForTest* node : {&a, &b, &c}) Reply(*node, Stats(1));
  sim.RunFor(2 * kSecond);
  Count(1, 1, 1, 0);
  a.Take();
  a.peer().Close();
  sim.RunFor(2 * kSecond);
  Count(0, 1, 0, 0);
  EXPECT_EQ(b.Take(), Wire("FUNCTION DUMP"));
  Reply(b, Bulk(kDump));
  d_.Take();
  d_.peer().Close();
  sim.RunFor(2 * kSecond);
  Count(0, 1, 0, 0);
  EXPECT_EQ(b.Take(), Wire("FUNCTION DUMP"));
  Reply(b, Bulk(kDump));
  EXPECT_EQ(d_.Take(), restore_);
  Reply(d_, "+OK\r\n");
  EXPECT_EQ(sim.stats.functions_restored.value(), 1u);
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, WhileWhoMayHaveThemDoesNotAnswerTheyAreAwaited) {
  Adopt(FourPrimaries(0));
  for (NodeForTest* node : {&a, &b, &c, &d_}) node->Take();
  a.peer().Close();
  for (NodeForTest* node : {&b, &c, &d_}) Reply(*node, Stats(0));
  sim.RunFor(2 * kSecond);
  Count(1, 0, 0, 0);
  EXPECT_EQ(a.Take(), Wire("FUNCTION DUMP"));
  Reply(a, Bulk(kDump));
  EXPECT_EQ(d_.Take(), restore_);
  Reply(d_, "+OK\r\n");
}

TEST_F(FunctionSyncTest, WhatIsRefusedIsNotAskedAgain) {
  Adopt(FourPrimaries(0));
  Count(1, 1, 1, 0);
  Reply(a, Bulk(kDump));
  Reply(d_, "-NOPERM no\r\n");
  EXPECT_EQ(sim.stats.function_restore_failures.value(), 1u);
  d_.Take();
  a.Take();
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, ADumpThatCannotBeHadIsAFailure) {
  Adopt(FourPrimaries(0));
  Count(1, 1, 1, 0);
  Reply(a, "-NOPERM no\r\n");
  EXPECT_EQ(sim.stats.function_restore_failures.value(), 1u);
  a.Take();
  ExpectQuiet();
}

TEST_F(FunctionSyncTest, AnotherProxyMayBeFaster) {
  Adopt(FourPrimaries(0));
  Count(1, 1, 1, 0);
  Reply(a, Bulk(kDump));
  Reply(d_, "-ERR Library mylib already exists\r\n");
  EXPECT_EQ(sim.stats.functions_restored.value(), 0u);
  EXPECT_EQ(sim.stats.function_restore_failures.value(), 0u);
}

TEST_F(FunctionSyncTest, OnlySoManyBytesAreGiven) {
  sim.config.function_bytes_max = kDump.size() - 1;
  Adopt(FourPrimaries(0));
  Count(1, 1, 1, 0);
  Reply(a, Bulk(kDump));
  EXPECT_FALSE(d_.HasInput());
  EXPECT_EQ(sim.stats.function_restore_failures.value(), 1u);
}

TEST_F(FunctionSyncTest, ItCanBeSwitchedOff) {
  sim.config.function_bytes_max = 0;
  Adopt(FourPrimaries(0));
  ExpectQuiet();
}

}  // namespace
}  // namespace rcproxy::proxy
