#include "uring/timer_queue.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::uring {
namespace {

// A timer that calls a function.
struct TestTimer {
  TestTimer(TimerQueue& queue, std::function<void()> function)
      : run(std::move(function)), timer(queue, &Call, this) {}
  static void Call(void* argument) { static_cast<TestTimer*>(argument)->run(); }
  std::function<void()> run;
  Timer timer;
};

TEST(TimerQueueTest, RunsWhatIsDueInOrderOfTime) {
  TimerQueue queue;
  std::vector<int> ran;
  TestTimer late(queue, [&] { ran.push_back(30); });
  TestTimer early(queue, [&] { ran.push_back(10); });
  TestTimer middle(queue, [&] { ran.push_back(20); });
  EXPECT_EQ(queue.NextDeadlineNs(), TimerQueue::kNever);
  late.timer.Arm(30);
  early.timer.Arm(10);
  middle.timer.Arm(20);
  EXPECT_EQ(queue.NextDeadlineNs(), 10);
  EXPECT_EQ(queue.RunExpired(9), 0u);
  EXPECT_EQ(queue.RunExpired(20), 2u);
  EXPECT_EQ(ran, (std::vector<int>{10, 20}));
  EXPECT_FALSE(early.timer.armed());
  EXPECT_TRUE(late.timer.armed());
  EXPECT_EQ(queue.RunExpired(30), 1u);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueueTest, RearmingMovesAndDisarmingRemoves) {
  TimerQueue queue;
  int ran = 0;
  TestTimer one(queue, [&] { ++ran; });
  one.timer.Arm(10);
  one.timer.Arm(50);
  EXPECT_EQ(one.timer.deadline_ns(), 50);
  EXPECT_EQ(queue.RunExpired(49), 0u);
  one.timer.Disarm();
  one.timer.Disarm();
  EXPECT_EQ(queue.RunExpired(100), 0u);
  EXPECT_EQ(ran, 0);
}

TEST(TimerQueueTest, DestructionDisarms) {
  TimerQueue queue;
  {
    TestTimer one(queue, [] { FAIL(); });
    one.timer.Arm(1);
  }
  EXPECT_EQ(queue.RunExpired(10), 0u);
}

TEST(TimerQueueTest, ATimerThatRearmsForThePastRunsOncePerRound) {
  TimerQueue queue;
  int ran = 0;
  int other_ran = 0;
  TestTimer eager(queue, [] {});
  eager.run = [&] {
    ++ran;
    eager.timer.Arm(0);
  };
  TestTimer other(queue, [&] { ++other_ran; });
  eager.timer.Arm(0);
  other.timer.Arm(5);
  EXPECT_EQ(queue.RunExpired(10), 2u);
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(other_ran, 1);
  EXPECT_EQ(queue.RunExpired(11), 1u);
  EXPECT_EQ(ran, 2);
}

TEST(TimerQueueTest, ACallbackMayDestroyItsTimerAndOthers) {
  TimerQueue queue;
  std::unique_ptr<TestTimer> first;
  std::unique_ptr<TestTimer> second = std::make_unique<TestTimer>(queue, [] { FAIL(); });
  first = std::make_unique<TestTimer>(queue, [&] {
    second.reset();
    // Moved out first: the function object must survive its own end.
    auto keep = std::move(first->run);
    first.reset();
  });
  first->timer.Arm(1);
  second->timer.Arm(2);
  EXPECT_EQ(queue.RunExpired(10), 1u);
  EXPECT_EQ(queue.size(), 0u);
}

// Against a multimap: the same timers are due at the same times, whatever was armed and disarmed.
TEST(TimerQueueTest, BehavesLikeAMultimap) {
  const uint32_t seed = 4711;
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  TimerQueue queue;
  constexpr size_t kTimers = 100;
  std::vector<std::unique_ptr<TestTimer>> timers;
  std::vector<int> fired(kTimers, 0);
  for (size_t i = 0; i < kTimers; ++i) {
    timers.push_back(std::make_unique<TestTimer>(queue, [&fired, i] { ++fired[i]; }));
  }
  std::multimap<int64_t, size_t> model;
  const auto forget = [&](size_t i) {
    std::erase_if(model, [i](const auto& entry) { return entry.second == i; });
  };
  std::vector<int> expected(kTimers, 0);
  int64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    const size_t i = random() % kTimers;
    const uint32_t choice = random() % 8;
    if (choice < 5) {
      forget(i);
      const int64_t deadline = now + static_cast<int64_t>(random() % 100);
      timers[i]->timer.Arm(deadline);
      model.emplace(deadline, i);
    } else if (choice < 7) {
      forget(i);
      timers[i]->timer.Disarm();
    } else {
      now += static_cast<int64_t>(random() % 10);
      queue.RunExpired(now);
      while (!model.empty() && model.begin()->first <= now) {
        ++expected[model.begin()->second];
        model.erase(model.begin());
      }
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.NextDeadlineNs(), model.empty() ? TimerQueue::kNever : model.begin()->first);
    if (step % 50 == 0) queue.CheckInvariants();
  }
  EXPECT_EQ(fired, expected);
}

}  // namespace
}  // namespace rcproxy::uring
