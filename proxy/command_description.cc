#include "proxy/command_description.h"

#include <algorithm>
#include <limits>
#include <span>

namespace rcproxy::proxy {
namespace {

using cluster::CommandFlag;
using cluster::CommandSpec;
using cluster::KeySpec;
using cluster::Route;

struct FlagName {
  CommandFlag flag;
  std::string_view name;
};

// In the order of the server.
constexpr FlagName kFlagNames[] = {
    {cluster::kFlagWrite, "write"},    {cluster::kFlagRead, "readonly"},
    {cluster::kFlagModule, "module"},  {cluster::kFlagAdmin, "admin"},
    {cluster::kFlagPubSub, "pubsub"},  {cluster::kFlagBlocking, "blocking"},
    {cluster::kFlagNoAuth, "no_auth"}, {cluster::kFlagNoMulti, "no_multi"},
};

constexpr FlagName kFlagCategories[] = {
    {cluster::kFlagRead, "@read"},         {cluster::kFlagWrite, "@write"},
    {cluster::kFlagAdmin, "@admin"},       {cluster::kFlagPubSub, "@pubsub"},
    {cluster::kFlagBlocking, "@blocking"}, {cluster::kFlagDangerous, "@dangerous"},
};

struct GroupCategory {
  std::string_view group;  // Or a command.
  std::string_view category;
};

constexpr GroupCategory kGroupCategories[] = {
    {"bitmap", "@bitmap"},
    {"connection", "@connection"},
    {"generic", "@keyspace"},
    {"geo", "@geo"},
    {"hash", "@hash"},
    {"hyperloglog", "@hyperloglog"},
    {"list", "@list"},
    {"scripting", "@scripting"},
    {"set", "@set"},
    {"sorted_set", "@sortedset"},
    {"stream", "@stream"},
    {"string", "@string"},
    {"transactions", "@transaction"},
};

// The commands whose group is not their category.
constexpr GroupCategory kCommandCategories[] = {
    {"sort", "@list"},   {"sort", "@set"},          {"sort", "@sortedset"},  {"sort_ro", "@list"},
    {"sort_ro", "@set"}, {"sort_ro", "@sortedset"}, {"wait", "@connection"},
};

bool IsRange(const KeySpec& key) {
  return key.begin == KeySpec::Begin::kIndex && key.find == KeySpec::Find::kRange;
}

int LastOf(const KeySpec& key) { return key.last >= 0 ? key.index + key.last : key.last; }

void AddOnce(std::vector<std::string_view>* names, std::string_view name) {
  if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
}

}  // namespace

bool IsServed(const CommandSpec& spec) {
  if (spec.route == Route::kContainer) {
    return std::any_of(spec.subcommands.begin(), spec.subcommands.end(), IsServed);
  }
  return spec.route != Route::kRefuse && spec.route != Route::kNodeOnly &&
         !spec.Has(cluster::kFlagNotYet);
}

bool IsListed(const CommandSpec& spec, const cluster::LearntCommands* learnt) {
  if (spec.route == Route::kContainer) {
    // HELP is answered by rcproxy, whatever there is besides.
    const auto is_listed = [learnt](const CommandSpec& subcommand) {
      return LastWord(subcommand.name) != "help" && IsListed(subcommand, learnt);
    };
    return std::ranges::any_of(spec.subcommands, is_listed) ||
           (learnt != nullptr && std::ranges::any_of(learnt->NewSubcommands(spec), is_listed));
  }
  if (!IsServed(spec)) return false;
  const bool is_for_nodes = cluster::GoesToNodes(spec.route) || spec.route == Route::kBlocking;
  if (learnt == nullptr || !is_for_nodes) return true;
  return spec.id == cluster::LearntCommandId() || learnt->NodesHave(spec);
}

std::string_view LastWord(std::string_view full_name) {
  return full_name.substr(full_name.find('|') + 1);  // npos + 1 is 0.
}

LegacyKeys LegacyKeysOf(const CommandSpec& spec) {
  LegacyKeys keys;
  if (spec.keys.size() == 1 && IsRange(spec.keys[0])) {
    return {spec.keys[0].index, LastOf(spec.keys[0]), spec.keys[0].step, false};
  }
  // Several specs: ranges that follow one another are one range.
  for (const KeySpec& key : spec.keys) {
    const bool joins = IsRange(key) && key.step == 1 &&
                       (keys.first == 0 || (keys.last > 0 && key.index == keys.last + 1));
    if (!joins) {
      keys.incomplete = true;
      continue;
    }
    if (keys.first == 0) keys.first = key.index;
    keys.last = LastOf(key);
    keys.step = 1;
  }
  return keys;
}

std::vector<std::string_view> FlagNamesOf(const CommandSpec& spec) {
  std::vector<std::string_view> names;
  for (const FlagName& flag : kFlagNames) {
    if (spec.Has(flag.flag)) names.push_back(flag.name);
  }
  if (LegacyKeysOf(spec).incomplete) names.push_back("movablekeys");
  return names;
}

std::vector<std::string_view> CategoriesOf(const CommandSpec& spec) {
  std::vector<std::string_view> names;
  for (const FlagName& flag : kFlagCategories) {
    // A script may do anything, so the server counts none as a read.
    if (flag.flag == cluster::kFlagRead && spec.group == "scripting") continue;
    if (spec.Has(flag.flag)) AddOnce(&names, flag.name);
  }
  if (spec.Has(cluster::kFlagAdmin)) AddOnce(&names, "@dangerous");
  const size_t before = names.size();
  for (const GroupCategory& own : kCommandCategories) {
    if (own.group == spec.name) AddOnce(&names, own.category);
  }
  // A container does nothing itself.
  if (names.size() > before || spec.route == Route::kContainer) return names;
  for (const GroupCategory& group : kGroupCategories) {
    if (group.group == spec.group) AddOnce(&names, group.category);
  }
  return names;
}

std::vector<std::string_view> AllCategories() {
  std::vector<std::string_view> names;
  for (const GroupCategory& group : kGroupCategories) AddOnce(&names, group.category);
  for (const FlagName& flag : kFlagCategories) AddOnce(&names, flag.name);
  return names;
}

}  // namespace rcproxy::proxy
