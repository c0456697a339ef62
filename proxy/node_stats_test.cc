#include "proxy/node_stats.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;

class NodeStatsTest : public testing::Test, public RouterForTest {
 protected:
  NodeStatsTest() { OpenAll(); }

  UpstreamNode& NodeA() { return *table.NodeAt(AddressOf('A')); }
};

TEST_F(NodeStatsTest, TheFirstOfTheRepliesThatComeTogetherIsASampleOfTheLatency) {
  const int64_t before = NodeA().latency_ns();
  SendNow("GET b");
  sim.RunFor(80 * kMillisecond);
  SendNow("GET b");
  Reply(a, "$1\r\nv\r\n$1\r\nv\r\n");
  EXPECT_GE(NodeA().latency_ns(), before + 9 * kMillisecond);
  EXPECT_LE(NodeA().latency_ns(), before + 12 * kMillisecond);
}

TEST_F(NodeStatsTest, WhatHasWaitedForAnotherReasonIsNoSample) {
  Reply(a, "");
  SendNow("GET b");
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  const int64_t before = NodeA().latency_ns();
  sim.RunUntil([this] { return a.HasInput(); });
  sim.RunFor(400 * kMillisecond);
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
  EXPECT_EQ(NodeA().latency_ns(), before);
}

TEST_F(NodeStatsTest, FailuresAreCountedForTheNode) {
  SendNow("GET b");
  a.Take();
  Reply(a, "-LOADING Redis is loading the dataset in memory\r\n");
  EXPECT_EQ(NodeA().stats().refusals.value(), 1u);
  sim.network.SetConnectMode(a.address(), sim::ConnectMode::kRefuse);
  a.peer().Close();
  sim.RunFor(200 * kMillisecond);
  EXPECT_EQ(NodeA().stats().failures.value(), 1u);
  EXPECT_GE(NodeA().stats().connect_failures.value(), 1u);
  EXPECT_EQ(NodeA().stats().connect_failures.value(), sim.stats.upstream_connect_failures.value());
  EXPECT_EQ(table.NodeAt(AddressOf('B'))->stats().failures.value(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
