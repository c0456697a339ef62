// What an error reply of a node means for the request it answers. Allocation-free. Texts: cluster.c
// of the server.
#pragma once

#include <cstdint>
#include <string_view>

namespace rcproxy::cluster {

enum class ErrorKind : uint8_t {
  kOther,        // For the client.
  kMoved,        // The slot has a new owner: slot, host, port.
  kAsk,          // This one request belongs to the importing node: slot, host, port.
  kTryAgain,     // Keys of a slot in migration are on two nodes.
  kClusterDown,  // The node does not serve (the slot) now.
  kLoading,      // The node reads its data set.
  kMasterDown,   // A replica without its primary.
  kReadOnly,     // The node has been demoted.
  kNoScript,     // EVALSHA: the node does not know the script.
  kNoFunction,   // FCALL: the node does not know the function.
};

struct Redirect {
  ErrorKind kind = ErrorKind::kOther;
  uint16_t slot = 0;
  std::string_view host;  // Into the reply, IPv6 without brackets. Empty: the same host that was
                          // asked. Never "?" (then it is empty and the port is 0).
  uint16_t port = 0;      // 0: unknown endpoint; refresh instead of following.
};

// `line` is an error reply, beginning with '-', with or without CRLF. A malformed redirect is
// kOther. Words behind the endpoint are skipped: a newer server may say more.
Redirect ParseErrorReply(std::string_view line);

}  // namespace rcproxy::cluster
