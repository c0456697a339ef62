// The commands that rcproxy answers itself: what clients send when they connect, and what describes
// rcproxy.
//
// Owner: Worker. Thread: the worker's. Nothing here blocks or waits for a node.
// Per PING: one table look-up, no allocation (the reply string keeps its capacity).
//
// The handlers are in tables, one per file: connection_commands, command_replies, server_commands.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/command_table.h"
#include "proxy/server_facts.h"
#include "proxy/session.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

struct LocalCall;

class LocalCommands {
 public:
  // `facts` outlives this object.
  explicit LocalCommands(const ServerFacts& facts);

  enum class After : uint8_t {
    kContinue,
    kClose,  // QUIT: close after all replies up to this one have left.
  };
  // Requires: spec.route is kLocal (a subcommand's own spec where there is one) and the arity is
  // right. Of COMMAND, which is a command with and without a subcommand, either spec will do. Sets
  // `reply` to one complete reply. A command of the table that is not there yet gets the "not
  // available" error.
  After Run(const cluster::CommandSpec& spec, const resp::CommandView& command, Session* session,
            std::string* reply);

 private:
  const ServerFacts& facts_;
  void (*const* handlers_)(LocalCall& call);  // By CommandSpec::id; lives as long as the process.
};

}  // namespace rcproxy::proxy
