// The commands that rcproxy answers itself: what clients send when they connect, and what describes
// rcproxy.
//
// Owner: Worker. Thread: the worker's. Nothing here blocks or waits for a node.
// Per PING: one table look-up, no allocation (the reply string keeps its capacity).
//
// The handlers are in tables, one per file: connection_commands, client_commands, cluster_commands,
// command_replies, server_commands, tracking_commands.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/local_host.h"
#include "proxy/operation.h"
#include "proxy/server_facts.h"
#include "proxy/session.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

struct LocalCall;

class LocalCommands {
 public:
  // `facts` and `host` outlive this object.
  LocalCommands(const ServerFacts& facts, LocalHost& host);

  enum class After : uint8_t {
    kContinue,
    kClose,      // QUIT: close after all replies up to this one have left.
    kOperation,  // The operation in operation() gives the reply.
  };
  // The command runs only when everything that its client asked before has been answered.
  bool WaitsForEarlier(const cluster::CommandSpec& spec) const { return handlers_[spec.id].waits; }
  // Requires: spec.route is kLocal (a subcommand's own spec where there is one) and the arity is
  // right. Of COMMAND, which is a command with and without a subcommand, either spec will do. Sets
  // `reply` to one complete reply, or to nothing where none is to be sent. A command of the table
  // that is not there yet gets the "not available" error.
  After Run(const cluster::CommandSpec& spec, const resp::CommandView& command, Session* session,
            std::string* reply);
  // Of the last Run, when it returned kOperation.
  std::unique_ptr<Operation> TakeOperation() { return std::move(operation_); }

 private:
  struct Handler {
    void (*run)(LocalCall& call);
    bool waits;
  };

  static std::vector<Handler> MakeHandlers();

  const ServerFacts& facts_;
  LocalHost& host_;
  const Handler* handlers_;  // By CommandSpec::id; lives as long as the process.
  std::unique_ptr<Operation> operation_;
};

}  // namespace rcproxy::proxy
