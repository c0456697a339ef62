#include "proxy/batch_policy.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kWindow = BatchPolicy::kWindowNs;

Arrivals From(uint64_t clients, uint64_t receives) {
  Arrivals arrivals;
  arrivals.clients = clients;
  arrivals.receives = receives;
  return arrivals;
}

void ExpectNone(const BatchPolicy::Hint& hint) {
  EXPECT_EQ(hint.completions, 1);
  EXPECT_EQ(hint.wait_us, 0);
}

TEST(BatchPolicyTest, WaitsUntilAQuarterOfTheClientsHasProbablySent) {
  BatchPolicy policy(200);
  // 400 receives in 10 ms: one in 25 us.
  const BatchPolicy::Hint hint = policy.OnWindow(From(32, 400), kWindow, 7 * kMs);
  EXPECT_EQ(hint.wait_us, 8 * 25);
  EXPECT_EQ(hint.completions, 8 * 8);
}

TEST(BatchPolicyTest, WaitsNoLongerThanTheFlagSays) {
  BatchPolicy policy(50);
  EXPECT_EQ(policy.OnWindow(From(50, 1000), kWindow, 7 * kMs).wait_us, 50);
}

TEST(BatchPolicyTest, ABatchHasABound) {
  BatchPolicy policy(200);
  const BatchPolicy::Hint hint = policy.OnWindow(From(1000, 1600), kWindow, 7 * kMs);
  EXPECT_EQ(hint.wait_us, 100);
  EXPECT_EQ(hint.completions, 128);
}

TEST(BatchPolicyTest, FewClientsAreNeverDelayed) {
  BatchPolicy policy(200);
  ExpectNone(policy.OnWindow(From(1, 2000), kWindow, 7 * kMs));
  ExpectNone(policy.OnWindow(From(BatchPolicy::kClientsMin - 1, 2000), kWindow, 7 * kMs));
  EXPECT_GT(policy.OnWindow(From(BatchPolicy::kClientsMin, 2000), kWindow, 7 * kMs).wait_us, 0);
}

TEST(BatchPolicyTest, AWorkerWithTimeToSpareDoesNotWait) {
  BatchPolicy policy(200);
  ExpectNone(policy.OnWindow(From(50, 500), kWindow, 39 * kWindow / 100));
  EXPECT_GT(policy.OnWindow(From(50, 500), kWindow, 40 * kWindow / 100).wait_us, 0);
  // What it saves is no reason to stop.
  EXPECT_GT(policy.OnWindow(From(50, 500), kWindow, 20 * kWindow / 100).wait_us, 0);
}

TEST(BatchPolicyTest, AWorkerWithoutTimeToSpareDoesNotWaitEither) {
  BatchPolicy policy(200);
  ExpectNone(policy.OnWindow(From(50, 500), kWindow, 81 * kWindow / 100));
  EXPECT_GT(policy.OnWindow(From(50, 500), kWindow, 80 * kWindow / 100).wait_us, 0);
}

TEST(BatchPolicyTest, LooksNowAndThenHowItWouldBeWithoutWaiting) {
  BatchPolicy policy(200);
  int gathered = 0;
  while (policy.OnWindow(From(50, 500), kWindow, 6 * kMs).wait_us > 0) ++gathered;
  EXPECT_EQ(gathered, BatchPolicy::kPlainEvery);
  EXPECT_GT(policy.OnWindow(From(50, 500), kWindow, 6 * kMs).wait_us, 0);
  while (policy.OnWindow(From(50, 500), kWindow, 6 * kMs).wait_us > 0) continue;
  ExpectNone(policy.OnWindow(From(50, 500), kWindow, 9 * kMs));
}

TEST(BatchPolicyTest, TheEndOfTheTrafficIsSeenAtOnce) {
  BatchPolicy policy(200);
  EXPECT_GT(policy.OnWindow(From(50, 500), kWindow, 6 * kMs).wait_us, 0);
  ExpectNone(policy.OnWindow(From(3, 500), kWindow, 6 * kMs));
}

TEST(BatchPolicyTest, DoesNotWaitForWhatIsTooRare) {
  BatchPolicy policy(100);
  ExpectNone(policy.OnWindow(From(50, 399), kWindow, 7 * kMs));
  EXPECT_EQ(policy.OnWindow(From(50, 400), kWindow, 7 * kMs).wait_us, 100);
}

TEST(BatchPolicyTest, OffByFlag) {
  BatchPolicy policy(0);
  ExpectNone(policy.OnWindow(From(50, 500), kWindow, 7 * kMs));
}

TEST(BatchPolicyTest, AfterALongSilenceTheTrafficBeforeItCountsForLittle) {
  BatchPolicy policy(200);
  ExpectNone(policy.OnWindow(From(50, 500), 10 * kWindow, 7 * kMs));
}

TEST(ArrivalsTest, CountsEachClientOnceInAWindow) {
  Arrivals arrivals;
  arrivals.since_ns = 100;
  arrivals.Note(/*last_ns=*/0);
  arrivals.Note(/*last_ns=*/99);
  arrivals.Note(/*last_ns=*/100);
  arrivals.Note(/*last_ns=*/150);
  EXPECT_EQ(arrivals.receives, 4u);
  EXPECT_EQ(arrivals.clients, 2u);
}

}  // namespace
}  // namespace rcproxy::proxy
