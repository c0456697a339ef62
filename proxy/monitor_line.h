// How MONITOR shows one command: the server's line, without secrets. Pure; any thread.
//
// Source: replicationFeedMonitors of the server's replication.c; sdscatrepr of sds.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/command_table.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// Commands for administrators are not shown.
bool IsShownToMonitors(const cluster::CommandSpec& spec);

// +1339518083.107412 [0 127.0.0.1:60866] "set" "key" "value", with CR LF. `now_us` since 1970.
// `client`: its database and address. `bytes_max` bounds what is shown of one argument.
std::string MonitorLine(int64_t now_us, std::string_view client, const cluster::CommandSpec& spec,
                        const resp::CommandView& command, size_t bytes_max);

}  // namespace rcproxy::proxy
