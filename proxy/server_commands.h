// What describes rcproxy as a server: TIME, INFO, ROLE, CONFIG, the users, the slow log, and HELP
// of every container. Thread: the worker's.
#pragma once

#include <vector>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::vector<LocalHandlerRow> ServerHandlers();

}  // namespace rcproxy::proxy
