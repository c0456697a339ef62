// PROXY EXPLAIN: keys, slots, nodes, plan, merge rule and retry class of a command, without running
// it.
#pragma once

#include <string>

#include "cluster/command_table.h"
#include "proxy/operations/operation_call.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// One complete reply, a map. Requires: arity checked.
std::string Explain(const OperationCall& call, const cluster::CommandSpec& spec,
                    const resp::CommandView& command);

}  // namespace rcproxy::proxy
