// Numbers as the protocol writes them: what both scanners and the writer share. Pure functions, any
// thread. Protocol: util.c of the server (string2ll).
#pragma once

#include <bit>
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

// A length line: type byte, digits, line end.
struct ShortLength {
  uint32_t value;
  uint32_t bytes;  // Of the whole line; 0: something else stands here, or it is longer.
};
// What one to three digits can say, as most lengths do.
inline constexpr uint32_t kShortLengthMax = 999;

// The digit of "<type><digit>\r\n", or a larger number. Requires: four readable bytes at `p`.
inline uint32_t ReadOneDigit(const char* p, char type) {
  static_assert(std::endian::native == std::endian::little);
  uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  // One comparison for four bytes: whatever differs from "<type>0\r\n" is left over, and turned so
  // that only the digit's low bits can make a number below ten.
  const uint32_t expected =
      static_cast<uint8_t>(type) | uint32_t{'0'} << 8 | uint32_t{'\r'} << 16 | uint32_t{'\n'} << 24;
  return std::rotr(word ^ expected, 8);
}

// Reads "<type><one to three digits>\r\n". Requires: six readable bytes at `p`. Refuses leading
// zeros.
inline ShortLength ReadShortLength(const char* p, char type) {
  const uint32_t digit = ReadOneDigit(p, type);
  if (digit <= 9) return {digit, 4};
  if (*p != type) return {0, 0};
  const uint32_t first = static_cast<uint8_t>(p[1]) - uint32_t{'1'};  // Not a zero.
  if (first > 8) return {0, 0};
  const uint32_t second = static_cast<uint8_t>(p[2]) - uint32_t{'0'};
  if (second > 9) return {0, 0};
  const uint32_t two = first * 10 + second + 10;
  if (IsCrlf(p + 3)) return {two, 5};
  const uint32_t third = static_cast<uint8_t>(p[3]) - uint32_t{'0'};
  if (third > 9 || !IsCrlf(p + 4)) return {0, 0};
  return {two * 10 + third, 6};
}

// The same for four to seven digits: everything up to ten megabytes. Requires:
// kMediumLengthBytesMax readable bytes at `p`.
inline constexpr size_t kMediumLengthBytesMax = 10;
ShortLength ReadMediumLength(const char* p, char type);

}  // namespace rcproxy::resp
