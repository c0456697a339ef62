// The longest common subsequence of two strings, as LCS finds it: among several of the same length
// the one that the server's table leads to. Pure; any thread.
//
// Memory: four bytes for each pair of positions, so the caller bounds the sizes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {

struct CommonRange {
  uint32_t a_first, a_last;  // Inclusive.
  uint32_t b_first, b_last;
  uint32_t length() const { return a_last - a_first + 1; }
};

struct CommonSubsequence {
  std::string text;
  std::vector<CommonRange> ranges;  // From the end to the beginning.
};

CommonSubsequence LongestCommon(std::string_view a, std::string_view b);

}  // namespace rcproxy::proxy
