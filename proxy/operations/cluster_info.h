// INFO: what one server of the cluster's size would say. The process that the client talks to is
// rcproxy; data and load are those of all primaries, made one (proxy/info_merger.h); the sections
// Proxy and Nodes and some lines of Cluster have no counterpart on a server.
//
// Each primary is asked at most once, and nobody when no section needs it. A primary that does not
// answer is left out, and the section Cluster then says how many have answered, asked for or not.
#pragma once

#include <memory>

#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::unique_ptr<Operation> MakeClusterInfo(const OperationCall& call);

}  // namespace rcproxy::proxy
