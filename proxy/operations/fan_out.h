// Commands for every primary whose replies become one by a rule of their own: RANDOMKEY, PUBSUB
// CHANNELS, FUNCTION STATS, SCRIPT KILL, MEMORY STATS and their like. What needs no code is a merge
// rule of the command table.
#pragma once

#include <span>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::span<const OperationRow> FanOutOperations();

}  // namespace rcproxy::proxy
