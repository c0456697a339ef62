// Finds the end of one reply in a node's bytes: RESP2 and all of RESP3, nested, with attributes,
// pushes and streamed forms. Builds no tree, keeps no bytes: any cut of the stream gives the same
// frames, and a large value can be passed on while it is still arriving.
//
// Owner: an UpstreamConnection, or a merger walking the elements of a complete reply. Thread: the
// worker's. Invariants: 1. consumed <= input size; 2. only the last consumed byte of a frame
// completes it; 3. depth <= kReplyDepthMax. Per request: one pass over type bytes and lengths;
// payload bytes are skipped, not read. Whatever a node sends, the worst outcome is kError.
//
// Strict where a mistake would lose the place in the stream (types, lengths, the CRLF behind a
// payload), lenient where it would not: the text of doubles, big numbers and simple strings is not
// looked at, and a line ends at its first CRLF. Protocol: the RESP2 and RESP3 specifications.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resp/resp_limits.h"

namespace rcproxy::resp {

class ReplyScanner {
 public:
  enum class Status : uint8_t { kNeedMore, kFrame, kError };
  struct Result {
    Status status;
    size_t consumed;  // kNeedMore: all of the input. kFrame: up to and including the frame's last
                      // byte.
  };

  // Consumes up to the end of one frame. After kFrame the next call begins the next frame. After
  // kError: Reset.
  Result Scan(std::string_view input);
  void Reset();

  // Type byte of the current (or just completed) frame, '\0' before its first byte: '+', '-', ':',
  // '$', '*', '_', '#', ',', '(', '!', '=', '%', '~', '>'. An attribute is part of the frame it
  // precedes and does not count.
  char type() const { return type_; }
  // Some byte of a frame has been consumed, but not its last.
  bool InsideFrame() const { return inside_; }
  // A reason for kError, for the log.
  std::string_view error() const { return error_; }

 private:
  enum class State : uint8_t {
    kType,       // The type byte of an element.
    kChunkType,  // The ';' of the next chunk of a streamed string.
    kNumber,     // Digits of a length, a count or an integer.
    kNumberLf,   // Its LF.
    kLine,       // Text up to CRLF.
    kLineLf,     // As kLine, just behind a CR.
    kBoolean,    // 't' or 'f'.
    kPayload,    // left_ bytes.
    kEndCr,      // The CRLF behind a payload, or of an element without one.
    kEndLf,
  };
  enum class Aggregate : uint8_t {
    kCounted,
    kAttribute,
    kStreamed,
    kStreamedMap,
    kStreamedAttribute
  };
  struct Number {
    uint64_t magnitude;
    uint8_t digits;
    char sign;  // '-', '+', '?' for a streamed form, or '\0'.
  };

  Result Resume(std::string_view input);
  size_t TakeWholeElements(const char* begin, const char* end);
  Status Step(const char** position, const char* end);
  Status BeginElement(char type);
  Status BeginNumber(char type);
  Status BeginChunk(char type);
  Status TakeNumberByte(char c);
  Status EndNumber();
  Status EndInteger();
  Status BeginPayload();
  Status BeginAggregate();
  Status Push(Aggregate kind, uint64_t elements);
  Status BeginClose();
  Status TakeEnd();
  Status FinishClose();
  Status FinishElement();
  Status Fail(const char* reason);
  void SkipLine(const char** position, const char* end);
  void SkipPayload(const char** position, const char* end);
  // Requires: depth_ > 0.
  bool TopIsStreamed() const { return aggregates_[depth_ - 1] >= Aggregate::kStreamed; }

  uint64_t left_ = 0;       // kPayload: bytes still to skip.
  Number number_ = {};      // kNumber, kNumberLf.
  const char* error_ = "";  // A constant.
  int depth_ = 0;           // Open aggregates.
  State state_ = State::kType;
  char type_ = '\0';              // Of the frame.
  char element_type_ = '\0';      // Of the element being read; ';' for a chunk, '.' for a close.
  bool inside_ = false;           // When false: state_ is kType, depth_ 0, after_attribute_ false.
  bool after_attribute_ = false;  // An attribute is complete, and what it belongs to must follow.
  // One entry per open aggregate, outermost first; those at depth_ and above mean nothing.
  // elements_: how many are still missing. Streamed: how many have come, modulo 2.
  uint64_t elements_[kReplyDepthMax];
  Aggregate aggregates_[kReplyDepthMax];
};

// The header of a complete aggregate reply: element count and header size.
struct AggregateHeader {
  char type = 0;
  int64_t count = -1;  // -1: null or not an aggregate. As on the wire: a map's count is of pairs.
                       // Streamed: counted, without the closing ".".
  size_t header_bytes = 0;  // Up to the first element; attributes in front are part of it.
};
// Requires: one complete, well-formed reply. Anything else gives count -1.
AggregateHeader ParseAggregateHeader(std::string_view reply);

// Reads ":<n>\r\n". Returns false when it is something else.
bool ParseIntegerReply(std::string_view reply, int64_t* value);

}  // namespace rcproxy::resp
