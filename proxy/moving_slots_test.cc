#include "proxy/moving_slots.h"

#include <gtest/gtest.h>

#include "uring/timer_queue.h"

namespace rcproxy::proxy {
namespace {

constexpr int64_t kPeriod = MovingSlots::kPeriodNs;

TEST(MovingSlotsTest, ASlotCountsAsMovingForAtLeastOnePeriodAfterTheLastSign) {
  uring::TimerQueue timers;
  MovingSlots slots(timers);
  EXPECT_FALSE(slots.Has(7));
  slots.Note(7, 100);
  EXPECT_TRUE(slots.Has(7));
  EXPECT_FALSE(slots.Has(8));
  timers.RunExpired(100 + kPeriod - 1);
  slots.Note(8, 100 + kPeriod - 1);
  timers.RunExpired(100 + kPeriod);
  EXPECT_TRUE(slots.Has(7));
  EXPECT_TRUE(slots.Has(8));
  slots.Note(8, 101 + kPeriod);
  timers.RunExpired(100 + 2 * kPeriod);
  EXPECT_FALSE(slots.Has(7));
  EXPECT_TRUE(slots.Has(8));
}

TEST(MovingSlotsTest, NoTimerRunsWhenNothingMoves) {
  uring::TimerQueue timers;
  MovingSlots slots(timers);
  slots.Note(16383, 100);
  timers.RunExpired(100 + kPeriod);
  EXPECT_EQ(timers.size(), 1u);
  timers.RunExpired(100 + 2 * kPeriod);
  EXPECT_EQ(timers.size(), 0u);
  EXPECT_FALSE(slots.Has(16383));
}

}  // namespace
}  // namespace rcproxy::proxy
