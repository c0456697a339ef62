#include "resp/command_tail.h"

#include <algorithm>

#include "resp/number.h"

namespace rcproxy::resp {

size_t CommandTail::Take(std::string_view input) {
  size_t taken = 0;
  while (taken < input.size() && !done() && error_.empty()) {
    if (skip_ == 0) {
      taken += TakeLine(input.substr(taken));
      continue;
    }
    const size_t some = std::min<uint64_t>(skip_, input.size() - taken);
    skip_ -= some;
    taken += some;
  }
  return taken;
}

// Collects "$n"; the CR ends it, and whatever follows that is taken for the LF.
size_t CommandTail::TakeLine(std::string_view input) {
  for (size_t i = 0; i < input.size(); ++i) {
    if (input[i] == '\r') {
      EndLine();
      return i + 1;
    }
    if (line_bytes_ == kLineBytesMax) {
      error_ = "-ERR Protocol error: invalid bulk length";
      return i;
    }
    line_[line_bytes_++] = input[i];
  }
  return input.size();
}

void CommandTail::EndLine() {
  const std::string_view line(line_, line_bytes_);
  if (!line.starts_with('$')) {
    error_ = "-ERR Protocol error: expected '$'";
    return;
  }
  int64_t size = 0;
  if (!ParseStrictInteger(line.substr(1), &size) || size < 0 || size > int64_t{bulk_bytes_max_}) {
    error_ = "-ERR Protocol error: invalid bulk length";
    return;
  }
  const uint64_t rest = uint64_t{1} + static_cast<uint64_t>(size) + 2;
  if (rest > bytes_left_) {
    error_ = "-ERR Protocol error: too big request";
    return;
  }
  bytes_left_ -= rest;
  skip_ = rest;
  line_bytes_ = 0;
  --arguments_;
}

}  // namespace rcproxy::resp
