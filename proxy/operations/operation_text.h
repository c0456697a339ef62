// Small things that operations share: commands made of words, replies taken apart, and the
// operation that only answers. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/operation.h"
#include "resp/command_view.h"
#include "resp/reply_scanner.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using resp::CommandOf;

inline bool IsErrorReply(std::string_view reply) {
  return reply.starts_with('-') || reply.starts_with('!');
}

// The first reply that is an error; empty when there is none.
inline std::string_view FirstError(std::span<const std::string_view> replies) {
  for (const std::string_view reply : replies) {
    if (IsErrorReply(reply)) return reply;
  }
  return {};
}

// The text of a string, number or double, without its header and line end. Empty for what has none.
inline std::string_view TextOf(std::string_view frame) {
  const size_t line_end = frame.find("\r\n");
  if (line_end == std::string_view::npos || frame.size() < 3) return {};
  switch (frame.front()) {
    case '+':
    case ':':
    case ',':
    case '(':
    case '-':
      return frame.substr(1, line_end - 1);
    case '$':
    case '=': {
      if (frame[1] == '-') return {};
      std::string_view text = frame.substr(line_end + 2);
      text.remove_suffix(2);
      if (frame.front() == '=' && text.size() >= 4) text.remove_prefix(4);  // "txt:".
      return text;
    }
  }
  return {};
}

inline bool IsNullReply(std::string_view frame) {
  return frame.starts_with('_') || frame.starts_with("$-1") || frame.starts_with("*-1");
}

// The elements of a complete list, set or map (keys and values in turn), each a complete frame.
// False when `reply` is none of these.
inline bool ReadElements(std::string_view reply, std::vector<std::string_view>* elements) {
  elements->clear();
  const resp::AggregateHeader header = resp::ParseAggregateHeader(reply);
  if (header.count < 0) return false;
  std::string_view rest = reply.substr(header.header_bytes);
  resp::ReplyScanner scanner;
  const int64_t count = header.type == '%' ? 2 * header.count : header.count;
  for (int64_t i = 0; i < count; ++i) {
    const resp::ReplyScanner::Result result = scanner.Scan(rest);
    if (result.status != resp::ReplyScanner::Status::kFrame) return false;
    elements->push_back(rest.substr(0, result.consumed));
    rest.remove_prefix(result.consumed);
  }
  return true;
}

// Answers, and asks nothing.
class AnswerAtOnce final : public Operation {
 public:
  explicit AnswerAtOnce(std::string reply) : reply_(std::move(reply)) {}
  void Next(std::span<const std::string_view>, Round* round) override {
    round->Finish(std::move(reply_));
  }

 private:
  std::string reply_;
};

// `text` begins with its code and has no "-".
inline std::unique_ptr<Operation> AnswerError(std::string_view text) {
  std::string reply;
  resp::AppendError(&reply, text);
  return std::make_unique<AnswerAtOnce>(std::move(reply));
}

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";

}  // namespace rcproxy::proxy
