// The commands that a worker knows at this moment: those of the built-in table, and what was learnt
// from the nodes beyond it.
//
// Owner: Resources. Thread: the worker's.
// Invariant: a CommandSpec that was ever returned stays valid as long as this, because requests on
// their way point to theirs; so no table is given back (CommandLearner bounds how many there are).
// Per look-up of a built-in name: nothing but the built-in table's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/learnt_commands.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

class KnownCommands {
 public:
  KnownCommands() = default;
  KnownCommands(const KnownCommands&) = delete;
  KnownCommands& operator=(const KnownCommands&) = delete;

  // `table` takes the place of the one before, if any.
  void Adopt(std::shared_ptr<const cluster::LearntCommands> table);
  // nullptr before the nodes have told.
  const cluster::LearntCommands* learnt() const { return learnt_; }

  // nullptr for an unknown name. Case does not matter.
  const cluster::CommandSpec* Find(std::string_view name) const {
    const cluster::CommandSpec* spec = cluster::FindCommand(name);
    if (spec != nullptr || learnt_ == nullptr) [[likely]]
      return spec;
    return learnt_->Find(name);
  }
  // The row that decides about a command: of its subcommand, if it has any. nullptr: UnknownError
  // is the answer.
  const cluster::CommandSpec* FindFor(const resp::CommandView& command) const {
    const cluster::CommandSpec* spec = Find(command[0]);
    if (spec == nullptr || spec->subcommands.empty() || command.size() < 2) return spec;
    return FindSubcommand(*spec, command[1]);
  }
  const cluster::CommandSpec* FindSubcommand(const cluster::CommandSpec& container,
                                             std::string_view word) const {
    const cluster::CommandSpec* spec = cluster::FindSubcommand(container, word);
    if (spec != nullptr || learnt_ == nullptr) [[likely]]
      return spec;
    return learnt_->FindNewSubcommand(container, word);
  }
  // "get" or "client|list" in any case; nullptr for an unknown one.
  const cluster::CommandSpec* FindByFullName(std::string_view name) const;
  // Requires: FindFor(command) is nullptr. The server's text, without "-" and line end.
  std::string UnknownError(const resp::CommandView& command) const;

 private:
  const cluster::LearntCommands* learnt_ = nullptr;
  std::vector<std::shared_ptr<const cluster::LearntCommands>> tables_;  // All there ever were.
};

}  // namespace rcproxy::proxy
