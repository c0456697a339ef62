// What an operation is made from, and the rows that tell which function makes it.
//
// Owner: Operations::Make, for the length of one call; an operation keeps what it needs. Thread:
// the worker's.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "cluster/command_table.h"
#include "proxy/config.h"
#include "proxy/known_commands.h"
#include "proxy/local_host.h"
#include "proxy/moving_slots.h"
#include "proxy/operation.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/server_facts.h"
#include "proxy/write_marks.h"
#include "resp/command_view.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

// What operations know of the cluster. Outlives them all.
struct OperationFacts {
  const Config& config;
  const KnownCommands& commands;
  RoutingTable& table;
  const MovingSlots& moving_slots;
  TopologySource& topology;
  const ServerFacts& server;
  LocalHost& host;
  WriteHistory& writes;
};

struct OperationCall {
  const OperationFacts& facts;
  const cluster::CommandSpec& spec;
  const resp::CommandView& command;  // Valid while the operation is made.
  resp::Protocol protocol;           // Of the reply.
  WriteMarks* writes = nullptr;      // Of the client; outlives the operation.
};

// Never null: what is wrong with the command is an operation that finishes at once.
using OperationFactory = std::unique_ptr<Operation> (*)(const OperationCall& call);

struct OperationRow {
  std::string_view name;  // As in the command table.
  OperationFactory make;
};

}  // namespace rcproxy::proxy
