#include "resp/value.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "resp/resp_limits.h"

namespace rcproxy::resp {
namespace {

constexpr int64_t kStreamed = -2;  // A length or count of "?".

bool ParseInteger(std::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.empty() || text.size() >= kNumberBytesMax) return false;
  uint64_t magnitude = 0;  // At most 19 digits: cannot overflow.
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    magnitude = magnitude * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t bound = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (magnitude > bound) return false;
  *value = static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
  return true;
}

// Walks the bytes once. Recursion is bounded by kReplyDepthMax.
class ValueParser {
 public:
  explicit ValueParser(std::string_view input) : input_(input) {}

  bool Parse(int depth, Value* value);
  bool AtEnd() const { return position_ == input_.size(); }
  std::string Error() const {
    return absl::StrCat("malformed reply at byte ", position_, ": ", reason_);
  }

 private:
  bool Fail(const char* reason) {
    reason_ = reason;
    return false;
  }
  bool ReadLine(std::string_view* line);
  bool ReadLength(int64_t* length);
  bool ReadBytes(int64_t size, std::string* text);
  bool ParseScalar(char type, Value* value);
  bool ParseString(char type, Value* value);
  bool ParseChunks(std::string* text);
  bool ParseAggregate(char type, int depth, Value* value);
  bool ParseStreamed(int depth, Value* value);
  bool SkipAttribute(int depth);

