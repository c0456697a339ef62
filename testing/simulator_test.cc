// A bounded number of seeds for every build; `bazel run //testing:simulate` tries as many as
// wanted.
#include "testing/simulator.h"

#include <gtest/gtest.h>

#include "testing/sim_proxy.h"
#include "testing/sim_schedule.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kDurationNs = 800 * kMillisecond;
// Blocks, so that the build can spread them.
constexpr uint64_t kSeedsPerBlock = 25;
#ifdef NDEBUG
constexpr uint64_t kBlocks = 12;
#else
constexpr uint64_t kBlocks = 4;  // With sanitizers a seed takes ten times as long.
#endif

void RunSeed(uint64_t seed) {
  const SimulatorResult result = Simulator(seed, kDurationNs, MakeProxy).Run();
  EXPECT_EQ(result.problem, "") << result.history << result.setting
                                << "\nrepeat: bazel run //testing:simulate -- --seed=" << seed
                                << " --duration_ms=" << kDurationNs / kMillisecond;
  EXPECT_GT(result.commands, 0u);
}

class SimulatorBlockTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SimulatorBlockTest, AllRulesHold) {
  const uint64_t first = 1 + GetParam() * kSeedsPerBlock;
  for (uint64_t seed = first; seed < first + kSeedsPerBlock && !HasFailure(); ++seed) RunSeed(seed);
}

INSTANTIATE_TEST_SUITE_P(Blocks, SimulatorBlockTest, ::testing::Range<uint64_t>(0, kBlocks));

TEST(SimulatorTest, TheSameSeedGivesTheSameRun) {
  const SimulatorResult one = Simulator(7, kDurationNs, MakeProxy).Run();
  const SimulatorResult two = Simulator(7, kDurationNs, MakeProxy).Run();
  EXPECT_EQ(one.commands, two.commands);
  EXPECT_EQ(one.errors, two.errors);
  EXPECT_EQ(one.history, two.history);
  EXPECT_EQ(one.healthy_after_ns, two.healthy_after_ns);
  EXPECT_EQ(one.counters, two.counters);
}

// A sweep that asks for little would pass, too.
TEST(SimulatorTest, MuchHappens) {
  Happenings happenings;
  uint64_t faults = 0;
  constexpr uint64_t kSeeds = 40;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimulatorResult result = Simulator(seed, kDurationNs, MakeProxy).Run();
    faults += result.faults;
    for (const auto& [kind, count] : result.happenings) happenings[kind] += count;
  }
  EXPECT_GT(faults, 10 * kSeeds);
  for (const char* kind :
       {"failover", "garbage", "kill", "lie", "lose the next reply", "migrated", "moved",
        "partition ends", "pause", "reset", "restart", "resume", "takeover", "vanish"}) {
    EXPECT_GT(happenings[kind], 0u) << kind;
  }
}

TEST(SimulatorTest, ALimitThatDoesNotHoldIsFound) {
  const SimulatorLimits limits = {.healthy_within_ns = 1, .reply_slack_ns = 0};
  const SimulatorResult result = Simulator(1, kDurationNs, MakeProxy, limits).Run();
  EXPECT_NE(result.problem.find("not healthy soon enough: shard"), result.problem.npos)
      << result.problem;
}

}  // namespace
}  // namespace rcproxy::sim
