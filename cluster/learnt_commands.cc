#include "cluster/learnt_commands.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace rcproxy::cluster {
namespace {

struct Judgement {
  Route route = Route::kRefuse;
  Merge merge = Merge::kNone;
  std::string_view note = "as the nodes describe it";
};

constexpr Judgement Refuse(std::string_view why) { return {.note = why}; }

std::optional<Merge> MergeOf(ResponsePolicy policy) {
  switch (policy) {
    case ResponsePolicy::kNone:
      return Merge::kConcat;
    case ResponsePolicy::kAllSucceeded:
      return Merge::kAllOk;
    case ResponsePolicy::kLogicalAnd:
      return Merge::kAnd;
    case ResponsePolicy::kMin:
      return Merge::kMin;
    case ResponsePolicy::kSum:
      return Merge::kSum;
    case ResponsePolicy::kOther:
      return std::nullopt;
  }
  return std::nullopt;
}

Judgement JudgeKeyless(const ReportedCommand& command) {
  const std::optional<Merge> merge = MergeOf(command.response_policy);
  switch (command.request_policy) {
    case RequestPolicy::kNone:
      if (command.Has(kReportedRead)) return {.route = Route::kAnyPrimary};
      return Refuse("it has no key, and the nodes do not say which of them it is for");
    case RequestPolicy::kAllNodes:
    case RequestPolicy::kAllShards: {
      if (!merge.has_value()) return Refuse("its replies cannot be merged by a rule");
      const bool all_nodes = command.request_policy == RequestPolicy::kAllNodes;
      return {.route = all_nodes ? Route::kAllNodes : Route::kAllPrimaries, .merge = *merge};
    }
    case RequestPolicy::kMultiShard:
    case RequestPolicy::kOther:
      return Refuse("the nodes do not say which of them it is for");
  }
  return Refuse("the nodes do not say which of them it is for");
}

// All arguments are keys, so that a part of them makes a command: DEL key ...
bool HasKeysOnly(const ReportedCommand& command) {
  const KeySpec& keys = command.keys[0].spec;
  return command.keys.size() == 1 && keys.begin == KeySpec::Begin::kIndex && keys.index == 1 &&
         keys.find == KeySpec::Find::kRange && keys.last == -1 && keys.step == 1 &&
         keys.limit <= 1 && !keys.is_channel;
}

Judgement JudgeKeyed(const ReportedCommand& command) {
  if (command.request_policy == RequestPolicy::kMultiShard && HasKeysOnly(command)) {
    switch (command.response_policy) {
      case ResponsePolicy::kNone:
        return {.route = Route::kSplit, .merge = Merge::kKeyOrder};
      case ResponsePolicy::kAllSucceeded:
        return {.route = Route::kSplit, .merge = Merge::kAllOk};
      case ResponsePolicy::kSum:
        return {.route = Route::kSplit, .merge = Merge::kSum};
      case ResponsePolicy::kLogicalAnd:
      case ResponsePolicy::kMin:
      case ResponsePolicy::kOther:
        break;
    }
  }
  return {.route = Route::kKeyed};
}

// BLPOP key ... timeout: where all but the last argument are keys, that is the timeout.
Judgement JudgeBlocking(const ReportedCommand& command) {
  if (command.keys.size() == 1) {
    const KeySpec& keys = command.keys[0].spec;
    if (keys.begin == KeySpec::Begin::kIndex && keys.find == KeySpec::Find::kRange &&
        keys.last == -2 && keys.step == 1 && keys.limit <= 1) {
      return {.route = Route::kBlocking};
    }
  }
  return Refuse("it may block, and the nodes do not say where its timeout is");
}

// By all that servers report, a command that neither reads nor writes may be one that changes its
// connection, as MULTI and SELECT do.
bool MayChangeTheConnection(const ReportedCommand& command) {
  constexpr uint16_t kAboutData =
      kReportedRead | kReportedWrite | kReportedModule | kReportedMayReplicate;
  return (command.flags & kAboutData) == 0 && command.request_policy == RequestPolicy::kNone;
}

Judgement Judge(const ReportedCommand& command) {
  if (!command.subcommands.empty()) return {.route = Route::kContainer};
  if (command.is_disputed) return Refuse("the nodes do not describe it alike");
  if (command.Has(kReportedAdmin))
    return {.route = Route::kNodeOnly, .note = "send it to the node itself"};
  if (command.Has(kReportedPubSub))
    return Refuse("connections to the nodes are shared, and it is about subscriptions");
  if (!command.keys_are_known) return Refuse("the nodes do not say where its keys are");
  if (command.Has(kReportedBlocking)) return JudgeBlocking(command);
  if (MayChangeTheConnection(command))
    return Refuse("it may change the connection to the node, which is shared");
  return command.keys.empty() ? JudgeKeyless(command) : JudgeKeyed(command);
}

uint16_t FlagsOf(const ReportedCommand& command) {
  constexpr struct {
    ReportedFlag reported;
    CommandFlag flag;
  } kSame[] = {
      {kReportedWrite, kFlagWrite},
      {kReportedAdmin, kFlagAdmin},
      {kReportedPubSub, kFlagPubSub},
      {kReportedBlocking, kFlagBlocking},
      {kReportedNoMulti, kFlagNoMulti},
      {kReportedModule, kFlagModule},
      {kReportedMayReplicate, kFlagMayReplicate},
  };
  unsigned flags = 0;
  for (const auto& same : kSame) {
    if (command.Has(same.reported)) flags |= same.flag;
  }
  const bool reads = command.Has(kReportedRead) && !command.Has(kReportedWrite);
  if (reads) flags |= kFlagRead | kFlagIdempotent;
  if (reads && !command.keys.empty()) flags |= kFlagReplicaOk;
  if (!reads && !command.Has(kReportedWrite)) flags |= kFlagMayReplicate;  // It does not say.
  return static_cast<uint16_t>(flags);
}

bool SameRows(std::span<const CommandSpec> a, std::span<const CommandSpec> b) {
  return std::ranges::equal(a, b, [](const CommandSpec& left, const CommandSpec& right) {
    return left.name == right.name && left.arity == right.arity && left.route == right.route &&
           left.merge == right.merge && left.flags == right.flags && left.note == right.note &&
           std::ranges::equal(left.keys, right.keys) &&
           SameRows(left.subcommands, right.subcommands);
  });
}

}  // namespace

