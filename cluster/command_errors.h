// The texts with which a server, and so rcproxy, refuses a command. Clients match on them, so they
// are those of redis-server 7.0 to the letter (server.c: processCommand, commandCheckExistence).
//
// All texts are the line between '-' and CRLF, both excluded: resp::Writer adds them. None contains
// CR, LF or NUL, whatever the client has sent. Pure; allocates, as errors are not the fast path.
#pragma once

#include <string>
#include <string_view>

#include "cluster/command_table.h"
#include "resp/command_view.h"

namespace rcproxy::cluster {

inline constexpr std::string_view kCrossSlotError =
    "CROSSSLOT Keys in request don't hash to the same slot";
inline constexpr std::string_view kClusterDisabled =
    "ERR This instance has cluster support disabled";

// For a name that nobody knows. Requires: command.size() >= 1.
// "ERR unknown command 'foo', with args beginning with: 'a' 'b' "
std::string UnknownCommandError(const resp::CommandView& command);
// For a container's subcommand that FindSubcommand does not know. Requires: command.size() >= 2.
// "ERR unknown subcommand 'x'. Try CLIENT HELP."
std::string UnknownSubcommandError(const resp::CommandView& command);
// "ERR wrong number of arguments for 'client|list' command"
std::string ArityError(const CommandSpec& spec);
// "ERR MONITOR is not available through rcproxy: send it to the node itself"
std::string NotAvailableError(const CommandSpec& spec);

}  // namespace rcproxy::cluster
