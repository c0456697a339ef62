// Finds one command in a client's bytes, as multibulk or inline, without copying and without
// allocating once the argument array has grown. Resumable: when a command is cut, Scan is called
// again with the same bytes and more behind them, at any address; nothing is looked at twice.
//
// Owner: the worker (one scratch scanner for whole commands), or a client with a partial command,
// which takes the scratch's state by Swap. Thread: the worker's. Invariants: 1. argument offsets
// are ascending and lie inside the scanned bytes; 2. after kCommand, kEmpty or kError nothing but
// Reset may be called before the next Scan; 3. size_hint() never exceeds the true size of the
// command; 4. command().bytes() is well-formed multibulk, whatever the client sent; 5. any cut of
// the input into pieces gives the same commands. Protocol and error texts: networking.c of the
// server (processMultibulkBuffer, processInlineBuffer).
//
// Where we differ from the server, deliberately: a NUL byte in an inline command or a length line
// is an ordinary byte (the server waits for ever); unprintable bytes in "expected '$', got 'x'" are
// shown as a space; a command above command_bytes_max is answered with "-ERR Protocol error: too
// big request" (the server closes without a word). The server does not look at the byte behind a
// length's CR nor at the two behind a payload, and neither do we, but such a command is rewritten
// before it is given on.
//
// Per request: one pass over the length lines; about 25 instructions per argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_view.h"
#include "resp/resp_limits.h"

namespace rcproxy::resp {

// What a client may send. Before authentication the server's smaller limits apply.
struct RequestLimits {
  uint32_t args_max;
  uint32_t bulk_bytes_max;
  uint32_t inline_bytes_max;
  uint32_t command_bytes_max;  // Of a multibulk command; an inline one is bounded by its line.
  // False: what exceeds these limits but not the server's general ones is answered with the
  // server's "unauthenticated ..." texts.
  bool authenticated = true;
};

inline constexpr RequestLimits kDefaultRequestLimits = {kRequestArgsMax, kRequestBulkBytesMax,
                                                        kInlineBytesMax, kCommandBytesMax, true};
inline constexpr RequestLimits kUnauthenticatedRequestLimits = {
    kUnauthenticatedArgsMax, kUnauthenticatedBulkBytesMax, kInlineBytesMax,
    kUnauthenticatedCommandBytesMax, false};

enum class ScanStatus : uint8_t {
  kNeedMore,  // The command is not complete.
  kCommand,   // command() is valid; consumed() bytes belong to it.
  kEmpty,     // consumed() bytes mean nothing ("*0", a negative count, an empty line): no reply.
  kError,     // error() is the reply's text; the connection closes after it.
};

class RequestScanner {
 public:
  RequestScanner() = default;
  RequestScanner(const RequestScanner&) = delete;
  RequestScanner& operator=(const RequestScanner&) = delete;
  // The source is then as after construction.
  RequestScanner(RequestScanner&& other) noexcept { Swap(other); }
  RequestScanner& operator=(RequestScanner&& other) noexcept;
  // Exchanges everything, argument arrays included: both sides keep one that has grown.
  void Swap(RequestScanner& other) noexcept;

  // `input` begins at the command's first byte. Requires: input.size() >= the size given at the
  // last call since Reset.
  ScanStatus Scan(std::string_view input, const RequestLimits& limits);
  void Reset() {
    if (state_ != State::kStart) ResetAll();
  }

  // After kCommand. Valid while the input is and until Reset. An inline command is given in
  // multibulk form. The bytes are the input's own unless they had to be rewritten; then they are
  // the scanner's.
  CommandView command() const {
    const std::string_view bytes =
        data_ != nullptr ? std::string_view(data_, consumed_) : std::string_view(rewritten_);
    return CommandView(bytes, {args_.data(), args_count_});
  }
  // After kNeedMore: the argument whose length is known and whose bytes have not all come. `begin`
  // is its offset in the input, `bytes` its length, both 0 when there is none or when the command
  // will have to be rewritten. `index` of `arguments`.
  struct OpenArgument {
    size_t begin = 0;
    uint32_t bytes = 0;
    uint32_t index = 0;
    uint32_t arguments = 0;
  };
  OpenArgument open_argument() const {
    if (state_ != State::kPayload || malformed_ends_) return {};
    return {position_, payload_bytes_, args_count_, args_expected_};
  }
  // The arguments before it. `input`: as Scan had it.
  CommandView arguments_before(std::string_view input) const {
    return CommandView(input.substr(0, position_), {args_.data(), args_count_});
  }
  // After kCommand and kEmpty: how many bytes of the input are done with.
  size_t consumed() const { return consumed_; }
  // A lower bound of the whole command's size, as far as it is known; grows.
  size_t size_hint() const { return size_hint_; }
  // After kError: the complete error line without CRLF, e.g. "-ERR Protocol error: invalid bulk
  // length". Empty when the connection has to be closed without a reply (cross-protocol attack:
  // POST, Host:). Valid until Reset.
  std::string_view error() const { return error_; }

 private:
  enum class State : uint8_t {
    kStart,       // Nothing seen, or a whole command was read in one go.
    kInline,      // Looking for the end of the line.
    kCount,       // Looking for the end of "*n".
    kBulkHeader,  // Looking for the end of "$n" at position_.
    kPayload,     // payload_bytes_ and two more are due at position_.
    kDone,        // A result was given; only Reset leads on.
  };
  enum class Line : uint8_t { kComplete, kCut, kTooLong };

  void ResetAll();
  ScanStatus Resume(std::string_view input, const RequestLimits& limits);
  ScanStatus ScanArguments(std::string_view input, const RequestLimits& limits);
  ScanStatus ScanInline(std::string_view input, const RequestLimits& limits);
  ScanStatus ReadCount(std::string_view input, const RequestLimits& limits);
  ScanStatus ReadBulkHeader(std::string_view input, const RequestLimits& limits);
  bool TakePayload(std::string_view input);
  void TakeWholeArguments(std::string_view input, const RequestLimits& limits);
  Line FindLineEnd(std::string_view input, size_t* line_bytes);
  void ReserveArguments(size_t count);
  void Rewrite(std::string_view source);

  ScanStatus NeedMore(size_t hint);
  ScanStatus Finish(std::string_view input);
  ScanStatus Empty(size_t consumed);
  ScanStatus Fail(std::string_view text);
  ScanStatus FailOnPrefix(char found);

  std::vector<ArgSpan> args_;   // Its size is the room; args_count_ are in use.
  const char* data_ = nullptr;  // After kCommand: the caller's input, or null when rewritten.
  std::string rewritten_;       // The multibulk form, or an error text that is not constant.
  std::string_view error_;      // A constant, or rewritten_.
  size_t consumed_ = 0;
  size_t size_hint_ = 0;
  uint32_t args_count_ = 0;     // Complete arguments.
  uint32_t args_expected_ = 0;  // As "*n" says.
  uint32_t position_ = 0;       // First byte not yet understood.
  uint32_t line_searched_ = 0;  // Bytes behind position_ known not to end the line.
  uint32_t payload_bytes_ = 0;
  State state_ = State::kStart;
  bool malformed_ends_ = false;  // Some CRLF is not one: the command must be rewritten.
};

}  // namespace rcproxy::resp
