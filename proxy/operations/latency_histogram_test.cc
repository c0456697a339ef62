#include "proxy/operations/latency_histogram.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/errors.h"

namespace rcproxy::proxy {
namespace {

using resp::Protocol;

constexpr std::string_view kOne =
    "*4\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:3\r\n$14\r\nhistogram_usec\r\n"
    "*4\r\n:2\r\n:1\r\n:8\r\n:3\r\n"
    "$10\r\nconfig|get\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:4\r\n:1\r\n";
constexpr std::string_view kOther =
    "*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n"
    "*4\r\n:4\r\n:3\r\n:8\r\n:4\r\n";
constexpr std::string_view kNone = "*0\r\n";

TEST(LatencyHistogramTest, CallsAreAddedUpByCommandAndTime) {
  const std::string_view replies[] = {kOne, kNone, kOther};
  EXPECT_EQ(MergeHistograms(replies, Protocol::kResp2),
            "*4\r\n$10\r\nconfig|get\r\n"
            "*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:4\r\n:1\r\n"
            "$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:7\r\n$14\r\nhistogram_usec\r\n"
            "*6\r\n:2\r\n:1\r\n:4\r\n:4\r\n:8\r\n:7\r\n");
}

TEST(LatencyHistogramTest, InResp3TheyAreMaps) {
  const std::string_view replies[] = {
      "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n%1\r\n:2\r\n:1\r\n"};
  EXPECT_EQ(MergeHistograms(replies, Protocol::kResp3), replies[0]);
  const std::string_view none[] = {"%0\r\n", "%0\r\n"};
  EXPECT_EQ(MergeHistograms(none, Protocol::kResp3), "%0\r\n");
}

TEST(LatencyHistogramTest, WhatIsNoHistogramIsAnError) {
  for (const std::string_view wrong :
       {":1\r\n", "+OK\r\n", "*1\r\n$3\r\nset\r\n", "*2\r\n$3\r\nset\r\n:1\r\n",
        "*2\r\n$3\r\nset\r\n*0\r\n", "*2\r\n$3\r\nset\r\n*2\r\n$5\r\ncalls\r\n:1\r\n",
        "*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*1\r\n:1\r\n"}) {
    const std::string_view replies[] = {kOther, wrong};
    EXPECT_EQ(MergeHistograms(replies, Protocol::kResp2), kErrorUnexpectedPart) << wrong;
  }
}

// Counts that fall, and those at the end of the range, make numbers and nothing worse.
TEST(LatencyHistogramTest, CountsThatMakeNoSenseDoNoHarm) {
  const std::string_view wild =
      "*2\r\n$1\r\nx\r\n*4\r\n$5\r\ncalls\r\n:9223372036854775807\r\n$14\r\nhistogram_usec\r\n"
      "*4\r\n:1\r\n:9223372036854775807\r\n:2\r\n:-9223372036854775808\r\n";
  const std::string_view replies[] = {wild, wild};
  EXPECT_TRUE(MergeHistograms(replies, Protocol::kResp2).starts_with("*2\r\n$1\r\nx\r\n*4\r\n"));
}

}  // namespace
}  // namespace rcproxy::proxy
