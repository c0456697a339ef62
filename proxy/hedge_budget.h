// How many reads may be sent twice: so many percent of the reads that there are, and a few at once
// after a quiet time.
//
// Owner: Hedger. Thread: the worker's. Invariant: what is saved is never more than kBurst hedges.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rcproxy::proxy {

class HedgeBudget {
 public:
  static constexpr uint64_t kBurst = 10;

  explicit HedgeBudget(uint32_t percent) : percent_(percent) {}

  // There were so many more reads.
  void Earn(uint64_t reads) {
    // More would fill it in any case.
    saved_ = std::min(saved_ + std::min(reads, kFull) * percent_, kFull);
  }
  // Returns whether one more may be sent twice, which is paid for then.
  bool Spend() {
    if (saved_ < kPrice) return false;
    saved_ -= kPrice;
    return true;
  }

 private:
  static constexpr uint64_t kPrice = 100;  // A read earns `percent_`.
  static constexpr uint64_t kFull = kBurst * kPrice;

  const uint32_t percent_;
  uint64_t saved_ = kFull;
};

}  // namespace rcproxy::proxy
