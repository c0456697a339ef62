#include "proxy/operations/longest_common.h"

#include <algorithm>
#include <cstddef>

namespace rcproxy::proxy {
namespace {

// length(i, j): of the first i bytes of a and the first j of b.
class LengthTable {
 public:
  LengthTable(std::string_view a, std::string_view b)
      : columns_(b.size() + 1), lengths_((a.size() + 1) * columns_, 0) {
    for (size_t i = 1; i <= a.size(); ++i) {
      for (size_t j = 1; j <= b.size(); ++j) {
        at(i, j) =
            a[i - 1] == b[j - 1] ? at(i - 1, j - 1) + 1 : std::max(at(i - 1, j), at(i, j - 1));
      }
    }
  }
  uint32_t& at(size_t i, size_t j) { return lengths_[i * columns_ + j]; }

 private:
  const size_t columns_;
  std::vector<uint32_t> lengths_;
};

}  // namespace

CommonSubsequence LongestCommon(std::string_view a, std::string_view b) {
  LengthTable length(a, b);
  CommonSubsequence result;
  bool growing = false;  // The last range ends where the next common byte would have to be.
  size_t i = a.size();
  size_t j = b.size();
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      --i;
      --j;
      result.text += a[i];
      if (!growing)
        result.ranges.push_back({0, static_cast<uint32_t>(i), 0, static_cast<uint32_t>(j)});
      CommonRange& range = result.ranges.back();
      range.a_first = static_cast<uint32_t>(i);
      range.b_first = static_cast<uint32_t>(j);
      growing = true;
      continue;
    }
    growing = false;
    length.at(i - 1, j) > length.at(i, j - 1) ? --i : --j;
  }
  std::reverse(result.text.begin(), result.text.end());
  return result;
}

}  // namespace rcproxy::proxy
