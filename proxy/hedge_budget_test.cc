#include "proxy/hedge_budget.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

int SpendAll(HedgeBudget* budget) {
  int spent = 0;
  while (budget->Spend()) ++spent;
  return spent;
}

TEST(HedgeBudgetTest, BeginsWithABurst) {
  HedgeBudget budget(5);
  EXPECT_EQ(SpendAll(&budget), 10);
}

TEST(HedgeBudgetTest, EarnsItsPercentageOfTheReads) {
  HedgeBudget budget(5);
  SpendAll(&budget);
  budget.Earn(19);
  EXPECT_EQ(SpendAll(&budget), 0);
  budget.Earn(1);
  EXPECT_EQ(SpendAll(&budget), 1);
  budget.Earn(150);
  EXPECT_EQ(SpendAll(&budget), 7) << "and half of one is kept";
  budget.Earn(10);
  EXPECT_EQ(SpendAll(&budget), 1);
}

TEST(HedgeBudgetTest, SavesNoMoreThanTheBurst) {
  for (const uint32_t percent : {1u, 5u, 100u}) {
    for (const uint64_t reads : {uint64_t{1'000'000}, UINT64_MAX}) {
      HedgeBudget budget(percent);
      SpendAll(&budget);
      budget.Earn(reads);
      EXPECT_EQ(SpendAll(&budget), 10);
    }
  }
}

}  // namespace
}  // namespace rcproxy::proxy
