// Numbers as the protocol writes them: what both scanners and the writer share. Pure functions, any
// thread. Protocol: util.c of the server (string2ll).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace rcproxy::resp {

// Reads `text` as the server reads a length in a request: all of it, one form per number. No
// spaces, no plus sign, no leading zeros, no "-0", nothing outside int64_t.
bool ParseStrictInteger(std::string_view text, int64_t* value);

// How many decimal digits `value` has; 1 for zero.
constexpr int DecimalLength(uint64_t value) {
  int length = 1;
  while (value >= 1000) {
    value /= 1000;
    length += 3;
  }
  return length + (value >= 100 ? 2 : value >= 10 ? 1 : 0);
}

// Requires: two readable bytes.
inline bool IsCrlf(const char* p) { return std::memcmp(p, "\r\n", 2) == 0; }

// A length with its line end.
struct ShortLength {
  uint32_t value;
  uint32_t bytes;  // Digits and CRLF; 0: something else stands here, or it is longer.
};
// What one to three digits can say, as most lengths do.
inline constexpr uint32_t kShortLengthMax = 999;

// Requires: five readable bytes at `p`. Refuses leading zeros.
inline ShortLength ReadShortLength(const char* p) {
  const uint32_t first = static_cast<uint8_t>(p[0]) - uint32_t{'0'};
  if (first > 9) return {0, 0};
  if (IsCrlf(p + 1)) return {first, 3};
  const uint32_t second = static_cast<uint8_t>(p[1]) - uint32_t{'0'};
  if (second > 9 || first == 0) return {0, 0};
  if (IsCrlf(p + 2)) return {first * 10 + second, 4};
  const uint32_t third = static_cast<uint8_t>(p[2]) - uint32_t{'0'};
  if (third > 9 || !IsCrlf(p + 3)) return {0, 0};
  return {first * 100 + second * 10 + third, 5};
}

// The same for four to seven digits: everything up to ten megabytes. Requires:
// kMediumLengthBytesMax readable bytes at `p`.
inline constexpr size_t kMediumLengthBytesMax = 9;
ShortLength ReadMediumLength(const char* p);

}  // namespace rcproxy::resp
