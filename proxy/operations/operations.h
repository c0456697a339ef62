// Which code answers the commands that take several questions to nodes.
//
//   a command with kFlagOperation             -> Make
//   one whose keys lie in several slots,
//   and that no rule of the table can split   -> MakeCrossSlot, unless --cross_slot=strict
//
// Owner: Worker. Thread: the worker's. The tables live as long as the process. For the ordinary
// command nothing here is called.
#pragma once

#include <memory>

#include "cluster/command_table.h"
#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "resp/command_view.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

class Operations {
 public:
  // All of them outlive this.
  Operations(Resources& resources, const ServerFacts& server, RoutingTable& table,
             const Router& router, TopologySource& topology, LocalHost& host)
      : facts_{resources.config,
               resources.commands,
               table,
               router.moving_slots(),
               topology,
               server,
               host,
               resources.writes} {}

  // Requires: spec.Has(kFlagOperation), arity checked. `writes` are the client's, and outlive the
  // operation.
  std::unique_ptr<Operation> Make(const cluster::CommandSpec& spec,
                                  const resp::CommandView& command, resp::Protocol protocol,
                                  WriteMarks* writes) const;
  // Requires: spec.Has(kFlagBlocking). nullptr when it does not block in the form given.
  std::unique_ptr<Operation> MakeBlocking(const cluster::CommandSpec& spec,
                                          const resp::CommandView& command,
                                          resp::Protocol protocol) const;
  // nullptr when CROSSSLOT is the answer.
  std::unique_ptr<Operation> MakeCrossSlot(const cluster::CommandSpec& spec,
                                           const resp::CommandView& command,
                                           resp::Protocol protocol) const;

 private:
  const OperationFacts facts_;
};

}  // namespace rcproxy::proxy
