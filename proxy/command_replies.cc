#include "proxy/command_replies.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/command_keys.h"
#include "proxy/command_description.h"
#include "proxy/glob_pattern.h"
#include "proxy/known_commands.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;
using cluster::KeySpec;

constexpr std::string_view kSyntaxError = "ERR syntax error";

void AppendSimples(LocalCall& call, std::span<const std::string_view> texts) {
  call.Set(texts.size());
  for (const std::string_view text : texts) resp::AppendSimple(&call.reply, text);
}

void AppendNumber(LocalCall& call, std::string_view name, int64_t value) {
  call.Bulk(name);
  call.Integer(value);
}

// ---- key specs

// What the command does with its keys. The table does not know it key by key, so a command that
// writes is said to read and write all of them.
std::vector<std::string_view> KeyFlags(const CommandSpec& spec) {
  if (spec.Has(cluster::kFlagRead)) return {"RO", "access"};
  return {"RW", "access", "update"};
}

void AppendBeginSearch(LocalCall& call, const KeySpec& key) {
  call.Bulk("begin_search");
  call.Map(2);
  call.Bulk("type");
  switch (key.begin) {
    case KeySpec::Begin::kNone:
      call.Bulk("unknown");
      call.Bulk("spec");
      return call.Map(0);
    case KeySpec::Begin::kIndex:
      call.Bulk("index");
      call.Bulk("spec");
      call.Map(1);
      return AppendNumber(call, "index", key.index);
    case KeySpec::Begin::kKeyword:
      call.Bulk("keyword");
      call.Bulk("spec");
      call.Map(2);
      call.Bulk("keyword");
      call.Bulk(key.keyword);
      return AppendNumber(call, "startfrom", key.index);
  }
}

void AppendFindKeys(LocalCall& call, const KeySpec& key) {
  call.Bulk("find_keys");
  call.Map(2);
  call.Bulk("type");
  switch (key.find) {
    case KeySpec::Find::kMovable:
      call.Bulk("unknown");
      call.Bulk("spec");
      return call.Map(0);
    case KeySpec::Find::kRange:
      call.Bulk("range");
      call.Bulk("spec");
      call.Map(3);
      AppendNumber(call, "lastkey", key.last);
      AppendNumber(call, "keystep", key.step);
      return AppendNumber(call, "limit", key.limit);
    case KeySpec::Find::kKeyNum:
      call.Bulk("keynum");
      call.Bulk("spec");
      call.Map(3);
      AppendNumber(call, "keynumidx", key.keynum_index);
      AppendNumber(call, "firstkey", key.keynum_first);
      return AppendNumber(call, "keystep", key.step);
  }
}

void AppendKeySpec(LocalCall& call, const CommandSpec& spec, const KeySpec& key) {
  std::vector<std::string_view> flags = KeyFlags(spec);
  if (key.is_channel) flags = {"not_key"};
  if (key.find == KeySpec::Find::kMovable) flags.push_back("incomplete");
  call.Map(3);
  call.Bulk("flags");
  AppendSimples(call, flags);
  AppendBeginSearch(call, key);
  AppendFindKeys(call, key);
}

// ---- COMMAND, COMMAND INFO, COMMAND COUNT

void AddListed(const LocalCall& call, std::span<const CommandSpec> specs,
               std::vector<const CommandSpec*>* listed) {
  const cluster::LearntCommands* learnt = call.host.Commands().learnt();
  for (const CommandSpec& spec : specs) {
    if (IsListed(spec, learnt)) listed->push_back(&spec);
  }
}

std::vector<const CommandSpec*> ListedSubcommands(const LocalCall& call, const CommandSpec& spec) {
  std::vector<const CommandSpec*> listed;
  AddListed(call, spec.subcommands, &listed);
  if (const cluster::LearntCommands* learnt = call.host.Commands().learnt())
    AddListed(call, learnt->NewSubcommands(spec), &listed);
  return listed;
}

// The table as it is now: what rcproxy knows by itself and the nodes have too, and what was learnt
// from them, by name.
std::vector<const CommandSpec*> AllListed(const LocalCall& call) {
  std::vector<const CommandSpec*> listed;
  AddListed(call, cluster::AllCommands(), &listed);
  const cluster::LearntCommands* learnt = call.host.Commands().learnt();
  if (learnt == nullptr) return listed;
  const size_t built_in = listed.size();
  AddListed(call, learnt->commands(), &listed);
  std::inplace_merge(listed.begin(), listed.begin() + static_cast<ptrdiff_t>(built_in),
                     listed.end(),
                     [](const CommandSpec* a, const CommandSpec* b) { return a->name < b->name; });
  return listed;
}

