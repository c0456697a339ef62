#include "proxy/batch_policy.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(BatchPolicyTest, ALoneRequestIsNeverDelayed) {
  BatchPolicy policy;
  for (uint64_t in_flight = 0; in_flight < BatchPolicy::kInFlightMin; ++in_flight) {
    EXPECT_EQ(policy.Want(in_flight), 1);
    policy.OnTurn(1);
  }
}

TEST(BatchPolicyTest, GathersHalfOfWhatIsOnItsWayUpToABound) {
  BatchPolicy policy;
  EXPECT_EQ(policy.Want(20), 10);
  policy.OnTurn(5);
  EXPECT_EQ(policy.Want(100000), BatchPolicy::kEventsMax);
}

TEST(BatchPolicyTest, AWaitForNothingIsFollowedByPlainOnesThatDouble) {
  BatchPolicy policy;
  uint32_t plain_before = 0;
  for (int round = 0; round < 12; ++round) {
    uint32_t plain = 0;
    while (policy.Want(50) == 1) {
      policy.OnTurn(1);
      ++plain;
    }
    EXPECT_GE(plain, plain_before);
    EXPECT_LE(plain, BatchPolicy::kPenaltyMax);
    plain_before = plain;
    policy.OnTurn(1);  // It brought no second command.
  }
  EXPECT_EQ(plain_before, BatchPolicy::kPenaltyMax);
}

TEST(BatchPolicyTest, AWaitThatPaidForgetsThePenalty) {
  BatchPolicy policy;
  const int wanted = policy.Want(50);
  policy.OnTurn(1);
  EXPECT_EQ(policy.Want(50), 1);
  policy.OnTurn(1);
  EXPECT_EQ(policy.Want(50), wanted);
  policy.OnTurn(2);
  EXPECT_EQ(policy.Want(50), wanted);
}

TEST(BatchPolicyTest, TurnsThatAreFullAnywayDoNotWait) {
  BatchPolicy policy;
  for (int turn = 0; turn < 100; ++turn) policy.OnTurn(64);
  EXPECT_EQ(policy.Want(1000), 1);
  int turns = 0;
  while (policy.Want(1000) == 1) {
    policy.OnTurn(1);
    ASSERT_LT(++turns, 100);
  }
  EXPECT_GT(turns, 1);
}

}  // namespace
}  // namespace rcproxy::proxy
