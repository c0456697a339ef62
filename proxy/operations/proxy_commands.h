// PROXY NODE, NODES, TOPOLOGY, REFRESH and EXPLAIN: what an operator asks of rcproxy, and of single
// nodes through it.
//
// A command for a node travels on the connection that all clients share, so those that change a
// connection, or keep it waiting, are refused. Only nodes of the map are reached.
#pragma once

#include <span>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::span<const OperationRow> ProxyOperations();

}  // namespace rcproxy::proxy