// nullptr for what is not listed.
const CommandSpec* FindListed(const LocalCall& call, std::string_view full_name) {
  const CommandSpec* spec = call.host.Commands().FindByFullName(full_name);
  return spec != nullptr && IsListed(*spec, call.host.Commands().learnt()) ? spec : nullptr;
}

void AppendInfo(LocalCall& call, const CommandSpec& spec) {
  const LegacyKeys keys = LegacyKeysOf(spec);
  call.Array(10);
  call.Bulk(spec.name);
  call.Integer(spec.arity);
  AppendSimples(call, FlagNamesOf(spec));
  call.Integer(keys.first);
  call.Integer(keys.last);
  call.Integer(keys.step);
  AppendSimples(call, CategoriesOf(spec));
  // Tips tell a cluster client where to send a command; before rcproxy there is only one place.
  call.Set(0);
  call.Set(spec.keys.size());
  for (const KeySpec& key : spec.keys) AppendKeySpec(call, spec, key);
  const std::vector<const CommandSpec*> subcommands = ListedSubcommands(call, spec);
  subcommands.empty() ? call.Set(0) : call.Array(subcommands.size());  // As the server does.
  for (const CommandSpec* subcommand : subcommands) AppendInfo(call, *subcommand);
}

void All(LocalCall& call) {
  const std::vector<const CommandSpec*> listed = AllListed(call);
  call.Array(listed.size());
  for (const CommandSpec* spec : listed) AppendInfo(call, *spec);
}

void Info(LocalCall& call) {
  if (call.command.size() == 2) return All(call);
  call.Array(call.command.size() - 2);
  for (size_t i = 2; i < call.command.size(); ++i) {
    const CommandSpec* spec = FindListed(call, call.command[i]);
    spec != nullptr ? AppendInfo(call, *spec) : call.Null();
  }
}

void Count(LocalCall& call) { call.Integer(AllListed(call).size()); }

// ---- COMMAND DOCS

void AppendField(LocalCall& call, std::string_view name, std::string_view value) {
  call.Bulk(name);
  call.Bulk(value);
}

void AppendDocs(LocalCall& call, const CommandSpec& spec) {
  const std::vector<const CommandSpec*> subcommands = ListedSubcommands(call, spec);
  call.Map(subcommands.empty() ? 3 : 4);
  AppendField(call, "summary", spec.note);
  AppendField(call, "since", spec.since);
  AppendField(call, "group", spec.group);
  if (subcommands.empty()) return;
  call.Bulk("subcommands");
  call.Map(subcommands.size());
  for (const CommandSpec* subcommand : subcommands) {
    call.Bulk(subcommand->name);
    AppendDocs(call, *subcommand);
  }
}

void Docs(LocalCall& call) {
  std::vector<const CommandSpec*> specs;
  if (call.command.size() == 2) specs = AllListed(call);
  for (size_t i = 2; i < call.command.size(); ++i) {
    const CommandSpec* spec = FindListed(call, call.command[i]);
    if (spec != nullptr) specs.push_back(spec);  // Others are left out.
  }
  call.Map(specs.size());
  for (const CommandSpec* spec : specs) {
    call.Bulk(spec->name);
    AppendDocs(call, *spec);
  }
}

// ---- COMMAND LIST

using Filter = std::function<bool(const CommandSpec&)>;

std::vector<std::string_view> ListedNames(const LocalCall& call, const Filter& filter) {
  std::vector<std::string_view> names;
  for (const CommandSpec* spec : AllListed(call)) {
    if (filter(*spec)) names.push_back(spec->name);
    for (const CommandSpec* subcommand : ListedSubcommands(call, *spec)) {
      if (filter(*subcommand)) names.push_back(subcommand->name);
    }
  }
  return names;
}

bool IsInCategory(const CommandSpec& spec, std::string_view category) {
  const std::vector<std::string_view> categories = CategoriesOf(spec);
  return std::any_of(categories.begin(), categories.end(), [&](std::string_view known) {
    return EqualsIgnoreCase(known.substr(1), category);  // Without the "@".
  });
}

// COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN value]. Returns an empty function for anything else.
Filter FilterOf(const resp::CommandView& command) {
  if (command.size() == 2) return [](const CommandSpec&) { return true; };
  if (command.size() != 5 || !EqualsIgnoreCase(command[2], "FILTERBY")) return nullptr;
  const std::string_view value = command[4];
  if (EqualsIgnoreCase(command[3], "PATTERN")) {
    return [value](const CommandSpec& spec) { return MatchesGlobIgnoringCase(value, spec.name); };
  }
  if (EqualsIgnoreCase(command[3], "ACLCAT")) {
    return [value](const CommandSpec& spec) { return IsInCategory(spec, value); };
  }
  // COMMAND does not say which module a command is of; rcproxy itself has none.
  if (EqualsIgnoreCase(command[3], "MODULE")) return [](const CommandSpec&) { return false; };
  return nullptr;
}

