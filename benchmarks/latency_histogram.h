// Counts durations in buckets whose width grows with the duration, so that any percentile is known
// to within 1/64 of its value from 1 ns to 17 s in a fixed 16 KiB.
//
// Owner and thread: one load generator. Per record: a few shifts and one addition.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace rcproxy::benchmarks {

class LatencyHistogram final {
 public:
  void Record(uint64_t nanoseconds);
  void Clear() { *this = LatencyHistogram(); }

  uint64_t count() const { return count_; }
  uint64_t max_nanoseconds() const { return max_; }
  // The smallest recorded duration that at least `fraction` (0 to 1) of all do not exceed, rounded
  // up to its bucket's end. 0 when nothing was recorded.
  uint64_t Percentile(double fraction) const;

 private:
  static constexpr int kSubBits = 6;  // 64 buckets per power of two.
  static constexpr int kPowers = 34;
  static constexpr size_t kBuckets = (kPowers - kSubBits + 1) << kSubBits;

  static size_t BucketOf(uint64_t nanoseconds);
  static uint64_t EndOfBucket(size_t bucket);

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace rcproxy::benchmarks
