#include "proxy/batch_policy.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(BatchPolicyTest, ALoneRequestIsNeverDelayed) {
  BatchPolicy policy;
  for (uint64_t in_flight = 0; in_flight < BatchPolicy::kInFlightMin; ++in_flight) {
    EXPECT_EQ(policy.Want(in_flight), 1);
    policy.OnDelivered(1);
  }
}

TEST(BatchPolicyTest, GathersHalfOfWhatIsOnItsWayUpToABound) {
  BatchPolicy policy;
  EXPECT_EQ(policy.Want(20), 10);
  policy.OnDelivered(10);
  EXPECT_EQ(policy.Want(100000), BatchPolicy::kEventsMax);
}

TEST(BatchPolicyTest, AnUnfilledWaitIsFollowedByPlainOnesThatDouble) {
  BatchPolicy policy;
  uint32_t plain_before = 0;
  for (int round = 0; round < 12; ++round) {
    uint32_t plain = 0;
    while (policy.Want(50) == 1) {
      policy.OnDelivered(1);
      ++plain;
    }
    EXPECT_GE(plain, plain_before);
    EXPECT_LE(plain, BatchPolicy::kPenaltyMax);
    plain_before = plain;
    policy.OnDelivered(1);  // Less than wanted.
  }
  EXPECT_EQ(plain_before, BatchPolicy::kPenaltyMax);
}

TEST(BatchPolicyTest, AFilledWaitForgetsThePenalty) {
  BatchPolicy policy;
  const int wanted = policy.Want(50);
  policy.OnDelivered(1);
  EXPECT_EQ(policy.Want(50), 1);
  policy.OnDelivered(1);
  EXPECT_EQ(policy.Want(50), wanted);
  policy.OnDelivered(wanted);
  EXPECT_EQ(policy.Want(50), wanted);
}

}  // namespace
}  // namespace rcproxy::proxy
