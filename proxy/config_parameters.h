// CONFIG GET and CONFIG SET: what rcproxy's settings are called in the server's words, and the
// settings of servers that clients ask for: those about the data are asked of a primary.
//
// Thread: the worker's. Config never changes; the log level alone can be set while rcproxy runs.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> ConfigHandlers();

}  // namespace rcproxy::proxy
