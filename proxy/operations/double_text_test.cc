#include "proxy/operations/double_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace rcproxy::proxy {
namespace {

TEST(DoubleTextTest, SeventeenDigitsUntil70) {
  const auto style = DoubleStyleOf("# Server\r\nredis_version:7.0.15\r\n");
  EXPECT_EQ(DoubleText(3.1, style), "3.1000000000000001");
  EXPECT_EQ(DoubleText(3, style), "3");
  EXPECT_EQ(DoubleText(1e20, style), "1e+20");
  EXPECT_EQ(DoubleText(-0.0, style), "-0");
}

TEST(DoubleTextTest, AsShortAsPossibleSince72) {
  const auto style = DoubleStyleOf("redis_version:7.2.4\r\n");
  EXPECT_EQ(DoubleText(3.1, style), "3.1");
  EXPECT_EQ(DoubleText(0.1 + 0.2, style), "0.30000000000000004");
  EXPECT_EQ(DoubleText(100000, style), "100000");
  EXPECT_EQ(DoubleText(-12.5, style), "-12.5");
  EXPECT_EQ(DoubleText(0.001, style), "0.001");
  EXPECT_EQ(DoubleText(1e20, style), "1e+20");
  EXPECT_EQ(DoubleText(1.5e-9, style), "1.5e-9");
  EXPECT_EQ(DoubleText(0, style), "0");
}

TEST(DoubleTextTest, InfinityIsAWord) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(DoubleText(kInfinity, DoubleStyle::kShortest), "inf");
  EXPECT_EQ(DoubleText(-kInfinity, DoubleStyle::kSeventeenDigits), "-inf");
}

TEST(DoubleTextTest, ReadsWhatTheServerReads) {
  double value = 0;
  EXPECT_TRUE(ParseDouble("1e3", &value));
  EXPECT_EQ(value, 1000);
  EXPECT_TRUE(ParseDouble("-inf", &value));
  EXPECT_FALSE(ParseDouble("", &value));
  EXPECT_FALSE(ParseDouble(" 1", &value));
  EXPECT_FALSE(ParseDouble("1x", &value));
  EXPECT_FALSE(ParseDouble("nan", &value));
}

}  // namespace
}  // namespace rcproxy::proxy
