// CLIENT's subcommands: what a client says about itself and how it wants to be answered, and those
// about all clients, which ask every worker: LIST, KILL, PAUSE, UNPAUSE; and CONFIG RESETSTAT,
// which does, too. Texts and order of checks are those of redis-server 7.0.15 (CLIENT SETINFO, CAPA
// and NO-TOUCH: of the first server that has them).
//
// The handlers change nothing but the call's session. Thread: the worker's.
#pragma once

#include <span>
#include <string_view>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> ClientHandlers();

// HELLO SETNAME and CLIENT SETNAME. Returns false after having answered with an error.
bool SetClientName(LocalCall& call, std::string_view name);

}  // namespace rcproxy::proxy
