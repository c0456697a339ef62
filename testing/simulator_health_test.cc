#include "testing/simulator_health.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/sim_proxy.h"
#include "testing/sim_schedule.h"

namespace rcproxy::sim {
namespace {

class SimulatorHealthTest : public ::testing::Test {
 protected:
  SimulatorHealthTest() {
    world_.cluster().AssignSlots(0, 8191, a_);
    world_.cluster().AssignSlots(8192, 16383, b_);
    world_.subject_options().settings["hold_timeout_ms"] = "5";
    EXPECT_TRUE(world_.StartSubject());
    EXPECT_TRUE(world_.RunUntil([this] { return world_.subject().IsReady(); }, kSecond));
  }
  std::string Await(int64_t timeout_ns) {
    std::string problem;
    world_.RunUntil(
        [&] {
          if (problem.empty()) problem = health_.Step();
          return health_.all_served() || !problem.empty();
        },
        timeout_ns);
    return problem;
  }

  SimWorld world_{1, MakeProxy};
  FakeNode& a_ = world_.cluster().AddPrimary("A");
  FakeNode& b_ = world_.cluster().AddPrimary("B");
  SimulatorHealth health_{world_};
};

TEST_F(SimulatorHealthTest, AWellClusterIsServedAtOnce) {
  EXPECT_FALSE(health_.all_served());
  health_.Begin();
  EXPECT_EQ(Await(kSecond), "");
  ASSERT_TRUE(health_.all_served());
  EXPECT_LT(health_.slowest_ns(), 5 * kMillisecond);
  health_.Leave();
}

TEST_F(SimulatorHealthTest, TheShardThatIsLateIsNamed) {
  b_.SetPaused(true);
  world_.schedule().After(30 * kMillisecond, [this] { b_.SetPaused(false); });
  health_.Begin();
  EXPECT_EQ(Await(kSecond), "");
  ASSERT_TRUE(health_.all_served());
  EXPECT_GE(health_.slowest_ns(), 30 * kMillisecond);
  EXPECT_EQ(health_.slowest(), "shard 1 (127.0.0.1:7001) after 30 ms;");
  health_.Leave();
}

TEST_F(SimulatorHealthTest, WhatIsRefusedIsAskedAgain) {
  a_.SetLoading(true);
  world_.schedule().After(30 * kMillisecond, [this] { a_.SetLoading(false); });
  health_.Begin();
  EXPECT_EQ(Await(kSecond), "");
  ASSERT_TRUE(health_.all_served());
  EXPECT_GE(health_.slowest_ns(), 30 * kMillisecond);
  EXPECT_NE(health_.slowest().find("shard 0"), std::string::npos);
  EXPECT_NE(health_.slowest().find("-LOADING"), std::string::npos) << health_.slowest();
  health_.Leave();
}

TEST_F(SimulatorHealthTest, AnErrorThatIsNotForClientsIsAProblem) {
  a_.FailNext("-ERR what nobody expects");
  health_.Begin();
  EXPECT_NE(Await(kSecond).find("the probe of shard 0 was answered"), std::string::npos);
  health_.Leave();
}

}  // namespace
}  // namespace rcproxy::sim
