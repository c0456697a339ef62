#include "resp/request_scanner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "resp/inline_command.h"
#include "resp/number.h"
#include "resp/writer.h"

namespace rcproxy::resp {
namespace {

// "*1\r\n$0\r\n\r\n" is the shortest command, "$0\r\n\r\n" the shortest argument. Both are long
// enough that a short length can be read from their beginning without looking for the end.
constexpr size_t kCommandBytesMin = 10;
constexpr size_t kArgumentBytesMin = 6;

// The argument array starts with room for ordinary commands and doubles as arguments really arrive:
// a count alone must not be able to claim memory.
constexpr size_t kArgsRoomMin = 64;
// What is kept over Reset: room for commands of this many arguments, and this much rewritten text.
constexpr size_t kArgsRoomKept = 64 * 1024;
constexpr size_t kRewrittenBytesKept = 4 * 1024;

// How far whole arguments have been taken.
struct Cursor {
  size_t position;  // The first byte not taken.
  ArgSpan* next;    // Where the next span goes.
};

// What lies behind command_bytes_max is not the command's.
inline std::string_view Usable(std::string_view input, const RequestLimits& limits) {
  return {input.data(), std::min<size_t>(input.size(), limits.command_bytes_max)};
}

// Takes the argument of `length` at `at` and returns true, when it is complete and its line end
// proper.
inline bool TakePayloadAt(std::string_view input, ShortLength length, Cursor* at) {
  const size_t payload = at->position + length.bytes;
  const size_t end = payload + length.value + 2;
  if (end > input.size() || !IsCrlf(input.data() + end - 2)) return false;
  *at->next++ = {static_cast<uint32_t>(payload), length.value};
  at->position = end;
  return true;
}

// Takes the arguments that are complete, below 1000 bytes and have proper line ends, as long as
// there is room before `last`. Stops at the first one that is anything else. This is the loop that
// the scanner's speed depends on: it calls nothing.
inline Cursor TakeShort(Cursor at, const ArgSpan* last, std::string_view input) {
  while (at.next != last && at.position + kArgumentBytesMin <= input.size()) {
    const ShortLength length = ReadShortLength(input.data() + at.position, '$');
    if (length.bytes == 0 || !TakePayloadAt(input, length, &at)) break;
  }
  return at;
}

// Takes one argument between 1000 bytes and ten megabytes under the same conditions.
bool TakeMedium(std::string_view input, const RequestLimits& limits, Cursor* at) {
  if (input.size() - at->position < kMediumLengthBytesMax) return false;
  const ShortLength length = ReadMediumLength(input.data() + at->position, '$');
  if (length.bytes == 0 || length.value > limits.bulk_bytes_max) return false;
  return TakePayloadAt(input, length, at);
}

bool EqualsIgnoreCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace

RequestScanner& RequestScanner::operator=(RequestScanner&& other) noexcept {
  RequestScanner taken(std::move(other));
  Swap(taken);
  return *this;
}

void RequestScanner::Swap(RequestScanner& other) noexcept {
  std::swap(args_, other.args_);
  std::swap(data_, other.data_);
  std::swap(rewritten_, other.rewritten_);
  std::swap(error_, other.error_);
  std::swap(consumed_, other.consumed_);
  std::swap(size_hint_, other.size_hint_);
  std::swap(args_count_, other.args_count_);
  std::swap(args_expected_, other.args_expected_);
  std::swap(position_, other.position_);
  std::swap(line_searched_, other.line_searched_);
  std::swap(payload_bytes_, other.payload_bytes_);
  std::swap(state_, other.state_);
  std::swap(malformed_ends_, other.malformed_ends_);
}

void RequestScanner::ResetAll() {
  if (args_.size() > kArgsRoomKept) std::vector<ArgSpan>(kArgsRoomMin).swap(args_);
  if (rewritten_.capacity() > kRewrittenBytesKept) std::string().swap(rewritten_);
  rewritten_.clear();
  data_ = nullptr;
  error_ = {};
  consumed_ = 0;
  size_hint_ = 0;
  args_count_ = 0;
  args_expected_ = 0;
  position_ = 0;
  line_searched_ = 0;
  payload_bytes_ = 0;
  state_ = State::kStart;
  malformed_ends_ = false;
}

// The whole command in one go, when it is complete and ordinary; otherwise as far as that goes, and
// Resume does the rest.
ScanStatus RequestScanner::Scan(std::string_view input, const RequestLimits& limits) {
  if (state_ != State::kStart || input.size() < kCommandBytesMin ||
      input.size() > limits.command_bytes_max || limits.bulk_bytes_max < kShortLengthMax) {
    return Resume(input, limits);
  }
  const ShortLength count = ReadShortLength(input.data(), '*');
  if (count.value == 0 || count.value > limits.args_max || count.value > args_.size()) {
    return Resume(input, limits);
  }
  args_count_ = count.value;
  const Cursor begin = {count.bytes, args_.data()};
  const ArgSpan* const last = begin.next + count.value;
  const Cursor reached = TakeShort(begin, last, input);
  if (reached.next == last) {
    data_ = input.data();
    consumed_ = reached.position;
    return ScanStatus::kCommand;
  }
  state_ = State::kBulkHeader;
  args_expected_ = args_count_;
  args_count_ = static_cast<uint32_t>(reached.next - args_.data());
  position_ = static_cast<uint32_t>(reached.position);
  return Resume(input, limits);
}

ScanStatus RequestScanner::Resume(std::string_view input, const RequestLimits& limits) {
  if (state_ == State::kStart) {
    if (input.empty()) return NeedMore(1);
    state_ = input[0] == '*' ? State::kCount : State::kInline;
  }
  if (state_ == State::kInline) return ScanInline(input, limits);
  if (state_ == State::kCount) {
    const ScanStatus status = ReadCount(input, limits);
    if (state_ != State::kBulkHeader) return status;
  }
  return ScanArguments(input, limits);
}

ScanStatus RequestScanner::ScanArguments(std::string_view input, const RequestLimits& limits) {
  while (true) {
    if (state_ == State::kBulkHeader) {
      TakeWholeArguments(input, limits);
      if (args_count_ == args_expected_) return Finish(input);
      const ScanStatus status = ReadBulkHeader(input, limits);
      if (state_ != State::kPayload) return status;
    }
    if (!TakePayload(input)) return NeedMore(size_t{position_} + payload_bytes_ + 2);
    if (args_count_ == args_expected_) return Finish(input);
  }
}

void RequestScanner::TakeWholeArguments(std::string_view input, const RequestLimits& limits) {
  // A header line already begun is looked at by ReadBulkHeader, which knows how far it has got.
  if (limits.bulk_bytes_max < kShortLengthMax || line_searched_ != 0) return;
  const std::string_view usable = Usable(input, limits);
  if (position_ >= usable.size()) return;
  const ArgSpan* const last = args_.data() + std::min<size_t>(args_expected_, args_.size());
  Cursor at = {position_, args_.data() + args_count_};
  do {
    at = TakeShort(at, last, usable);
  } while (at.next != last && TakeMedium(usable, limits, &at));
  args_count_ = static_cast<uint32_t>(at.next - args_.data());
  position_ = static_cast<uint32_t>(at.position);
}

// Finds the CR that ends the line at position_; like the server, takes whatever follows it for the
// LF. Only the first kInlineBytesMax + 1 bytes count, so that the answer does not depend on how the
// bytes arrive.
RequestScanner::Line RequestScanner::FindLineEnd(std::string_view input, size_t* line_bytes) {
  const std::string_view line = input.substr(position_, size_t{kInlineBytesMax} + 1);
  const size_t cr = line.find('\r', line_searched_);
  if (cr == std::string_view::npos) {
    line_searched_ = static_cast<uint32_t>(line.size());
    return line.size() > kInlineBytesMax ? Line::kTooLong : Line::kCut;
  }
  line_searched_ = static_cast<uint32_t>(cr);
  if (position_ + cr + 1 >= input.size()) return Line::kCut;
  if (input[position_ + cr + 1] != '\n') malformed_ends_ = true;
  *line_bytes = cr;
  return Line::kComplete;
}

ScanStatus RequestScanner::ReadCount(std::string_view input, const RequestLimits& limits) {
  size_t line_bytes = 0;
  switch (FindLineEnd(input, &line_bytes)) {
    case Line::kCut:
      return NeedMore(input.size() + 1);
    case Line::kTooLong:
      return Fail("-ERR Protocol error: too big mbulk count string");
    case Line::kComplete:
      break;
  }
  int64_t count = 0;
  const int64_t count_max = std::max(limits.args_max, kRequestArgsMax);
  if (!ParseStrictInteger(input.substr(1, line_bytes - 1), &count) || count > count_max) {
    return Fail("-ERR Protocol error: invalid multibulk length");
  }
  if (count > int64_t{limits.args_max}) {
    return Fail(limits.authenticated ? "-ERR Protocol error: invalid multibulk length"
                                     : "-ERR Protocol error: unauthenticated multibulk length");
  }
  if (count <= 0) return Empty(line_bytes + 2);
  args_expected_ = static_cast<uint32_t>(count);
  args_count_ = 0;  // Scan leaves the last whole command's count behind.
  ReserveArguments(1);
  position_ = static_cast<uint32_t>(line_bytes + 2);
  line_searched_ = 0;
  state_ = State::kBulkHeader;
  return ScanStatus::kNeedMore;
}

ScanStatus RequestScanner::ReadBulkHeader(std::string_view input, const RequestLimits& limits) {
  size_t line_bytes = 0;
  switch (FindLineEnd(input, &line_bytes)) {
    case Line::kCut:
      return NeedMore(std::max<size_t>(input.size() + 1, position_ + kArgumentBytesMin));
    case Line::kTooLong:
      return Fail("-ERR Protocol error: too big bulk count string");
    case Line::kComplete:
      break;
  }
  const std::string_view line = input.substr(position_, line_bytes + 1);  // With its CR.
  if (line[0] != '$') return FailOnPrefix(line[0]);
  int64_t size = 0;
  const int64_t size_max = std::max(limits.bulk_bytes_max, kRequestBulkBytesMax);
  if (!ParseStrictInteger(line.substr(1, line_bytes - 1), &size) || size < 0 || size > size_max) {
    return Fail("-ERR Protocol error: invalid bulk length");
  }
  if (size > int64_t{limits.bulk_bytes_max}) {
    return Fail(limits.authenticated ? "-ERR Protocol error: invalid bulk length"
                                     : "-ERR Protocol error: unauthenticated bulk length");
  }
  const uint64_t payload = uint64_t{position_} + line_bytes + 2;
  if (payload + static_cast<uint64_t>(size) + 2 > limits.command_bytes_max) {
    return Fail("-ERR Protocol error: too big request");
  }
  position_ = static_cast<uint32_t>(payload);
  payload_bytes_ = static_cast<uint32_t>(size);
  line_searched_ = 0;
  state_ = State::kPayload;
  return ScanStatus::kNeedMore;
}

bool RequestScanner::TakePayload(std::string_view input) {
  const size_t end = size_t{position_} + payload_bytes_;
  if (input.size() < end + 2) return false;
  if (!IsCrlf(input.data() + end)) malformed_ends_ = true;
  ReserveArguments(size_t{args_count_} + 1);
  args_[args_count_++] = {position_, payload_bytes_};
  position_ = static_cast<uint32_t>(end + 2);
  state_ = State::kBulkHeader;
  return true;
}

ScanStatus RequestScanner::ScanInline(std::string_view input, const RequestLimits& limits) {
  const std::string_view seen = input.substr(0, size_t{limits.inline_bytes_max} + 1);
  const size_t newline = seen.find('\n', line_searched_);
  if (newline == std::string_view::npos) {
    line_searched_ = static_cast<uint32_t>(seen.size());
    if (seen.size() <= limits.inline_bytes_max) return NeedMore(input.size() + 1);
    return Fail("-ERR Protocol error: too big inline request");
  }
  std::string_view line = input.substr(0, newline);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  std::string text;
  std::vector<ArgSpan> args;
  if (!SplitInlineCommand(line, &text, &args)) {
    return Fail("-ERR Protocol error: unbalanced quotes in request");
  }
  if (args.empty()) return Empty(newline + 1);
  const std::string_view name(text.data() + args[0].offset, args[0].size);
  // A browser was talked into sending us an HTTP request: its body may hold commands.
  if (EqualsIgnoreCase(name, "post") || EqualsIgnoreCase(name, "host:")) return Fail("");
  ReserveArguments(args.size());
  std::copy(args.begin(), args.end(), args_.begin());
  args_count_ = static_cast<uint32_t>(args.size());
  consumed_ = newline + 1;
  Rewrite(text);
  state_ = State::kDone;
  return ScanStatus::kCommand;
}

void RequestScanner::ReserveArguments(size_t count) {
  if (args_.size() >= count) return;
  args_.resize(std::max({count, args_.size() * 2, kArgsRoomMin}));
}

// Writes the arguments, whose spans lie in `source`, as multibulk, and moves the spans there.
void RequestScanner::Rewrite(std::string_view source) {
  size_t size = HeaderBytes(args_count_);
  for (uint32_t i = 0; i < args_count_; ++i) size += BulkBytes(args_[i].size);
  rewritten_.resize(size);
  char* const base = rewritten_.data();
  char* out = base + WriteArrayHeader(base, args_count_);
  for (uint32_t i = 0; i < args_count_; ++i) {
    ArgSpan& arg = args_[i];
    const std::string_view payload = source.substr(arg.offset, arg.size);
    arg.offset = static_cast<uint32_t>(out - base + HeaderBytes(arg.size));
    out += WriteBulk(out, payload);
  }
  data_ = nullptr;
}

ScanStatus RequestScanner::NeedMore(size_t hint) {
  size_hint_ = std::max(size_hint_, hint);
  return ScanStatus::kNeedMore;
}

ScanStatus RequestScanner::Finish(std::string_view input) {
  consumed_ = position_;
  data_ = input.data();
  if (malformed_ends_) Rewrite(input);
  state_ = State::kDone;
  return ScanStatus::kCommand;
}

ScanStatus RequestScanner::Empty(size_t consumed) {
  consumed_ = consumed;
  state_ = State::kDone;
  return ScanStatus::kEmpty;
}

ScanStatus RequestScanner::Fail(std::string_view text) {
  error_ = text;
  state_ = State::kDone;
  return ScanStatus::kError;
}

ScanStatus RequestScanner::FailOnPrefix(char found) {
  rewritten_ = "-ERR Protocol error: expected '$', got '";
  rewritten_ += found >= ' ' && found <= '~' ? found : ' ';
  rewritten_ += '\'';
  return Fail(rewritten_);
}

}  // namespace rcproxy::resp
