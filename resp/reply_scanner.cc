#include "resp/reply_scanner.h"

#include <algorithm>
#include <cstring>

#include "resp/number.h"
#include "resp/short_element.h"

namespace rcproxy::resp {

using Status = ReplyScanner::Status;

void ReplyScanner::Reset() {
  left_ = 0;
  error_ = "";
  depth_ = 0;
  state_ = State::kType;
  type_ = '\0';
  inside_ = false;
  after_attribute_ = false;
}

// A short reply that lies there as a whole takes this way; everything else goes through Resume.
ReplyScanner::Result ReplyScanner::Scan(std::string_view input) {
  if (inside_) return Resume(input);
  const size_t size = ShortElement(input.data(), input.data() + input.size());
  if (size == 0) return Resume(input);
  type_ = input[0];
  return {Status::kFrame, size};
}

ReplyScanner::Result ReplyScanner::Resume(std::string_view input) {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* p = begin;
  while (p != end) {
    const size_t whole = state_ == State::kType ? TakeWholeElements(p, end) : 0;
    p += whole;
    const Status status = whole != 0 ? FinishElement() : Step(&p, end);
    if (status != Status::kNeedMore) return {status, static_cast<size_t>(p - begin)};
  }
  return {Status::kNeedMore, input.size()};
}

// Takes the whole elements that come next, but none behind the last one of the innermost aggregate.
// All but the last are counted here, that one is left to FinishElement. Returns: their size.
size_t ReplyScanner::TakeWholeElements(const char* begin, const char* end) {
  const bool counted = depth_ > 0 && !TopIsStreamed();
  const uint64_t missing = counted ? elements_[depth_ - 1] : 1;
  uint64_t taken = 0;
  const char* p = begin;
  while (taken < missing) {
    size_t size = ShortElement(p, end);
    if (size == 0) size = MediumString(p, end);
    if (size == 0) break;
    p += size;
    ++taken;
  }
  if (taken == 0) return 0;
  if (counted) elements_[depth_ - 1] -= taken - 1;
  if (depth_ == 0) type_ = *begin;
  after_attribute_ = false;
  return static_cast<size_t>(p - begin);
}

// Takes at least one byte. Returns: kFrame when they complete the frame.
Status ReplyScanner::Step(const char** position, const char* end) {
  switch (state_) {
    case State::kLine:
    case State::kLineLf:
      SkipLine(position, end);
      return state_ == State::kType ? FinishElement() : Status::kNeedMore;
    case State::kPayload:
      SkipPayload(position, end);
      return Status::kNeedMore;
    case State::kType:
      return BeginElement(*(*position)++);
    case State::kChunkType:
      return BeginChunk(*(*position)++);
    case State::kNumber:
      return TakeNumberByte(*(*position)++);
    case State::kNumberLf:
      return *(*position)++ == '\n' ? EndNumber() : Fail("CR without LF");
    case State::kBoolean: {
      const char c = *(*position)++;
      state_ = State::kEndCr;
      return c == 't' || c == 'f' ? Status::kNeedMore : Fail("invalid boolean");
    }
    case State::kEndCr:
      state_ = State::kEndLf;
      return *(*position)++ == '\r' ? Status::kNeedMore : Fail("no CR where an element ends");
    case State::kEndLf:
      return *(*position)++ == '\n' ? TakeEnd() : Fail("no LF where an element ends");
  }
  return Fail("impossible state");
}

Status ReplyScanner::BeginElement(char type) {
  if (!inside_) type_ = '\0';  // The last frame's.
  inside_ = true;
  if (type == '.') return BeginClose();
  if (depth_ == 0 && type != '|') type_ = type;
  after_attribute_ = false;
  element_type_ = type;
  switch (type) {
    case '+':
    case '-':
    case ',':
    case '(':
      state_ = State::kLine;
      return Status::kNeedMore;
    case '_':
      state_ = State::kEndCr;
      return Status::kNeedMore;
    case '#':
      state_ = State::kBoolean;
      return Status::kNeedMore;
    case ':':
    case '$':
    case '!':
    case '=':
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return BeginNumber(type);
    default:
      return Fail("unknown type byte");
  }
}

Status ReplyScanner::BeginNumber(char type) {
  element_type_ = type;
  number_ = {0, 0, '\0'};
  state_ = State::kNumber;
  return Status::kNeedMore;
}

Status ReplyScanner::BeginChunk(char type) {
  return type == ';' ? BeginNumber(type) : Fail("chunk expected");
}

Status ReplyScanner::TakeNumberByte(char c) {
  if (c >= '0' && c <= '9' && number_.sign != '?') {
    // Nineteen digits cannot overflow, and no number in use has more.
    if (++number_.digits > 19) return Fail("number out of range");
    number_.magnitude = number_.magnitude * 10 + static_cast<uint64_t>(c - '0');
    return Status::kNeedMore;
  }
  if (c == '\r' && (number_.digits != 0 || number_.sign == '?')) {
    state_ = State::kNumberLf;
    return Status::kNeedMore;
  }
  if ((c == '-' || c == '+' || c == '?') && number_.digits == 0 && number_.sign == '\0') {
    number_.sign = c;
    return Status::kNeedMore;
  }
  return Fail("invalid number");
}

Status ReplyScanner::EndNumber() {
  switch (element_type_) {
    case ':':
      return EndInteger();
    case '$':
    case '!':
    case '=':
    case ';':
      return BeginPayload();
    default:
      return BeginAggregate();
  }
}

Status ReplyScanner::EndInteger() {
  const uint64_t bound = static_cast<uint64_t>(INT64_MAX) + (number_.sign == '-' ? 1 : 0);
  if (number_.sign == '?' || number_.magnitude > bound) return Fail("invalid integer");
  return FinishElement();
}

Status ReplyScanner::BeginPayload() {
  switch (number_.sign) {
    case '?':
      if (element_type_ != '$') return Fail("only strings are streamed in chunks");
      state_ = State::kChunkType;
      return Status::kNeedMore;
    case '-':
      if (element_type_ != '$' || number_.magnitude != 1) return Fail("negative length");
      return FinishElement();
    case '+':
      return Fail("invalid length");
    default:
      break;
  }
  if (number_.magnitude > kReplyBulkBytesMax) return Fail("string is too long");
  if (element_type_ == ';' && number_.magnitude == 0) return FinishElement();
  left_ = number_.magnitude;
  state_ = left_ == 0 ? State::kEndCr : State::kPayload;
  return Status::kNeedMore;
}

Status ReplyScanner::BeginAggregate() {
  const bool pairs = element_type_ == '%' || element_type_ == '|';
  switch (number_.sign) {
    case '?':
      if (element_type_ == '>') return Fail("a push cannot be streamed");
      if (element_type_ == '|') return Push(Aggregate::kStreamedAttribute, 0);
      return Push(pairs ? Aggregate::kStreamedMap : Aggregate::kStreamed, 0);
    case '-':
      if (element_type_ != '*' || number_.magnitude != 1) return Fail("negative count");
      return FinishElement();
    case '+':
      return Fail("invalid count");
    default:
      break;
  }
  if (number_.magnitude > kReplyElementsMax) return Fail("too many elements");
  const uint64_t elements = pairs ? number_.magnitude * 2 : number_.magnitude;
  if (elements != 0) {
    return Push(element_type_ == '|' ? Aggregate::kAttribute : Aggregate::kCounted, elements);
  }
  if (element_type_ != '|') return FinishElement();
  after_attribute_ = true;
  state_ = State::kType;
  return Status::kNeedMore;
}

Status ReplyScanner::Push(Aggregate kind, uint64_t elements) {
  if (depth_ == kReplyDepthMax) return Fail("nested too deep");
  elements_[depth_] = elements;
  aggregates_[depth_] = kind;
  ++depth_;
  state_ = State::kType;
  return Status::kNeedMore;
}

// A '.' where an element could begin: the end of a streamed aggregate.
Status ReplyScanner::BeginClose() {
  if (depth_ == 0 || !TopIsStreamed() || after_attribute_) return Fail("nothing to close");
  if (aggregates_[depth_ - 1] != Aggregate::kStreamed && elements_[depth_ - 1] != 0) {
    return Fail("a key without a value");
  }
  element_type_ = '.';
  state_ = State::kEndCr;
  return Status::kNeedMore;
}

Status ReplyScanner::TakeEnd() {
  if (element_type_ == '.') return FinishClose();
  if (element_type_ != ';') return FinishElement();
  state_ = State::kChunkType;
  return Status::kNeedMore;
}

Status ReplyScanner::FinishClose() {
  --depth_;
  if (aggregates_[depth_] != Aggregate::kStreamedAttribute) return FinishElement();
  after_attribute_ = true;
  state_ = State::kType;
  return Status::kNeedMore;
}

// An element is complete, and with it perhaps the aggregates of which it is the last one.
Status ReplyScanner::FinishElement() {
  state_ = State::kType;
  while (depth_ > 0) {
    uint64_t* const elements = &elements_[depth_ - 1];
    const Aggregate kind = aggregates_[depth_ - 1];
    if (kind >= Aggregate::kStreamed) {
      *elements ^= 1;
      return Status::kNeedMore;
    }
    if (--*elements != 0) return Status::kNeedMore;
    --depth_;
    if (kind == Aggregate::kAttribute) {
      after_attribute_ = true;
      return Status::kNeedMore;
    }
  }
  inside_ = false;
  return Status::kFrame;
}

Status ReplyScanner::Fail(const char* reason) {
  error_ = reason;
  return Status::kError;
}

// Leaves the state at kType behind the line's end, at kLineLf behind a CR, else at kLine.
void ReplyScanner::SkipLine(const char** position, const char* end) {
  const char* p = *position;
  while (p != end) {
    if (state_ == State::kLineLf && *p == '\n') {
      state_ = State::kType;
      *position = p + 1;
      return;
    }
    const void* cr = std::memchr(p, '\r', static_cast<size_t>(end - p));
    state_ = cr == nullptr ? State::kLine : State::kLineLf;
    p = cr == nullptr ? end : static_cast<const char*>(cr) + 1;
  }
  *position = end;
}

void ReplyScanner::SkipPayload(const char** position, const char* end) {
  const uint64_t size = std::min<uint64_t>(left_, static_cast<uint64_t>(end - *position));
  *position += size;
  left_ -= size;
  if (left_ == 0) state_ = State::kEndCr;
}

namespace {

// The bytes of the attributes in front of a complete reply; npos when they do not end.
size_t AttributeBytes(std::string_view reply) {
  size_t at = 0;
  while (at < reply.size() && reply[at] == '|') {
    // An attribute reads like a map.
    std::string_view rest = reply.substr(at);
    ReplyScanner scanner;
    if (scanner.Scan("%").status != Status::kNeedMore) return std::string_view::npos;
    const ReplyScanner::Result result = scanner.Scan(rest.substr(1));
    if (result.status != Status::kFrame) return std::string_view::npos;
    at += result.consumed + 1;
  }
  return at;
}

// Counts the elements of a streamed aggregate up to its "."; -1 when it has no end.
int64_t CountStreamed(std::string_view elements) {
  int64_t count = 0;
  ReplyScanner scanner;
  while (!elements.empty() && elements[0] != '.') {
    const ReplyScanner::Result result = scanner.Scan(elements);
    if (result.status != Status::kFrame) return -1;
    elements.remove_prefix(result.consumed);
    ++count;
  }
  return elements.empty() ? -1 : count;
}

}  // namespace

AggregateHeader ParseAggregateHeader(std::string_view reply) {
  AggregateHeader header;
  const size_t begin = AttributeBytes(reply);
  if (begin >= reply.size()) return header;
  header.type = reply[begin];
  if (std::memchr("*%~>", header.type, 4) == nullptr) return header;
  const size_t line_end = reply.find("\r\n", begin);
  if (line_end == std::string_view::npos) return header;
  header.header_bytes = line_end + 2;
  const std::string_view count = reply.substr(begin + 1, line_end - begin - 1);
  if (count == "?") {
    header.count = CountStreamed(reply.substr(header.header_bytes));
    if (header.type == '%' && header.count > 0) header.count /= 2;
  } else if (!ParseStrictInteger(count, &header.count) || header.count < 0) {
    header.count = -1;
  }
  return header;
}

bool ParseIntegerReply(std::string_view reply, int64_t* value) {
  if (reply.size() < 4 || reply[0] != ':' || !IsCrlf(reply.data() + reply.size() - 2)) return false;
  return ParseStrictInteger(reply.substr(1, reply.size() - 3), value);
}

}  // namespace rcproxy::resp
