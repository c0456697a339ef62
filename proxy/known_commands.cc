#include "proxy/known_commands.h"

#include <algorithm>
#include <utility>

#include "cluster/command_errors.h"

namespace rcproxy::proxy {

void KnownCommands::Adopt(std::shared_ptr<const cluster::LearntCommands> table) {
  learnt_ = table.get();
  if (std::ranges::find(tables_, table) == tables_.end()) tables_.push_back(std::move(table));
}

const cluster::CommandSpec* KnownCommands::FindByFullName(std::string_view name) const {
  const size_t bar = name.find('|');
  const cluster::CommandSpec* spec = Find(name.substr(0, bar));
  if (spec == nullptr || bar == std::string_view::npos) return spec;
  return FindSubcommand(*spec, name.substr(bar + 1));
}

std::string KnownCommands::UnknownError(const resp::CommandView& command) const {
  return Find(command[0]) == nullptr ? cluster::UnknownCommandError(command)
                                     : cluster::UnknownSubcommandError(command);
}

}  // namespace rcproxy::proxy
