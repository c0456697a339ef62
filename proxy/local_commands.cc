#include "proxy/local_commands.h"

#include <glog/logging.h>

#include <span>
#include <string_view>
#include <vector>

#include "cluster/command_errors.h"
#include "proxy/client_commands.h"
#include "proxy/cluster_commands.h"
#include "proxy/command_replies.h"
#include "proxy/connection_commands.h"
#include "proxy/local_call.h"
#include "proxy/server_commands.h"
#include "proxy/tracking_commands.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;

void NotAvailable(LocalCall& call) { call.Error(cluster::NotAvailableError(call.spec)); }

}  // namespace

std::vector<LocalCommands::Handler> LocalCommands::MakeHandlers() {
  std::vector<Handler> handlers(cluster::CommandIdCount(), {NotAvailable, /*waits=*/false});
  const auto add = [&handlers](std::span<const LocalHandlerRow> rows) {
    for (const LocalHandlerRow& row : rows) {
      handlers[cluster::CommandNamed(row.name).id] = {row.handler, row.waits};
    }
  };
  add(ConnectionHandlers());
  add(ClientHandlers());
  add(ClusterHandlers());
  add(CommandHandlers());
  add(ServerHandlers());
  add(TrackingHandlers());
  return handlers;
}

LocalCommands::LocalCommands(const ServerFacts& facts, LocalHost& host)
    : facts_(facts), host_(host) {
  static const std::vector<Handler>* const handlers = new std::vector<Handler>(MakeHandlers());
  handlers_ = handlers->data();
}

LocalCommands::After LocalCommands::Run(const CommandSpec& spec, const resp::CommandView& command,
                                        Session* session, std::string* reply) {
  DCHECK(spec.route == cluster::Route::kLocal) << spec.name;
  reply->clear();
  const CommandSpec* effective = &spec;
  if (command.size() > 1 && !spec.subcommands.empty()) {
    effective = cluster::FindSubcommand(spec, command[1]);
    if (effective == nullptr || !effective->ArityOk(command.size())) {
      resp::AppendError(reply, effective == nullptr ? cluster::UnknownSubcommandError(command)
                                                    : cluster::ArityError(*effective));
      return After::kContinue;
    }
  }
  LocalCall call = {facts_, *effective, command, *session, *reply, host_};
  handlers_[effective->id].run(call);
  operation_ = std::move(call.operation);
  if (operation_ != nullptr) return After::kOperation;
  DCHECK_EQ(reply->empty(), call.is_silent) << effective->name;
  return call.close ? After::kClose : After::kContinue;
}

}  // namespace rcproxy::proxy
