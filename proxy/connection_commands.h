// What a client says about its connection: PING, HELLO, AUTH, CLIENT and the like. Texts and order
// of checks are those of redis-server 7.0.15 (CLIENT SETINFO and its kind: of the first server that
// has them).
//
// The handlers change nothing but the call's session. Thread: the worker's.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> ConnectionHandlers();

}  // namespace rcproxy::proxy
