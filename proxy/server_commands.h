// What describes rcproxy as a server: TIME, INFO, ROLE, CLUSTER, CONFIG, the users, the slow log,
// and HELP of every container.
//
// rcproxy looks like one standalone server, so most of CLUSTER answers as a server without a
// cluster does: this is what makes a client treat it as one. Thread: the worker's.
#pragma once

#include <vector>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::vector<LocalHandlerRow> ServerHandlers();

}  // namespace rcproxy::proxy
