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

}  // namespace rcproxy::resp
