// Finds the end of one reply in a node's bytes: RESP2 and all of RESP3, nested, with attributes,
// pushes and streamed forms. Builds no tree, keeps no bytes: any cut of the stream gives the same
// frames, and a large value can be passed on while it is still arriving.
//
// Owner: an UpstreamConnection, or a merger walking the elements of a complete reply. Thread: the
// worker's. Invariants: 1. consumed <= input size; 2. only the last consumed byte of a frame
// completes it; 3. depth <= kDepthMax. Per request: one pass over type bytes and lengths; payload
// bytes are skipped, not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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
  // '$', '*', '_', '#',
  // ',', '(', '!', '=', '%', '~', '>'. An attribute is part of the frame it precedes and does not
  // count.
  char type() const;
  bool InsideFrame() const;  // Some byte of a frame has been consumed, but not its last.
  // A reason for kError, for the log.
  std::string_view error() const;
};

// The header of a complete aggregate reply: element count and header size.
struct AggregateHeader {
  char type = 0;
  int64_t count = -1;  // -1: null or not an aggregate.
  size_t header_bytes = 0;
};
AggregateHeader ParseAggregateHeader(std::string_view reply);

// Reads ":<n>\r\n". Returns false when it is something else.
bool ParseIntegerReply(std::string_view reply, int64_t* value);

}  // namespace rcproxy::resp
