// What one node says about its commands: its reply to COMMAND, read but not judged (LearntCommands
// does that), and what several nodes say in common.
//
// Everything here comes from the network: an entry that is not of the documented form is left out,
// a reply that is not as a whole is an error. Pure, any thread. Source: the servers' documentation
// of COMMAND, of key specifications and of command tips.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_keys.h"
#include "cluster/command_table.h"

namespace rcproxy::cluster {

// Of the flags that servers report, those that matter to a proxy.
enum ReportedFlag : uint16_t {
  kReportedWrite = 1 << 0,
  kReportedRead = 1 << 1,
  kReportedAdmin = 1 << 2,
  kReportedPubSub = 1 << 3,
  kReportedBlocking = 1 << 4,
  kReportedNoMulti = 1 << 5,
  kReportedModule = 1 << 6,
  kReportedMayReplicate = 1 << 7,
};

// The tips "request_policy:" and "response_policy:". kOther is one that needs code of its own.
enum class RequestPolicy : uint8_t { kNone, kAllNodes, kAllShards, kMultiShard, kOther };
enum class ResponsePolicy : uint8_t { kNone, kAllSucceeded, kLogicalAnd, kMin, kSum, kOther };

struct ReportedKeys {
  KeySpec spec;         // Without its keyword,
  std::string keyword;  // which is here.

  bool operator==(const ReportedKeys&) const = default;
};

struct ReportedCommand {
  static constexpr size_t kKeysMax = KeyRuns::kMax;
  static constexpr size_t kNameBytesMax = 64;

  std::string name;  // Lower case; of a subcommand its own word: "list".
  int16_t arity = 0;
  uint16_t flags = 0;                 // Of ReportedFlag.
  bool keys_are_known = true;         // `keys` finds all keys; else it is empty.
  bool tells_of_subcommands = false;  // Servers before 7.0 do not.
  bool is_disputed = false;           // Nodes describe it differently.
  RequestPolicy request_policy = RequestPolicy::kNone;
  ResponsePolicy response_policy = ResponsePolicy::kNone;
  std::vector<ReportedKeys> keys;            // At most kKeysMax.
  std::vector<ReportedCommand> subcommands;  // Sorted by name, each once.

  bool Has(ReportedFlag flag) const { return (flags & flag) != 0; }
};

// Sorted by name, each once.
using CommandReport = std::vector<ReportedCommand>;

// The one with this name in lower case, or nullptr.
const ReportedCommand* FindReported(const CommandReport& report, std::string_view name);

// Removes from `common` what `other` does not have. Returns whether one had a name that the other
// had not.
bool KeepCommon(CommandReport* common, const CommandReport& other);

}  // namespace rcproxy::cluster
