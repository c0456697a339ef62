// What a client says about its connection: PING, HELLO, AUTH, RESET and the like. Texts and order
// of checks are those of redis-server 7.0.15. For CLIENT see client_commands.h.
//
// The handlers change nothing but the call's session. Thread: the worker's.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> ConnectionHandlers();

}  // namespace rcproxy::proxy
