// Any bytes as a reply to COMMAND: an error, or commands whose keys can be looked for in any
// command of theirs; never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/command_for_test.h"
#include "cluster/command_keys.h"
#include "cluster/command_report.h"
#include "cluster/command_report_parser.h"
#include "cluster/command_table.h"
#include "cluster/learnt_commands.h"

namespace rcproxy::cluster {
namespace {

void CheckKeys(const CommandSpec& spec) {
  for (const char* line : {"x", "x 1", "x 2 a b", "x a 1 STREAMS b c", "x a b c d e f g h"}) {
    const CommandForTest command(Words(line));
    const KeyRuns keys = FindKeys(spec, command.view());
    AnyKey(command.view(), keys, [](std::string_view key) { return key.size() > 7; });
  }
  for (const CommandSpec& subcommand : spec.subcommands) CheckKeys(subcommand);
}

void CheckReply(std::string_view reply) {
  absl::StatusOr<CommandReport> report = ParseCommandReply(reply);
  if (!report.ok()) return;
  const CommandReport copy = *report;
  if (KeepCommon(&*report, copy)) std::abort();
  const LearntCommands table(*report);
  for (const CommandSpec& spec : table.commands()) {
    if (table.Find(spec.name) != &spec || FindCommand(spec.name) != nullptr) std::abort();
    CheckKeys(spec);
  }
  if (!table.SameAs(LearntCommands(copy))) std::abort();
}

}  // namespace
}  // namespace rcproxy::cluster

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rcproxy::cluster::CheckReply({reinterpret_cast<const char*>(data), size});
  return 0;
}