LearntCommands::LearntCommands(const CommandReport& common) : nodes_have_(CommandIdCount(), false) {
  for (const ReportedCommand& command : common) {
    const CommandSpec* built_in = FindCommand(command.name);
    built_in == nullptr ? AddRow(command) : NoteBuiltIn(*built_in, command);
  }
}

void LearntCommands::AddRow(const ReportedCommand& command) {
  CommandSpec row = MakeRow(command, command.name);
  std::vector<CommandSpec> subcommands;
  for (const ReportedCommand& subcommand : command.subcommands) {
    subcommands.push_back(MakeRow(subcommand, command.name + "|" + subcommand.name));
  }
  row.subcommands = subcommands_.emplace_back(std::move(subcommands));
  commands_.push_back(row);
}

CommandSpec LearntCommands::MakeRow(const ReportedCommand& command, std::string full_name) {
  const Judgement judgement = Judge(command);
  std::vector<KeySpec>& keys = keys_.emplace_back();
  for (const ReportedKeys& reported : command.keys) {
    keys.push_back(reported.spec);
    if (!reported.keyword.empty()) keys.back().keyword = Keep(reported.keyword);
  }
  return {.name = Keep(std::move(full_name)),
          .arity = command.arity,
          .route = judgement.route,
          .merge = judgement.merge,
          .flags = FlagsOf(command),
          .id = LearntCommandId(),
          .keys = keys,
          .subcommands = {},
          .group = command.Has(kReportedModule) ? "module" : "unknown",
          .since = "",
          .note = judgement.note};
}

void LearntCommands::NoteBuiltIn(const CommandSpec& built_in, const ReportedCommand& command) {
  nodes_have_[built_in.id] = true;
  for (const CommandSpec& subcommand : built_in.subcommands) {
    const std::string_view word = subcommand.name.substr(built_in.name.size() + 1);
    nodes_have_[subcommand.id] =
        !command.tells_of_subcommands || FindReported(command.subcommands, word) != nullptr;
  }
  if (built_in.subcommands.empty()) return;
  for (const ReportedCommand& subcommand : command.subcommands) {
    if (FindSubcommand(built_in, subcommand.name) != nullptr) continue;
    new_subcommands_[built_in.id].push_back(
        MakeRow(subcommand, command.name + "|" + subcommand.name));
  }
}

std::span<const CommandSpec> LearntCommands::NewSubcommands(const CommandSpec& built_in) const {
  const auto found = new_subcommands_.find(built_in.id);
  return found == new_subcommands_.end() ? std::span<const CommandSpec>() : found->second;
}

const CommandSpec* LearntCommands::FindNewSubcommand(const CommandSpec& built_in,
                                                     std::string_view word) const {
  const CommandSpec container = {.name = built_in.name, .subcommands = NewSubcommands(built_in)};
  return FindSubcommand(container, word);
}

const CommandSpec* LearntCommands::Find(std::string_view name) const {
  if (name.size() > ReportedCommand::kNameBytesMax) return nullptr;
  std::string lower(name);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
  }
  const auto at =
      std::ranges::lower_bound(commands_, std::string_view(lower), {}, &CommandSpec::name);
  return at != commands_.end() && at->name == lower ? &*at : nullptr;
}

bool LearntCommands::SameAs(const LearntCommands& other) const {
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first && SameRows(a.second, b.second);
  };
  return nodes_have_ == other.nodes_have_ && SameRows(commands_, other.commands_) &&
         std::ranges::equal(new_subcommands_, other.new_subcommands_, same);
}

}  // namespace rcproxy::cluster
