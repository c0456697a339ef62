#include "testing/sim_schedule.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rcproxy::sim {
namespace {

TEST(SimScheduleTest, RunsActionsInOrderOfTime) {
  SimSchedule schedule(1);
  std::string order;
  schedule.After(30, [&] { order += 'c'; });
  schedule.After(10, [&] { order += 'a'; });
  schedule.After(20, [&] { order += 'b'; });
  schedule.RunFor(25);
  EXPECT_EQ(order, "ab");
  schedule.RunFor(25);
  EXPECT_EQ(order, "abc");
}

TEST(SimScheduleTest, ActionsOfTheSameTimeRunInAnOrderDrawnFromTheSeed) {
  auto order_of = [](uint64_t seed) {
    SimSchedule schedule(seed);
    std::vector<int> order;
    for (int i = 0; i < 20; ++i) schedule.After(5, [&order, i] { order.push_back(i); });
    schedule.RunFor(5);
    return order;
  };
  EXPECT_EQ(order_of(1), order_of(1));
  EXPECT_NE(order_of(1), order_of(2));
}

TEST(SimScheduleTest, AnActionMayAddAnotherThatIsDueAtOnce) {
  SimSchedule schedule(1);
  int runs = 0;
  schedule.After(1, [&] { schedule.After(0, [&] { ++runs; }); });
  schedule.RunFor(1);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(schedule.NextNs(), SimSchedule::kNever);
}

TEST(SimScheduleTest, TimeNeverGoesBack) {
  SimSchedule schedule(1);
  const int64_t start = schedule.now_ns();
  schedule.AdvanceTo(start + 100);
  schedule.AdvanceTo(start);
  EXPECT_EQ(schedule.now_ns(), start + 100);
  bool ran = false;
  schedule.At(start, [&] { ran = true; });
  schedule.RunDue();
  EXPECT_TRUE(ran);
}

TEST(SimRandomTest, TheSameSeedGivesTheSameNumbers) {
  SimRandom a(7), b(7), c(8);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
  for (int i = 0; i < 1000; ++i) {
    int64_t value = a.Between(-3, 3);
    EXPECT_GE(value, -3);
    EXPECT_LE(value, 3);
    EXPECT_FALSE(a.OneIn(0));
    EXPECT_TRUE(a.OneIn(1));
  }
}

}  // namespace
}  // namespace rcproxy::sim
