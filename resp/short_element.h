// The replies that nearly all commands get, recognised when they lie in the input as a whole: what
// the reply scanner tries before it turns to its states. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstring>

#include "resp/number.h"

namespace rcproxy::resp {

// The size of a string below 1000 bytes, or of a null, that lies at `p` as a whole.
inline size_t ShortString(const char* p, size_t left) {
  if (left >= 6) {
    const ShortLength length = ReadShortLength(p, '$');
    const size_t size = size_t{length.bytes} + length.value + 2;
    if (length.bytes != 0) return left >= size && IsCrlf(p + size - 2) ? size : 0;
  }
  return left >= 5 && std::memcmp(p + 1, "-1\r\n", 4) == 0 ? 5 : 0;
}

// The same for an integer that is small and not negative.
inline size_t ShortInteger(const char* p, size_t left) {
  if (ReadOneDigit(p, ':') <= 9) return 4;
  return left >= 6 ? ReadShortLength(p, ':').bytes : 0;
}

// The size of an element of the most common kinds, these two and "+OK", when it lies at `p` as a
// whole. 0: something else, which the state machine reads. Calls nothing.
inline size_t ShortElement(const char* p, const char* end) {
  const size_t left = static_cast<size_t>(end - p);
  if (left < 4) return 0;
  if (*p == '$') return ShortString(p, left);
  if (*p == '+') return left >= 5 && std::memcmp(p + 1, "OK\r\n", 4) == 0 ? 5 : 0;
  if (*p == ':') return ShortInteger(p, left);
  return 0;
}

// The same for a string between 1000 bytes and ten megabytes.
inline size_t MediumString(const char* p, const char* end) {
  const size_t left = static_cast<size_t>(end - p);
  if (left < kMediumLengthBytesMax) return 0;
  const ShortLength length = ReadMediumLength(p, '$');
  const size_t size = size_t{length.bytes} + length.value + 2;
  return length.bytes != 0 && left >= size && IsCrlf(p + size - 2) ? size : 0;
}

}  // namespace rcproxy::resp