  const std::string_view input_;  // The caller's; outlives the parser.
  size_t position_ = 0;
  const char* reason_ = "unexpected end";
};

bool ValueParser::ReadLine(std::string_view* line) {
  const size_t end = input_.find("\r\n", position_);
  if (end == std::string_view::npos) return Fail("line without an end");
  *line = input_.substr(position_, end - position_);
  position_ = end + 2;
  return true;
}

bool ValueParser::ReadLength(int64_t* length) {
  std::string_view line;
  if (!ReadLine(&line)) return false;
  if (line == "?") {
    *length = kStreamed;
    return true;
  }
  // Signs are for integers; the only length that has one is the "-1" of a null.
  const char sign = line.empty() ? '\0' : line[0];
  if (sign == '+' || !ParseInteger(line, length) || (sign == '-' && *length != -1)) {
    return Fail("invalid length");
  }
  return true;
}

bool ValueParser::ReadBytes(int64_t size, std::string* text) {
  const size_t left = input_.size() - position_;
  if (left < 2 || static_cast<uint64_t>(size) > left - 2) return Fail("string is cut");
  if (input_.substr(position_ + static_cast<size_t>(size), 2) != "\r\n") {
    return Fail("string without an end");
  }
  text->append(input_.substr(position_, static_cast<size_t>(size)));
  position_ += static_cast<size_t>(size) + 2;
  return true;
}

bool ValueParser::ParseScalar(char type, Value* value) {
  std::string_view line;
  if (!ReadLine(&line)) return false;
  value->text = line;
  switch (type) {
    case '+':
      value->type = Value::Type::kSimple;
      return true;
    case '-':
      value->type = Value::Type::kError;
      return true;
    case ',':
      value->type = Value::Type::kDouble;
      return !line.empty() || Fail("empty double");
    case '(':
      value->type = Value::Type::kBigNumber;
      return !line.empty() || Fail("empty big number");
    case '_':
      value->type = Value::Type::kNull;
      return line.empty() || Fail("null with a value");
    case '#':
      value->type = Value::Type::kBool;
      value->integer = line == "t" ? 1 : 0;
      value->text.clear();
      return line == "t" || line == "f" || Fail("invalid boolean");
    default:
      value->type = Value::Type::kInteger;
      value->text.clear();
      return ParseInteger(line, &value->integer) || Fail("invalid integer");
  }
}

bool ValueParser::ParseString(char type, Value* value) {
  int64_t length = 0;
  if (!ReadLength(&length)) return false;
  value->type = type == '$'   ? Value::Type::kBulk
                : type == '!' ? Value::Type::kError
                              : Value::Type::kVerbatim;
  if (length == kStreamed) return type == '$' ? ParseChunks(&value->text) : Fail("invalid length");
  if (length == -1) {
    if (type != '$') return Fail("invalid length");
    value->type = Value::Type::kNull;
    return true;
  }
  if (!ReadBytes(length, &value->text)) return false;
  if (type == '=') {
    if (value->text.size() < 4 || value->text[3] != ':') return Fail("verbatim without a format");
    value->text.erase(0, 4);
  }
  return true;
}

bool ValueParser::ParseChunks(std::string* text) {
  while (true) {
    if (AtEnd()) return Fail("string is cut");
    if (input_[position_++] != ';') return Fail("chunk expected");
    int64_t length = 0;
    if (!ReadLength(&length)) return false;
    if (length < 0) return Fail("invalid chunk length");
    if (length == 0) return true;
    if (!ReadBytes(length, text)) return false;
  }
}

bool ValueParser::ParseStreamed(int depth, Value* value) {
  while (input_.substr(position_, 3) != ".\r\n") {
    Value element;
    if (!Parse(depth + 1, &element)) return false;
    value->elements.push_back(std::move(element));
  }
  position_ += 3;
  if (value->type == Value::Type::kMap && value->elements.size() % 2 != 0) {
    return Fail("map with an odd number of elements");
  }
  return true;
}

bool ValueParser::ParseAggregate(char type, int depth, Value* value) {
  int64_t count = 0;
  if (!ReadLength(&count)) return false;
  value->type = type == '*'   ? Value::Type::kArray
                : type == '%' ? Value::Type::kMap
                : type == '~' ? Value::Type::kSet
                              : Value::Type::kPush;
  if (count == kStreamed) return type != '>' ? ParseStreamed(depth, value) : Fail("invalid count");
  if (count == -1) {
    if (type != '*') return Fail("invalid count");
    value->type = Value::Type::kNull;
    return true;
  }
  // An element takes three bytes at least, so a count that cannot be true is refused before any
  // memory is set aside for it.
  if (count > static_cast<int64_t>(input_.size())) return Fail("count exceeds the reply");
  if (type == '%') count *= 2;
  for (int64_t i = 0; i < count; ++i) {
    Value element;
    if (!Parse(depth + 1, &element)) return false;
    value->elements.push_back(std::move(element));
  }
  return true;
}

bool ValueParser::SkipAttribute(int depth) {
  int64_t pairs = 0;
  if (!ReadLength(&pairs)) return false;
  Value ignored;
  ignored.type = Value::Type::kMap;
  if (pairs == kStreamed) return ParseStreamed(depth, &ignored);
  if (pairs < 0 || pairs > static_cast<int64_t>(input_.size())) return Fail("invalid count");
  for (int64_t i = 0; i < pairs * 2; ++i) {
    Value element;
    if (!Parse(depth + 1, &element)) return false;
  }
  return true;
}

bool ValueParser::Parse(int depth, Value* value) {
  if (depth > kReplyDepthMax) return Fail("nested too deep");
  while (!AtEnd() && input_[position_] == '|') {
    ++position_;
    if (!SkipAttribute(depth)) return false;
  }
  if (AtEnd()) return Fail("unexpected end");
  const char type = input_[position_++];
  switch (type) {
    case '+':
    case '-':
    case ':':
    case ',':
    case '(':
    case '_':
    case '#':
      return ParseScalar(type, value);
    case '$':
    case '!':
    case '=':
      return ParseString(type, value);
    case '*':
    case '%':
    case '~':
    case '>':
      return ParseAggregate(type, depth, value);
    default:
      --position_;
      return Fail("unknown type");
  }
}

}  // namespace

const Value* Value::Find(std::string_view key) const {
  if (type != Type::kMap && type != Type::kArray) return nullptr;
  for (size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].IsString() && elements[i].text == key) return &elements[i + 1];
  }
  return nullptr;
}

absl::StatusOr<Value> ParseValue(std::string_view reply) {
  ValueParser parser(reply);
  Value value;
  if (!parser.Parse(0, &value)) return absl::InvalidArgumentError(parser.Error());
  if (!parser.AtEnd()) return absl::InvalidArgumentError("more than one reply");
  return value;
}

}  // namespace rcproxy::resp