void List(LocalCall& call) {
  const Filter filter = FilterOf(call.command);
  if (filter == nullptr) return call.Error(kSyntaxError);
  const std::vector<std::string_view> names = ListedNames(call, filter);
  call.Array(names.size());
  for (const std::string_view name : names) call.Bulk(name);
}

// ---- ACL CAT

void AclCat(LocalCall& call) {
  if (call.command.size() > 3) return call.SubcommandSyntaxError();
  const std::vector<std::string_view> categories = AllCategories();
  if (call.command.size() == 2) {
    call.Array(categories.size());
    for (const std::string_view category : categories) {
      call.Bulk(category.substr(1));
    }
    return;
  }
  const std::string_view wanted = call.command[2];
  const bool known = std::any_of(categories.begin(), categories.end(), [&](std::string_view name) {
    return EqualsIgnoreCase(name.substr(1), wanted);
  });
  if (!known) {
    return call.Error(Concat("ERR Unknown category '", ForErrorText(wanted), "'"));
  }
  const std::vector<std::string_view> names =
      ListedNames(call, [&](const CommandSpec& spec) { return IsInCategory(spec, wanted); });
  call.Array(names.size());
  for (const std::string_view name : names) call.Bulk(name);
}

// ---- COMMAND GETKEYS, COMMAND GETKEYSANDFLAGS

// The command that is asked about: the arguments from the third on.
class InnerCommand {
 public:
  explicit InnerCommand(const resp::CommandView& outer) : bytes_(outer.bytes()) {
    for (size_t i = 2; i < outer.size(); ++i) {
      const std::string_view argument = outer[i];
      spans_.push_back({static_cast<uint32_t>(argument.data() - bytes_.data()),
                        static_cast<uint32_t>(argument.size())});
    }
  }

  resp::CommandView view() const { return {bytes_, spans_}; }

 private:
  std::string_view bytes_;
  std::vector<resp::ArgSpan> spans_;
};

// Scripts may do without keys, so that a wrong number of them is no mistake.
bool MayHaveNoKeys(const CommandSpec& spec) { return spec.group == "scripting"; }

bool HasKeys(const CommandSpec& spec) {
  return std::any_of(spec.keys.begin(), spec.keys.end(),
                     [](const KeySpec& key) { return !key.is_channel; });
}

// Returns nullptr after having answered with an error; else `runs` are the keys.
const CommandSpec* FindInnerKeys(LocalCall& call, const resp::CommandView& inner,
                                 cluster::KeyRuns* runs) {
  std::string_view error;
  const CommandSpec* spec = call.host.Commands().FindFor(inner);
  if (spec == nullptr) {
    error = "ERR Invalid command specified";
  } else if (!HasKeys(*spec)) {
    error = "ERR The command has no key arguments";
  } else if (!spec->ArityOk(inner.size())) {
    error = "ERR Invalid number of arguments specified for command";
  } else {
    *runs = cluster::FindKeys(*spec, inner);
    if (runs->TotalKeys() > 0 || MayHaveNoKeys(*spec)) return spec;
    error = "ERR Invalid arguments specified for command";
  }
  call.Error(error);
  return nullptr;
}

void AppendKeys(LocalCall& call, bool with_flags) {
  const InnerCommand owner(call.command);
  const resp::CommandView inner = owner.view();
  cluster::KeyRuns runs;
  const CommandSpec* spec = FindInnerKeys(call, inner, &runs);
  if (spec == nullptr) return;
  const std::vector<std::string_view> flags = KeyFlags(*spec);
  call.Array(runs.TotalKeys());
  for (int i = 0; i < runs.size; ++i) {
    const cluster::KeyRun& run = runs.runs[i];
    for (uint32_t key = 0; key < run.count; ++key) {
      if (with_flags) call.Array(2);
      call.Bulk(inner[run.first + key * run.step]);
      if (with_flags) AppendSimples(call, flags);
    }
  }
}

void GetKeys(LocalCall& call) { AppendKeys(call, /*with_flags=*/false); }
void GetKeysAndFlags(LocalCall& call) { AppendKeys(call, /*with_flags=*/true); }

constexpr LocalHandlerRow kRows[] = {
    {"acl|cat", AclCat},          {"command", All},
    {"command|count", Count},     {"command|docs", Docs},
    {"command|getkeys", GetKeys}, {"command|getkeysandflags", GetKeysAndFlags},
    {"command|info", Info},       {"command|list", List},
};

}  // namespace

std::span<const LocalHandlerRow> CommandHandlers() { return kRows; }

}  // namespace rcproxy::proxy
