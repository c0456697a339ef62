// What COMMAND tells about a command besides the table's own columns: flags, categories, and the
// three numbers that described keys before there were key specs. Source: the server's documentation
// of COMMAND; compared with a server in local_commands_integration_test.
//
// Pure, any thread. The views live as long as the process.
#pragma once

#include <string_view>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/learnt_commands.h"

namespace rcproxy::proxy {

// Whether rcproxy gives more than an error for it. A container: for one of its subcommands.
bool IsServed(const cluster::CommandSpec& spec);
// Whether it is served, and known to the nodes if they are who execute it. `learnt`: nullptr as
// long as the nodes have not told.
bool IsListed(const cluster::CommandSpec& spec, const cluster::LearntCommands* learnt);

// "list" of "client|list".
std::string_view LastWord(std::string_view full_name);

// Argument numbers; all 0: no keys, or none that the three numbers can tell.
struct LegacyKeys {
  int first = 0;
  int last = 0;  // Negative: from the end.
  int step = 0;
  bool incomplete = false;  // There may be more keys: "movablekeys".
};
LegacyKeys LegacyKeysOf(const cluster::CommandSpec& spec);

// "readonly", "blocking", ... : those of the server's flags that the table knows.
std::vector<std::string_view> FlagNamesOf(const cluster::CommandSpec& spec);

// "@read", "@string", ... : those of the server's categories that follow from the table; never
// @fast and @slow.
std::vector<std::string_view> CategoriesOf(const cluster::CommandSpec& spec);
// All categories that CategoriesOf knows, with the "@".
std::vector<std::string_view> AllCategories();

}  // namespace rcproxy::proxy
