#include "proxy/operations/longest_common.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(LongestCommonTest, TheServersExample) {
  const CommonSubsequence common = LongestCommon("ohmytext", "mynewtext");
  EXPECT_EQ(common.text, "mytext");
  ASSERT_EQ(common.ranges.size(), 2u);
  EXPECT_EQ(common.ranges[0].a_first, 4u);
  EXPECT_EQ(common.ranges[0].a_last, 7u);
  EXPECT_EQ(common.ranges[0].b_first, 5u);
  EXPECT_EQ(common.ranges[0].b_last, 8u);
  EXPECT_EQ(common.ranges[1].a_first, 2u);
  EXPECT_EQ(common.ranges[1].length(), 2u);
}

TEST(LongestCommonTest, NothingInCommon) {
  EXPECT_EQ(LongestCommon("abc", "xyz").text, "");
  EXPECT_TRUE(LongestCommon("", "xyz").ranges.empty());
  EXPECT_TRUE(LongestCommon("", "").ranges.empty());
}

TEST(LongestCommonTest, Everything) {
  const CommonSubsequence common = LongestCommon("same", "same");
  EXPECT_EQ(common.text, "same");
  ASSERT_EQ(common.ranges.size(), 1u);
  EXPECT_EQ(common.ranges[0].length(), 4u);
}

}  // namespace
}  // namespace rcproxy::proxy
