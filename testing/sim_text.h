// Small text functions for test code. Unlike absl's on Debian, they take std::string_view.
#pragma once

#include <cctype>
#include <concepts>
#include <string>
#include <string_view>

namespace rcproxy::sim {

inline void AppendPart(std::string* text, std::string_view part) { text->append(part); }
inline void AppendPart(std::string* text, char part) { text->push_back(part); }
template <std::integral Integer>
void AppendPart(std::string* text, Integer part) {
  text->append(std::to_string(part));
}

// Not a stream: simulations make most of their replies with it.
template <class... Parts>
std::string Concat(const Parts&... parts) {
  std::string text;
  (AppendPart(&text, parts), ...);
  return text;
}

inline std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

inline std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

}  // namespace rcproxy::sim
