// The server's HyperLogLog strings: read, merged, counted. Sources: the format as documented with
// PFCOUNT and in hyperloglog.c of the server ("HYLL", encoding, cached count, 16384 registers of 6
// bits, dense or run-length coded); the estimator of Otmar Ertl, "New cardinality estimation
// algorithms for HyperLogLog sketches" (2017).
//
// Owner: an operation. Thread: any.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rcproxy::proxy {

class HyperLogLog {
 public:
  static constexpr int kRegisters = 1 << 14;

  enum class Status : uint8_t {
    kOk,
    kOther,      // A string, but none of these.
    kCorrupted,  // It begins like one.
  };
  // Adds what `value`, a string as GET returns it, has counted.
  Status Merge(std::string_view value);
  // How many different elements all that was merged has seen, as the server estimates it.
  uint64_t Count() const;

 private:
  bool MergeSparse(std::string_view runs);
  void MergeDense(std::string_view registers);
  void Raise(int index, uint8_t value) {
    if (registers_[index] < value) registers_[index] = value;
  }

  std::array<uint8_t, kRegisters> registers_ = {};
};

}  // namespace rcproxy::proxy
