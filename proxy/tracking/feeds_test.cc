#include "proxy/tracking/feeds.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/router_for_test.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

class FeedsTest : public ::testing::Test,
                  public RouterForTest,
                  private FeedObserver,
                  private TrackingSink {
 protected:
  FeedsTest() { sim.resources.tracking = this; }
  ~FeedsTest() override {
    needed = false;
    for (UpstreamConnection* link : feeds.Links()) link->Leave();
    sim.RunFor(sim::kSecond);
  }
  // The node's end of the connection that opens next.
  void Open(NodeForTest& node) {
    const std::string greeting = node.Take();
    EXPECT_NE(greeting.find(Multibulk({"CLIENT", "TRACKING", "ON", "BCAST"})), std::string::npos);
    Reply(node, "%0\r\n+OK\r\n");
    EXPECT_EQ(node.Take(), Multibulk({"PING"}));
    Reply(node, "+PONG\r\n");
  }
  UpstreamNode* NodeAt(char name) { return table.NodeAt(AddressOf(name)); }
  bool Tells(char name) { return feeds.Of(NodeAt(name), sim.io.NowNs()) != nullptr; }

  bool needed = true;
  bool all = false;
  int gaps = 0;
  Feeds feeds{sim.resources, table, static_cast<FeedObserver&>(*this)};

 private:
  // FeedObserver
  bool AnybodyNeedsFeeds() const override { return needed; }
  void OnJoined(bool joined) override { all = joined; }
  void OnGap() override { ++gaps; }
  // TrackingSink
  void OnRead(const Request&, std::string_view, UpstreamConnection*) override {}
  void OnPush(UpstreamConnection*, std::string_view) override {}
  void OnClosed(UpstreamConnection* link) override { feeds.OnClosed(&link->node()); }
  void OnOwnerChanged(uint16_t) override {}
  void OnBeginsToMove(uint16_t) override {}
};

TEST_F(FeedsTest, EveryPrimaryIsAskedOnce) {
  feeds.Join();
  Settle();
  for (NodeForTest* node : {&a, &b}) Open(*node);
  EXPECT_TRUE(Tells('A'));
  EXPECT_FALSE(Tells('C'));
  EXPECT_FALSE(all);
  Open(c);
  EXPECT_TRUE(all);
  EXPECT_EQ(feeds.Links().size(), 3u);
  feeds.Join();
  Settle();
  EXPECT_EQ(a.connections(), 1u);
}

TEST_F(FeedsTest, NobodyIsAskedWhenNobodyNeedsIt) {
  needed = false;
  feeds.Join();
  Settle();
  EXPECT_EQ(a.connections(), 0u);
  EXPECT_TRUE(all);
}

TEST_F(FeedsTest, WhatChangedBeforeANodeToldIsNotKnown) {
  feeds.Join();
  Settle();
  const int64_t before_ns = sim.io.NowNs();
  Open(a);
  EXPECT_EQ(gaps, 1);
  EXPECT_EQ(feeds.Of(NodeAt('A'), before_ns), nullptr);
  EXPECT_NE(feeds.Of(NodeAt('A'), sim.io.NowNs()), nullptr);
}

TEST_F(FeedsTest, ALostNodeIsAskedAgain) {
  feeds.Join();
  Settle();
  for (NodeForTest* node : {&a, &b, &c}) Open(*node);
  EXPECT_EQ(gaps, 3);
  a.peer().Reset();
  Settle();
  EXPECT_EQ(gaps, 4);
  EXPECT_FALSE(Tells('A'));
  sim.RunFor(sim::kSecond);
  ASSERT_EQ(a.connections(), 2u);
  EXPECT_FALSE(all);
  Open(a);
  EXPECT_EQ(gaps, 5);
  EXPECT_TRUE(Tells('A'));
  EXPECT_TRUE(all);
}

}  // namespace
}  // namespace rcproxy::proxy
