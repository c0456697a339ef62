#include "benchmarks/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace rcproxy::benchmarks {

// Durations below 2^kSubBits have a bucket each; above, the bits behind the highest one choose
// among the buckets of their power of two.
size_t LatencyHistogram::BucketOf(uint64_t nanoseconds) {
  uint64_t value = std::min(nanoseconds, (uint64_t{1} << kPowers) - 1);
  int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kSubBits - 1);
  return (static_cast<size_t>(shift) << kSubBits) + static_cast<size_t>(value >> shift);
}

uint64_t LatencyHistogram::EndOfBucket(size_t bucket) {
  if (bucket < (size_t{2} << kSubBits)) return bucket;
  size_t shift = (bucket >> kSubBits) - 1;
  uint64_t start = (bucket - (shift << kSubBits)) << shift;
  return start + (uint64_t{1} << shift) - 1;
}

void LatencyHistogram::Record(uint64_t nanoseconds) {
  ++counts_[BucketOf(nanoseconds)];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

uint64_t LatencyHistogram::Percentile(double fraction) const {
  if (count_ == 0) return 0;
  uint64_t wanted = static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  wanted = std::clamp<uint64_t>(wanted, 1, count_);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return std::min(EndOfBucket(bucket), max_);
  }
  return max_;
}

}  // namespace rcproxy::benchmarks
