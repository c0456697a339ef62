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
  summary.Add(one);
  SimulatorResult calm;
  calm.commands = 10;
  calm.happenings = {{"kill", 1}};
  summary.Add(calm);
  EXPECT_EQ(summary.Text(),
            "all 2 seeds: 110 commands, 2 errors, 3 faults; seeds without any fault: 1\n"
            "happened: kill 3, restart 1\n"
            "rcproxy: redirects_moved 5\n");
}

}  // namespace
}  // namespace rcproxy::sim
