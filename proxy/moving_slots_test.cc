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

TEST(MovingSlotsTest, TheTargetIsKnownAsLongAsTheSlotMoves) {
  uring::TimerQueue timers;
  MovingSlots slots(timers);
  slots.Note(7, 100);
  EXPECT_EQ(slots.Target(7), nullptr);
  slots.NoteTarget(7, {"10.0.0.2", 7000}, 100);
  slots.NoteTarget(8, {"10.0.0.3", 7000}, 100);
  ASSERT_NE(slots.Target(7), nullptr);
  EXPECT_EQ(slots.Target(7)->host, "10.0.0.2");
  timers.RunExpired(100 + kPeriod);
  slots.Note(8, 100 + kPeriod);
  timers.RunExpired(100 + 2 * kPeriod);
  EXPECT_EQ(slots.Target(7), nullptr);
  EXPECT_NE(slots.Target(8), nullptr);
  timers.RunExpired(100 + 4 * kPeriod);
  EXPECT_EQ(slots.Target(8), nullptr);
}

TEST(MovingSlotsTest, KnowsForHowLongASlotHasAnsweredTryAgain) {
  uring::TimerQueue timers;
  MovingSlots slots(timers);
  EXPECT_EQ(slots.TryAgainNs(7, 100), 0);
  slots.Note(7, 100);
  EXPECT_EQ(slots.TryAgainNs(7, 200), 0) << "it moves, but in another way";
  slots.NoteTryAgain(7, 300);
  slots.NoteTryAgain(7, 400);
  EXPECT_EQ(slots.TryAgainNs(7, 500), 200);
  timers.RunExpired(100 + kPeriod);
  slots.Note(7, 200 + kPeriod);
  timers.RunExpired(100 + 2 * kPeriod);
  EXPECT_EQ(slots.TryAgainNs(7, 300 + 2 * kPeriod), 2 * kPeriod) << "it moves still";
  timers.RunExpired(100 + 4 * kPeriod);
  EXPECT_EQ(slots.TryAgainNs(7, 100 + 4 * kPeriod), 0);
}

TEST(MovingSlotsTest, WhatIsNoSlotDoesNotMove) {
  uring::TimerQueue timers;
  MovingSlots slots(timers);
  slots.NoteTryAgain(0xffff, 100);
  EXPECT_FALSE(slots.HasAny());
  EXPECT_EQ(slots.TryAgainNs(0xffff, 200), 0);
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
