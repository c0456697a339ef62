// Follows the rest of a multibulk command whose bytes are passed on as they arrive instead of being
// kept: knows where the command ends, and that it is well-formed.
//
// Owner: a client that passes a command on. Thread: the worker's. Invariants: 1. Take never takes a
// byte behind the command; 2. any cut of the input into pieces gives the same answers; 3. holds no
// more than a length line. The bytes are not changed: what RequestScanner tolerates (any two bytes
// behind a payload, any byte behind a length's CR), the node tolerates too. A length line of more
// than kLineBytesMax bytes is refused; the server would allow 64 KiB of zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rcproxy::resp {

class CommandTail {
 public:
  static constexpr size_t kLineBytesMax = 31;

  // `payload_bytes` of the argument under way are still to come, without its CRLF, and behind it
  // `arguments` whole ones. `bytes_left`: how many bytes the payloads of those may have together.
  CommandTail(uint64_t payload_bytes, uint32_t arguments, uint32_t bulk_bytes_max,
              uint64_t bytes_left)
      : skip_(payload_bytes + 2),
        arguments_(arguments),
        bulk_bytes_max_(bulk_bytes_max),
        bytes_left_(bytes_left) {}

  // How many bytes of `input` belong to the command. Fewer than there are: done() or an error.
  size_t Take(std::string_view input);
  bool done() const { return skip_ == 0 && arguments_ == 0 && error_.empty(); }
  // The complete error line without CRLF, or empty.
  std::string_view error() const { return error_; }

 private:
  size_t TakeLine(std::string_view input);
  void EndLine();

  uint64_t skip_;  // Of a payload and its CRLF, or the byte behind a length's CR.
  uint32_t arguments_;
  const uint32_t bulk_bytes_max_;
  uint64_t bytes_left_;
  uint32_t line_bytes_ = 0;
  char line_[kLineBytesMax];
  std::string_view error_;
};

}  // namespace rcproxy::resp
