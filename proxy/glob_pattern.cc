#include "proxy/glob_pattern.h"

#include <cstddef>
#include <utility>

namespace rcproxy::proxy {
namespace {

unsigned char Lower(char byte) {
  return static_cast<unsigned char>(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}
unsigned char Same(char byte) { return static_cast<unsigned char>(byte); }
using Fold = unsigned char (*)(char byte);

// How much of the pattern one character of the text has used, and whether it matched.
struct Step {
  size_t pattern_bytes;
  bool matches;
};

// `pattern` begins after '['. A class that is not closed ends with the pattern.
template <Fold kFold>
Step MatchClass(std::string_view pattern, unsigned char byte) {
  size_t at = 0;
  const bool negated = !pattern.empty() && pattern[0] == '^';
  if (negated) ++at;
  bool found = false;
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    unsigned char first = kFold(pattern[at++]);
    unsigned char last = first;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      last = kFold(pattern[at + 1]);
      at += 2;
    }
    if (first > last) std::swap(first, last);
    if (byte >= first && byte <= last) found = true;
  }
  if (at < pattern.size()) ++at;  // The ']'.
  return {at + 1, found != negated};
}

// Requires: `pattern` is not empty and does not begin with '*'.
template <Fold kFold>
Step MatchOne(std::string_view pattern, char text_byte) {
  const unsigned char byte = kFold(text_byte);
  if (pattern[0] == '?') return {1, true};
  if (pattern[0] == '[') return MatchClass<kFold>(pattern.substr(1), byte);
  const size_t literal = pattern[0] == '\\' && pattern.size() > 1 ? 1 : 0;
  return {literal + 1, kFold(pattern[literal]) == byte};
}

template <Fold kFold>
bool Matches(std::string_view pattern, std::string_view text) {
  // Only the last '*' is ever tried again: what an earlier one could take more, it can take as
  // well.
  bool has_star = false;
  std::string_view after_star;
  std::string_view retry_text;
  while (!text.empty()) {
    if (!pattern.empty() && pattern[0] == '*') {
      has_star = true;
      after_star = pattern.substr(1);
      retry_text = text;
      pattern = after_star;
      continue;
    }
    const Step step = pattern.empty() ? Step{0, false} : MatchOne<kFold>(pattern, text[0]);
    if (step.matches) {
      pattern.remove_prefix(step.pattern_bytes);
      text.remove_prefix(1);
      continue;
    }
    if (!has_star) return false;
    retry_text.remove_prefix(1);
    text = retry_text;
    pattern = after_star;
  }
  return pattern.find_first_not_of('*') == std::string_view::npos;
}

}  // namespace

bool MatchesGlob(std::string_view pattern, std::string_view text) {
  return Matches<Same>(pattern, text);
}

bool MatchesGlobIgnoringCase(std::string_view pattern, std::string_view text) {
  return Matches<Lower>(pattern, text);
}

}  // namespace rcproxy::proxy
