// WATCH: the keys are watched on a connection that is the client's until EXEC, DISCARD or UNWATCH.
//
//   WATCH k   -> the connection is taken, and the node told
//   GET k ... -> as ever, on connections that clients share
//   MULTI ... EXEC -> the transaction goes over the connection; then others may have it
//
// When the connection or the slot is lost meanwhile nobody knows whether the keys were touched:
// EXEC is answered with null, as if they had been, and the client begins anew. All keys of a client
// that watches, and of the transaction behind, share one slot.
//
// Owner: ClientBindings, then the operation that ends it. Thread: the worker's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/held_link.h"
#include "proxy/operation.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

struct Watch {
  explicit Watch(uint16_t slot) : slot(slot) {}

  bool IsBroken() const { return is_watching && held.link() == nullptr; }

  const uint16_t slot;
  bool is_watching = false;  // The node has agreed.
  HeldLink held;
};

// `command` is WATCH with keys of the watch's slot. `watch` outlives the operation.
std::unique_ptr<Operation> MakeWatchOperation(Watch* watch, std::string_view command);
// Sends `unit`, MULTI to EXEC.
std::unique_ptr<Operation> MakeExecOperation(std::unique_ptr<Watch> watch, std::string unit,
                                             resp::Protocol protocol);
// Ends the watch, and answers with `reply`.
std::unique_ptr<Operation> MakeUnwatchOperation(std::unique_ptr<Watch> watch, std::string reply);

}  // namespace rcproxy::proxy
