// Whether a command has changed its keys, as far as its reply proves it: what a client with NOLOOP
// is not told of. Pure; any thread.
//
// "No" may be wrong, and then a client is told of its own change. "Yes" never is: a client that was
// not told of somebody else's change would keep an old value. So SADD counts when it has added
// something, and a command whose reply proves nothing, such as a script, does not count at all.
#pragma once

#include <string_view>

#include "cluster/command_table.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// `reply` is complete, or empty when it is not at hand.
bool HasChangedItsKeys(const cluster::CommandSpec& spec, const resp::CommandView& command,
                       std::string_view reply);

}  // namespace rcproxy::proxy
