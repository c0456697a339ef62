#include "testing/simulator_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/sim_proxy.h"

namespace rcproxy::sim {
namespace {

class SimulatorCacheTest : public ::testing::TestWithParam<int> {
 protected:
  SimulatorCacheTest() {
    world_.cluster().AssignSlots(0, 16383, node_);
    node_.store().Put("k", "old");
    EXPECT_TRUE(world_.StartSubject());
    EXPECT_TRUE(world_.RunUntil([this] { return world_.subject().IsReady(); }, kSecond));
  }
  void ReadAll(SimulatorCache* cache) {
    cache->ReadAll();
    Settle(cache);
    EXPECT_TRUE(cache->answered());
  }
  void Settle(SimulatorCache* cache) {
    world_.RunFor(kSecond);
    EXPECT_EQ(cache->TakeReplies(), "");
  }
  SimulatorCache::Mode Mode() const { return static_cast<SimulatorCache::Mode>(GetParam()); }

  SimWorld world_{1, MakeProxy};
  FakeNode& node_ = world_.cluster().AddPrimary("A");
};

TEST_P(SimulatorCacheTest, WhatItIsToldOfIsNotOld) {
  SimulatorCache cache(0, Mode(), {"k"}, world_);
  ReadAll(&cache);
  EXPECT_EQ(cache.CheckValues(), "");
  node_.store().Put("k", "new");
  Settle(&cache);
  EXPECT_EQ(cache.CheckValues(), "");
  cache.Leave();
}

TEST_P(SimulatorCacheTest, AValueThatChangedUnheardIsFound) {
  SimulatorCache cache(0, Mode(), {"k"}, world_);
  ReadAll(&cache);
  FakeStore changed;
  changed.Put("k", "new");
  node_.store().CopyFrom(changed);
  Settle(&cache);
  EXPECT_NE(cache.CheckValues().find("keeps k"), std::string::npos);
  cache.Leave();
}

INSTANTIATE_TEST_SUITE_P(AllModes, SimulatorCacheTest, ::testing::Range(0, SimulatorCache::kModes));

}  // namespace
}  // namespace rcproxy::sim
