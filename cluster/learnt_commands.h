// The commands that the nodes know and the built-in table does not, those of modules and of newer
// servers, with the route that follows from what the nodes report; and which built-in ones the
// nodes have.
//
// A built-in row is never replaced: whatever a node says, what rcproxy knows counts. Where what the
// nodes say is not enough to route a command, the row refuses it and its note says why. The same
// holds for subcommands of containers that are built in.
//
// Immutable; shared by all workers. Rows point into it, so it lives as long as any request may
// name one (KnownCommands). Per look-up of a name that is not built in: a binary search.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_report.h"
#include "cluster/command_table.h"

namespace rcproxy::cluster {

class LearntCommands {
 public:
  // `common` is what all nodes say.
  explicit LearntCommands(const CommandReport& common);
  LearntCommands(const LearntCommands&) = delete;
  LearntCommands& operator=(const LearntCommands&) = delete;

  // Case does not matter. nullptr for what is unknown or built in.
  const CommandSpec* Find(std::string_view name) const;
  // Of a container that is built in, those that only the nodes know, sorted by name. Their id is
  // LearntCommandId(), too.
  std::span<const CommandSpec> NewSubcommands(const CommandSpec& built_in) const;
  // One of them by its own word; nullptr for any other.
  const CommandSpec* FindNewSubcommand(const CommandSpec& built_in, std::string_view word) const;
  // Sorted by name; none is built in. The id of each is LearntCommandId().
  std::span<const CommandSpec> commands() const { return commands_; }
  // Whether the nodes know a command, or subcommand, of the built-in table.
  bool NodesHave(const CommandSpec& built_in) const { return nodes_have_[built_in.id]; }
  // Whether it answers every question alike.
  bool SameAs(const LearntCommands& other) const;

 private:
  CommandSpec MakeRow(const ReportedCommand& command, std::string full_name);
  void AddRow(const ReportedCommand& command);
  void NoteBuiltIn(const CommandSpec& built_in, const ReportedCommand& command);
  std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  std::deque<std::string> texts_;  // Of names and keywords.
  std::deque<std::vector<KeySpec>> keys_;
  std::deque<std::vector<CommandSpec>> subcommands_;
  std::vector<CommandSpec> commands_;
  std::map<uint16_t, std::vector<CommandSpec>> new_subcommands_;  // By the container's id.
  std::vector<bool> nodes_have_;                                  // By CommandSpec::id.
};

}  // namespace rcproxy::cluster
