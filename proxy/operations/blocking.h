// BLPOP and its kind, XREAD and XREADGROUP with BLOCK: a command that may take as long as its
// client allows, on a connection of its own. When its slot moves, or its node stops being the
// primary, it waits elsewhere for the time that is left. When its node is lost, so do reads; of
// what takes an element it is not known whether it has, so the client is told that, unless
// --retry_blocking_pops lets pops wait on.
//
// With several keys of a slot that stays half moved no node executes it (TRYAGAIN). It is asked
// again until the client's timeout is over, and for a second at least, or until any other request
// would be given up; then the answer is the node's error.
//
// A client that leaves closes that connection, so the node gives it no element. An element that a
// node had sent when its connection broke is lost, as for a client without a proxy.
#pragma once

#include <memory>

#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

// nullptr when the command does not block in the form given (XREAD without BLOCK).
std::unique_ptr<Operation> MakeBlocking(const OperationCall& call);

}  // namespace rcproxy::proxy
