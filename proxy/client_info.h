// How CLIENT INFO describes one client: the server's line of field=value pairs.
//
// Pure but for asking the kernel for the addresses of the client's socket. Any thread that owns the
// session.
#pragma once

#include <string>
#include <string_view>

#include "proxy/session.h"

namespace rcproxy::proxy {

// One line that ends with LF, as CLIENT INFO has it. What rcproxy does not keep is 0. `command` is
// the one that asks.
std::string ClientInfoLine(const Session& session, std::string_view command);

}  // namespace rcproxy::proxy
