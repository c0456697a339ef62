#include "benchmarks/latency_histogram.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

TEST(LatencyHistogramTest, IsEmptyAtFirst) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(0.5), 0u);
}

TEST(LatencyHistogramTest, SmallDurationsAreExact) {
  LatencyHistogram histogram;
  for (uint64_t ns = 1; ns <= 100; ++ns) histogram.Record(ns);
  EXPECT_EQ(histogram.Percentile(0.5), 50u);
  EXPECT_EQ(histogram.Percentile(0.99), 99u);
  EXPECT_EQ(histogram.Percentile(0), 1u);
  EXPECT_EQ(histogram.Percentile(1), 100u);
}

TEST(LatencyHistogramTest, AnyDurationIsKnownToWithinASixtyFourth) {
  for (uint64_t ns = 1; ns < (uint64_t{1} << 33); ns += ns / 7 + 1) {
    LatencyHistogram histogram;
    histogram.Record(ns);
    histogram.Record(uint64_t{1} << 34);  // So that the maximum does not cut the bucket.
    uint64_t reported = histogram.Percentile(0.5);
    EXPECT_GE(reported, ns);
    EXPECT_LE(reported, ns + ns / 64 + 1);
  }
}

TEST(LatencyHistogramTest, DurationsBeyondTheLastBucketStillCount) {
  LatencyHistogram histogram;
  histogram.Record(uint64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max_nanoseconds(), uint64_t{1} << 60);
}

TEST(LatencyHistogramTest, ClearForgetsEverything) {
  LatencyHistogram histogram;
  histogram.Record(5);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(0.9), 0u);
}

}  // namespace
}  // namespace rcproxy::benchmarks
