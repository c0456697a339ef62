#include "testing/simulator_summary.h"

#include <gtest/gtest.h>

namespace rcproxy::sim {
namespace {

TEST(SweepSummaryTest, AddsUpWhatSeedsTell) {
  SweepSummary summary;
  SimulatorResult one;
  one.commands = 100;
  one.errors = 2;
  one.faults = 3;
  one.happenings = {{"kill", 2}, {"restart", 1}};
  one.counters = {{"redirects_moved", 5}};
  summary.Add(1, one);
  SimulatorResult calm;
  calm.commands = 10;
  calm.happenings = {{"kill", 1}};
  summary.Add(2, calm);
  EXPECT_EQ(summary.Text(),
            "all 2 seeds: 110 commands, 2 errors, 3 faults; seeds without any fault: 1\n"
            "happened: kill 3, restart 1\n"
            "rcproxy: redirects_moved 5\n"
            "healthy again: 0 seeds\n"
            "replies after the time limit: 0 seeds\n");
}

TEST(SweepSummaryTest, NamesTheSlowestSeeds) {
  SweepSummary summary;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SimulatorResult result;
    result.healthy_after_ns = static_cast<int64_t>(seed) * kMillisecond;
    result.last_healthy = "shard 1";
    summary.Add(seed, result);
  }
  const std::string text = summary.Text();
  EXPECT_NE(text.find("healthy again: 100 seeds, 50 %: 50 ms, 99 %: 99 ms, 100 %: 100 ms\n"
                      "  seed 100: 100 ms, shard 1\n  seed 99: 99 ms, shard 1\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("seed 95"), std::string::npos) << text;
}

}  // namespace
}  // namespace rcproxy::sim
