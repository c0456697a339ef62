#include "resp/number.h"

namespace rcproxy::resp {

bool ParseStrictInteger(std::string_view text, int64_t* value) {
  if (text == "0") {
    *value = 0;
    return true;
  }
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  // Nineteen digits are enough for every int64_t and cannot overflow a uint64_t.
  if (text.empty() || text.size() > 19 || text[0] == '0') return false;
  uint64_t magnitude = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    magnitude = magnitude * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t bound = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (magnitude > bound) return false;
  *value = static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
  return true;
}

ShortLength ReadMediumLength(const char* p, char type) {
  if (*p++ != type || *p == '0') return {0, 0};
  uint32_t value = 0;
  for (uint32_t digits = 0; digits < 8; ++digits) {
    const uint32_t digit = static_cast<uint8_t>(p[digits]) - uint32_t{'0'};
    if (digit <= 9) {
      value = value * 10 + digit;
      continue;
    }
    if (digits < 4 || !IsCrlf(p + digits)) return {0, 0};
    return {value, digits + 3};
  }
  return {0, 0};
}

}  // namespace rcproxy::resp
