#include "proxy/queue_delay.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

constexpr int64_t kTargetNs = 100;
constexpr int64_t kIntervalNs = QueueDelay::kTargetsPerInterval * kTargetNs;

class QueueDelayTest : public testing::Test {
 protected:
  QueueDelayTest() { delay_.Note(now_ns_, 0, kTargetNs); }
  // Replies for one interval, `count` of them, each after `waited_ns`.
  void Interval(int64_t waited_ns, int count = 10) {
    for (int i = 0; i < count; ++i) {
      now_ns_ += kIntervalNs / count;
      delay_.Note(now_ns_, waited_ns, kTargetNs);
    }
  }

  QueueDelay delay_;
  int64_t now_ns_ = 1'000'000;
};

TEST_F(QueueDelayTest, AQueueThatStandsForAnIntervalIsOne) {
  EXPECT_FALSE(delay_.stands());
  Interval(kTargetNs + 1, 9);
  Interval(kTargetNs + 1);
  EXPECT_TRUE(delay_.stands());
}

TEST_F(QueueDelayTest, OneShortWaitShowsThatItWasABurst) {
  for (int i = 0; i < 20; ++i) {
    now_ns_ += kIntervalNs / 10;
    delay_.Note(now_ns_, i % 10 == 5 ? 1 : 50 * kTargetNs, kTargetNs);
    EXPECT_FALSE(delay_.stands());
  }
}

TEST_F(QueueDelayTest, ItStandsUntilAWaitIsMuchShorter) {
  Interval(2 * kTargetNs);
  Interval(2 * kTargetNs);
  ASSERT_TRUE(delay_.stands());
  Interval(kTargetNs * 3 / 4);
  EXPECT_TRUE(delay_.stands()) << "kept there by what is refused";
  Interval(kTargetNs / 2);
  EXPECT_FALSE(delay_.stands());
}

TEST_F(QueueDelayTest, AfterAPauseItBeginsAnew) {
  now_ns_ += 100 * kIntervalNs;
  delay_.Note(now_ns_, 50 * kTargetNs, kTargetNs);
  EXPECT_FALSE(delay_.stands()) << "one late reply is no queue";
}

}  // namespace
}  // namespace rcproxy::proxy
