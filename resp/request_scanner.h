// Finds one command in a client's bytes, as multibulk or inline, without copying and without
// allocating once the argument array has grown. Resumable: when a command is cut, Scan is called
// again with the same bytes and more behind them, at any address; nothing is looked at twice.
//
// Owner: the worker (one scratch scanner for whole commands), or a client with a partial command.
// Thread: the worker's. Invariants: 1. argument offsets are ascending and lie inside the scanned
// bytes; 2. after kCommand or kError nothing but Reset may be called before the next Scan; 3.
// size_hint() never exceeds the true size of the command. Protocol and error texts: networking.c of
// the server (processMultibulkBuffer, processInlineBuffer).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_view.h"

namespace rcproxy::resp {

// What a client may send. Before authentication the server's smaller limits apply.
struct RequestLimits {
  uint32_t args_max;
  uint32_t bulk_bytes_max;
  uint32_t inline_bytes_max;
  uint32_t command_bytes_max;
};

enum class ScanStatus : uint8_t {
  kNeedMore,  // The command is not complete.
  kCommand,   // command() is valid; consumed() bytes belong to it.
  kEmpty,     // consumed() bytes mean nothing ("*0", a negative count, an empty line): no reply.
  kError,     // error() is the reply's text; the connection closes after it.
};

class RequestScanner {
 public:
  // `input` begins at the command's first byte. Requires: input.size() >= the size given at the
  // last call since Reset.
  ScanStatus Scan(std::string_view input, const RequestLimits& limits);
  void Reset();

  // After kCommand. Valid while the input is and until Reset. An inline command is given in
  // multibulk form.
  CommandView command() const;
  // After kCommand and kEmpty: how many bytes of the input are done with.
  size_t consumed() const { return consumed_; }
  // A lower bound of the whole command's size, as far as it is known; grows.
  size_t size_hint() const { return size_hint_; }
  // After kError: the complete error line without CRLF, e.g. "-ERR Protocol error: invalid bulk
  // length". Empty when the connection has to be closed without a reply (cross-protocol attack:
  // POST, Host:).
  std::string_view error() const { return error_; }
};

}  // namespace rcproxy::resp
