// COMMAND and its subcommands, made from the command table in the shapes of redis-server 7.0.15.
//
// Lists hold what rcproxy serves: a client that asks whether a command is there gets a true answer.
// Thread: the worker's; only views of the immutable table.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> CommandHandlers();

}  // namespace rcproxy::proxy
