// The text of PROXY INFO: the server's sections with what is true of rcproxy alone, and a section
// of its own with every counter. INFO takes its own part from it (operations/cluster_info.h).
//
// Pure but for the clock, /proc/self/statm, uname and getrusage. Any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/server_facts.h"

namespace rcproxy::proxy {

// `sections` as after PROXY INFO: names in any case; "default", "all" and "everything" stand for
// all. None asks for all; an unknown one adds nothing. Sections come in the server's order, each
// once.
std::string InfoText(const ServerFacts& facts, std::span<const std::string_view> sections);

}  // namespace rcproxy::proxy
