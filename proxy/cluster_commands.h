// CLUSTER: with --face=standalone the error of a server without a cluster, which is what makes a
// client treat rcproxy as one server; with --face=cluster a cluster of rcproxy's instances, field
// by field as a server describes one. Thread: the worker's.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> ClusterHandlers();

}  // namespace rcproxy::proxy
