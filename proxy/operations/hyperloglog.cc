#include "proxy/operations/hyperloglog.h"

#include <cmath>
#include <cstddef>
#include <limits>

namespace rcproxy::proxy {
namespace {

constexpr size_t kHeaderBytes = 16;
constexpr size_t kDenseBytes = HyperLogLog::kRegisters * 6 / 8;
constexpr char kDense = 0;
constexpr char kSparse = 1;
constexpr int kLargest = 64 - 14;                           // What a register can hold is one more.
constexpr double kAlphaInfinity = 0.721347520444481703680;  // 1 / (2 ln 2).

// Both series of the estimator are summed until they stop changing.
double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double sum = x;
  for (double weight = 1, before = -1; before != sum; weight += weight) {
    x *= x;
    before = sum;
    sum += x * weight;
  }
  return sum;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double sum = 1 - x;
  for (double weight = 1, before = -1; before != sum;) {
    x = std::sqrt(x);
    before = sum;
    weight *= 0.5;
    sum -= std::pow(1 - x, 2) * weight;
  }
  return sum / 3;
}

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

}  // namespace

HyperLogLog::Status HyperLogLog::Merge(std::string_view value) {
  if (value.size() < kHeaderBytes || !value.starts_with("HYLL")) return Status::kOther;
  const char encoding = value[4];
  const std::string_view body = value.substr(kHeaderBytes);
  if (encoding == kDense) {
    if (body.size() != kDenseBytes) return Status::kOther;
    MergeDense(body);
    return Status::kOk;
  }
  if (encoding != kSparse) return Status::kOther;
  return MergeSparse(body) ? Status::kOk : Status::kCorrupted;
}

// Six bits each, the least significant ones first.
void HyperLogLog::MergeDense(std::string_view registers) {
  for (int i = 0; i < kRegisters; ++i) {
    const size_t bit = static_cast<size_t>(i) * 6;
    const size_t byte = bit / 8;
    unsigned value = ByteAt(registers, byte) >> (bit % 8);
    if (bit % 8 > 2) value |= static_cast<unsigned>(ByteAt(registers, byte + 1)) << (8 - bit % 8);
    Raise(i, value & 63);
  }
}

// 00xxxxxx: x + 1 zeros; 01xxxxxx yyyyyyyy: xy + 1 zeros; 1vvvvvxx: x + 1 registers of v + 1.
bool HyperLogLog::MergeSparse(std::string_view runs) {
  int index = 0;
  for (size_t at = 0; at < runs.size(); ++at) {
    const unsigned code = ByteAt(runs, at);
    if ((code & 0x80) != 0) {
      const int length = static_cast<int>(code & 3) + 1;
      if (index + length > kRegisters) return false;
      for (int i = 0; i < length; ++i) Raise(index++, ((code >> 2) & 31) + 1);
    } else if ((code & 0x40) != 0) {
      if (++at == runs.size()) return false;
      index += static_cast<int>((code & 63) << 8 | ByteAt(runs, at)) + 1;
    } else {
      index += static_cast<int>(code) + 1;
    }
    if (index > kRegisters) return false;
  }
  return index == kRegisters;
}

uint64_t HyperLogLog::Count() const {
  std::array<int, 64> of_value = {};
  for (const uint8_t value : registers_) ++of_value[value];
  constexpr double m = kRegisters;
  double z = m * Tau((m - of_value[kLargest + 1]) / m);
  for (int value = kLargest; value >= 1; --value) {
    z += of_value[value];
    z *= 0.5;
  }
  z += m * Sigma(of_value[0] / m);
  return static_cast<uint64_t>(std::llroundl(kAlphaInfinity * m * m / z));
}

}  // namespace rcproxy::proxy
