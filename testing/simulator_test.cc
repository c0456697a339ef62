// A bounded number of seeds for every build; `bazel run //testing:simulate` tries as many as
// wanted.
#include "testing/simulator.h"

#include <gtest/gtest.h>

#include "testing/sim_proxy.h"
#include "testing/sim_schedule.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kDurationNs = 800 * kMillisecond;
constexpr uint64_t kFirstSeed = 1;
constexpr uint64_t kSeeds = 25;  // Twenty seconds with sanitizers on a busy machine.

void RunSeed(uint64_t seed) {
  const SimulatorResult result = Simulator(seed, kDurationNs, MakeProxy).Run();
  EXPECT_EQ(result.problem, "") << result.history << result.setting
                                << "\nrepeat: bazel run //testing:simulate -- --seed=" << seed
                                << " --duration_ms=" << kDurationNs / kMillisecond;
  EXPECT_GT(result.commands, 0u);
}

TEST(SimulatorTest, AllRulesHold) {
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + kSeeds && !::testing::Test::HasFailure();
       ++seed) {
    RunSeed(seed);
  }
}

TEST(SimulatorTest, TheSameSeedGivesTheSameRun) {
  const SimulatorResult one = Simulator(7, kDurationNs, MakeProxy).Run();
  const SimulatorResult two = Simulator(7, kDurationNs, MakeProxy).Run();
  EXPECT_EQ(one.commands, two.commands);
  EXPECT_EQ(one.errors, two.errors);
  EXPECT_EQ(one.history, two.history);
}

}  // namespace
}  // namespace rcproxy::sim
