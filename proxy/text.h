// Small things done to std::string_view, which Abseil's string functions do not take when Abseil
// has been built with a string_view of its own (as Debian's is). Pure, any thread.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>

namespace rcproxy::proxy {

inline void AppendPart(std::string* out, std::string_view part) { out->append(part); }

template <std::integral Integer>
void AppendPart(std::string* out, Integer part) {
  out->append(std::to_string(part));
}

// Concat("ERR ", name, " has ", 3) -> "ERR name has 3".
template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::string out;
  (AppendPart(&out, parts), ...);
  return out;
}

// ASCII alone: what the protocol's words are made of.
constexpr char ToUpper(char byte) {
  return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
}

inline std::string ToUpper(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char byte) { return ToUpper(byte); });
  return upper;
}

inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToUpper(x) == ToUpper(y); });
}

}  // namespace rcproxy::proxy
