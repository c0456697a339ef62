// Which commands a client that monitors wants to see: all (MONITOR), or some (PROXY MONITOR).
//
//   PROXY MONITOR [MATCH pattern] [COMMAND name [name ...]] [ADDR ip:port] [ID client-id]
//
// Pure but for asking the kernel for the address of a socket. Thread: Matches on the one that owns
// the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/known_commands.h"
#include "proxy/session.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// What is not set lets every command through.
struct MonitorFilter {
  std::optional<std::string> key_pattern;  // One of its keys matches.
  std::vector<std::string> commands;       // "get", "client" with its subcommands, "client|list".
  std::optional<std::string> address;      // Of the client.
  std::optional<int64_t> client_id;

  bool Matches(const Session& session, const cluster::CommandSpec& spec,
               const resp::CommandView& command) const;
};

// `command` is MONITOR or PROXY MONITOR. Returns "" or why it is refused.
std::string ParseMonitorFilter(const resp::CommandView& command, const KnownCommands& known,
                               MonitorFilter* filter);

}  // namespace rcproxy::proxy
