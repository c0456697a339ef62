#include "proxy/node_figures.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace rcproxy::proxy {
namespace {

TEST(NodeFiguresTest, WorkersAreAddedUpAndTheLongestLatencyCounts) {
  Stats workers[2];
  const auto first = workers[0].nodes.Add("10.0.0.1:7000");
  const auto second = workers[1].nodes.Add("10.0.0.1:7000");
  const auto other = workers[1].nodes.Add("10.0.0.2:7000");
  first->latency_ns.Set(300);
  second->latency_ns.Set(200);
  first->failures.Add();
  second->failures.Add(2);
  second->refusals.Add(5);
  other->silences.Add();
  const Stats* const both[] = {&workers[0], &workers[1]};
  const auto figures = FiguresOfNodes(both);
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures.at("10.0.0.1:7000").latency_ns, 300u);
  EXPECT_EQ(figures.at("10.0.0.1:7000").failures, 3u);
  EXPECT_EQ(figures.at("10.0.0.1:7000").refusals, 5u);
  EXPECT_EQ(figures.at("10.0.0.2:7000").silences, 1u);
}

TEST(NodeFiguresTest, ANodeThatHasGoneIsForgotten) {
  Stats worker;
  const Stats* const all[] = {&worker};
  auto gone = worker.nodes.Add("10.0.0.1:7000");
  gone.reset();
  EXPECT_TRUE(FiguresOfNodes(all).empty());
  const auto again = worker.nodes.Add("10.0.0.1:7000");
  EXPECT_EQ(FiguresOfNodes(all).size(), 1u);
}

TEST(NodeFiguresTest, ResettingLeavesTheLatency) {
  Stats worker;
  const Stats* const all[] = {&worker};
  const auto node = worker.nodes.Add("10.0.0.1:7000");
  node->latency_ns.Set(300);
  node->connect_failures.Add(4);
  worker.ResetCounters();
  EXPECT_EQ(FiguresOfNodes(all).at("10.0.0.1:7000").connect_failures, 0u);
  EXPECT_EQ(FiguresOfNodes(all).at("10.0.0.1:7000").latency_ns, 300u);
}

}  // namespace
}  // namespace rcproxy::proxy
