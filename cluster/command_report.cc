#include "cluster/command_report.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cluster/command_report_parser.h"
#include "resp/value.h"

namespace rcproxy::cluster {
namespace {

using resp::Value;

constexpr size_t kReplyBytesMax = 4 << 20;  // Of a server with many modules: some 400,000.
constexpr size_t kCommandsMax = 4096;
constexpr size_t kSubcommandsMax = 256;
constexpr size_t kKeywordBytesMax = 32;

// `what` may be the node's, and will be in a log: on one line, and not long.
absl::Status NoCommands(const std::string& what) {
  constexpr size_t kQuotedBytesMax = 128;
  return absl::InvalidArgumentError(
      absl::StrCat("no list of commands: ", absl::CEscape(what.substr(0, kQuotedBytesMax))));
}

// ---- words

template <class T>
struct Named {
  std::string_view name;
  T value;
};

template <class T>
std::optional<T> Lookup(std::span<const Named<T>> known, std::string_view name) {
  for (const Named<T>& entry : known) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

constexpr Named<ReportedFlag> kFlags[] = {
    {"write", kReportedWrite},       {"readonly", kReportedRead},
    {"admin", kReportedAdmin},       {"pubsub", kReportedPubSub},
    {"blocking", kReportedBlocking}, {"no_multi", kReportedNoMulti},
    {"module", kReportedModule},     {"may_replicate", kReportedMayReplicate},
};
constexpr Named<RequestPolicy> kRequestPolicies[] = {
    {"all_nodes", RequestPolicy::kAllNodes},
    {"all_shards", RequestPolicy::kAllShards},
    {"multi_shard", RequestPolicy::kMultiShard},
};
constexpr Named<ResponsePolicy> kResponsePolicies[] = {
    {"all_succeeded", ResponsePolicy::kAllSucceeded},
    {"agg_logical_and", ResponsePolicy::kLogicalAnd},
    {"agg_min", ResponsePolicy::kMin},
    {"agg_sum", ResponsePolicy::kSum},
};

bool IsVisible(char byte) { return byte > ' ' && byte <= '~'; }

// A word that may be printed, looked up and be part of "container|subcommand".
std::optional<std::string> ReadName(std::string_view text) {
  if (text.empty() || text.size() > ReportedCommand::kNameBytesMax) return std::nullopt;
  std::string name;
  for (const char byte : text) {
    if (!IsVisible(byte) || byte == '|') return std::nullopt;
    name += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte;
  }
  return name;
}

std::optional<std::string> ReadKeyword(std::string_view text) {
  if (text.empty() || text.size() > kKeywordBytesMax) return std::nullopt;
  std::string keyword;
  for (const char byte : text) {
    if (!IsVisible(byte)) return std::nullopt;
    keyword += byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 32) : byte;
  }
  return keyword;
}

template <class T>
bool ReadNumber(const Value* value, int64_t least, T* number) {
  if (value == nullptr || value->type != Value::Type::kInteger) return false;
  if (value->integer < least || value->integer > std::numeric_limits<T>::max()) return false;
  *number = static_cast<T>(value->integer);
  return true;
}

bool HasWord(const Value* list, std::string_view word) {
  return list != nullptr && std::any_of(list->elements.begin(), list->elements.end(),
                                        [word](const Value& value) { return value.text == word; });
}

// ---- keys

bool ReadBegin(const Value& value, ReportedKeys* keys) {
  const Value* type = value.Find("type");
  const Value* spec = value.Find("spec");
  if (type == nullptr || spec == nullptr) return false;
  if (type->text == "index") {
    keys->spec.begin = KeySpec::Begin::kIndex;
    return ReadNumber(spec->Find("index"), 1, &keys->spec.index);
  }
  if (type->text != "keyword") return false;
  keys->spec.begin = KeySpec::Begin::kKeyword;
  const Value* word = spec->Find("keyword");
  std::optional<std::string> keyword;
  if (word != nullptr) keyword = ReadKeyword(word->text);
  if (!keyword.has_value()) return false;
  keys->keyword = *std::move(keyword);
  return ReadNumber(spec->Find("startfrom"), -128, &keys->spec.index) && keys->spec.index != 0;
}

bool ReadFind(const Value& value, KeySpec* keys) {
  const Value* type = value.Find("type");
  const Value* spec = value.Find("spec");
  if (type == nullptr || spec == nullptr) return false;
  if (type->text == "range") {
    keys->find = KeySpec::Find::kRange;
    return ReadNumber(spec->Find("lastkey"), -128, &keys->last) &&
           ReadNumber(spec->Find("keystep"), 1, &keys->step) &&
           ReadNumber(spec->Find("limit"), 0, &keys->limit);
  }
  if (type->text != "keynum") return false;
  keys->find = KeySpec::Find::kKeyNum;
  return ReadNumber(spec->Find("keynumidx"), 0, &keys->keynum_index) &&
         ReadNumber(spec->Find("firstkey"), 0, &keys->keynum_first) &&
         ReadNumber(spec->Find("keystep"), 1, &keys->step);
}

// Empty when the spec does not tell, or not in a form that we know, where all its keys are.
std::optional<ReportedKeys> ReadKeySpec(const Value& value) {
  const Value* flags = value.Find("flags");
  const Value* begin = value.Find("begin_search");
  const Value* find = value.Find("find_keys");
  if (begin == nullptr || find == nullptr || HasWord(flags, "incomplete")) return std::nullopt;
  ReportedKeys keys;
  if (!ReadBegin(*begin, &keys) || !ReadFind(*find, &keys.spec)) return std::nullopt;
  keys.spec.is_channel = HasWord(flags, "not_key");
  return keys;
}

bool ReadKeySpecs(const Value& list, std::vector<ReportedKeys>* keys) {
  if (list.elements.size() > ReportedCommand::kKeysMax) return false;
  for (const Value& element : list.elements) {
    std::optional<ReportedKeys> one = ReadKeySpec(element);
    if (!one.has_value()) return false;
    keys->push_back(*std::move(one));
  }
  return true;
}

// The three numbers in which servers before 7.0 describe keys: first, last, step.
bool ReadLegacyKeys(std::span<const Value> numbers, std::vector<ReportedKeys>* keys) {
  ReportedKeys range;
  range.spec.begin = KeySpec::Begin::kIndex;
  if (!ReadNumber(&numbers[0], 0, &range.spec.index)) return false;
  if (range.spec.index == 0) return true;
  if (!ReadNumber(&numbers[1], -128, &range.spec.last)) return false;
  if (!ReadNumber(&numbers[2], 1, &range.spec.step)) return false;
  if (range.spec.last >= 0 && range.spec.last < range.spec.index) return false;
  if (range.spec.last > 0) range.spec.last -= range.spec.index;
  keys->push_back(std::move(range));
  return true;
}

bool IsOneRange(const std::vector<ReportedKeys>& keys) {
  return keys.size() == 1 && keys[0].spec.begin == KeySpec::Begin::kIndex &&
         keys[0].spec.find == KeySpec::Find::kRange && keys[0].spec.limit <= 1;
}

void ReadKeys(std::span<const Value> fields, ReportedCommand* command) {
  const bool has_specs = fields.size() > 8;
  command->keys_are_known = has_specs ? ReadKeySpecs(fields[8], &command->keys)
                                      : ReadLegacyKeys(fields.subspan(3, 3), &command->keys);
  // "movablekeys" means: more than a range. Where nothing else has been told, only the server's
  // own code can find them.
  if (HasWord(&fields[2], "movablekeys") &&
      (!has_specs || command->keys.empty() || IsOneRange(command->keys))) {
    command->keys_are_known = false;
  }
  if (!command->keys_are_known) command->keys.clear();
}

// ---- commands

void ReadTips(const Value& tips, ReportedCommand* command) {
  constexpr std::string_view kRequest = "request_policy:";
  constexpr std::string_view kResponse = "response_policy:";
  for (const Value& value : tips.elements) {
    const std::string_view tip = value.text;
    if (tip.starts_with(kRequest)) {
      command->request_policy = Lookup<RequestPolicy>(kRequestPolicies, tip.substr(kRequest.size()))
                                    .value_or(RequestPolicy::kOther);
    } else if (tip.starts_with(kResponse)) {
      command->response_policy =
          Lookup<ResponsePolicy>(kResponsePolicies, tip.substr(kResponse.size()))
              .value_or(ResponsePolicy::kOther);
    }
  }
}

std::vector<ReportedCommand> SortedByName(std::vector<ReportedCommand> commands) {
  const auto before = [](const auto& a, const auto& b) { return a.name < b.name; };
  const auto same = [](const auto& a, const auto& b) { return a.name == b.name; };
  std::stable_sort(commands.begin(), commands.end(), before);
  commands.erase(std::unique(commands.begin(), commands.end(), same), commands.end());
  return commands;
}

// Flags, arity, keys and tips; not the name and the subcommands. Requires: six fields.
bool ReadDescription(std::span<const Value> fields, ReportedCommand* command) {
  constexpr int64_t kArityLeast = std::numeric_limits<int16_t>::min();
  if (!ReadNumber(&fields[1], kArityLeast, &command->arity) || command->arity == 0) return false;
  for (const Value& flag : fields[2].elements) {
    command->flags |= Lookup<ReportedFlag>(kFlags, flag.text).value_or(ReportedFlag{});
  }
  ReadKeys(fields, command);
  if (fields.size() > 7) ReadTips(fields[7], command);
  return true;
}

// `prefix` is "container|" for a subcommand, which has none of its own.
std::optional<ReportedCommand> ReadCommand(const Value& value, std::string_view prefix) {
  const std::span<const Value> fields = value.elements;
  if (!value.IsList() || fields.size() < 6 || !fields[0].IsString()) return std::nullopt;
  ReportedCommand command;
  const std::string_view full_name = fields[0].text;
  if (!full_name.starts_with(prefix)) return std::nullopt;
  std::optional<std::string> name = ReadName(full_name.substr(prefix.size()));
  if (!name.has_value() || !ReadDescription(fields, &command)) return std::nullopt;
  command.name = *std::move(name);
  if (fields.size() < 10 || !prefix.empty()) return command;
  command.tells_of_subcommands = true;
  if (fields[9].elements.size() > kSubcommandsMax) return std::nullopt;
  for (const Value& element : fields[9].elements) {
    auto subcommand = ReadCommand(element, absl::StrCat(std::string(full_name), "|"));
    if (subcommand.has_value()) command.subcommands.push_back(*std::move(subcommand));
  }
  command.subcommands = SortedByName(std::move(command.subcommands));
  return command;
}

bool AreDescribedAlike(const ReportedCommand& a, const ReportedCommand& b) {
  const auto description = [](const ReportedCommand& command) {
    return std::tie(command.arity, command.flags, command.keys_are_known, command.request_policy,
                    command.response_policy, command.keys);
  };
  return description(a) == description(b) && a.subcommands.empty() == b.subcommands.empty();
}

}  // namespace

const ReportedCommand* FindReported(const CommandReport& report, std::string_view name) {
  const auto at =
      std::lower_bound(report.begin(), report.end(), name,
                       [](const ReportedCommand& a, std::string_view b) { return a.name < b; });
  return at != report.end() && at->name == name ? &*at : nullptr;
}

absl::StatusOr<CommandReport> ParseCommandReply(std::string_view reply) {
  if (reply.size() > kReplyBytesMax) return NoCommands("too long");
  const absl::StatusOr<Value> list = resp::ParseValue(reply);
  if (!list.ok()) return list.status();
  if (list->IsError()) return NoCommands(list->text);
  if (!list->IsList() || list->elements.size() > kCommandsMax) return NoCommands("malformed");
  CommandReport report;
  for (const Value& element : list->elements) {
    std::optional<ReportedCommand> command = ReadCommand(element, "");
    if (command.has_value()) report.push_back(*std::move(command));
  }
  if (report.empty()) return NoCommands("empty");
  return SortedByName(std::move(report));
}

bool KeepCommon(CommandReport* common, const CommandReport& other) {
  bool differ = common->size() != other.size();
  const auto is_unknown = [&other](const ReportedCommand& command) {
    return FindReported(other, command.name) == nullptr;
  };
  differ |= std::erase_if(*common, is_unknown) > 0;
  for (ReportedCommand& command : *common) {
    const ReportedCommand& others = *FindReported(other, command.name);
    const bool alike = AreDescribedAlike(command, others);
    command.is_disputed |= others.is_disputed || !alike;
    if (!others.tells_of_subcommands) continue;
    if (!command.tells_of_subcommands) {
      command.tells_of_subcommands = true;
      command.subcommands = others.subcommands;
    } else {
      differ |= KeepCommon(&command.subcommands, others.subcommands);
    }
  }
  return differ;
}

}  // namespace rcproxy::cluster
