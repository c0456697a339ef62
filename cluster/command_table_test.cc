#include "cluster/command_table.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

std::string LowerCase(std::string_view name) {
  std::string lower(name);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
  }
  return lower;
}

// The lookup as it is meant, to compare with.
const CommandSpec* ReferenceFind(std::string_view name) {
  static const std::map<std::string, const CommandSpec*>* const specs = [] {
    auto* map = new std::map<std::string, const CommandSpec*>;
    for (const CommandSpec& spec : AllCommands()) (*map)[std::string(spec.name)] = &spec;
    return map;
  }();
  const auto found = specs->find(LowerCase(name));
  return found == specs->end() ? nullptr : found->second;
}

const CommandSpec& Get(std::string_view name) {
  const CommandSpec* spec = FindCommand(name);
  EXPECT_NE(spec, nullptr) << name;
  return *spec;
}

const CommandSpec& Get(std::string_view name, std::string_view subcommand) {
  const CommandSpec* spec = FindSubcommand(Get(name), subcommand);
  EXPECT_NE(spec, nullptr) << name << " " << subcommand;
  return *spec;
}

std::vector<const CommandSpec*> EveryRow() {
  std::vector<const CommandSpec*> rows;
  for (const CommandSpec& spec : AllCommands()) {
    rows.push_back(&spec);
    for (const CommandSpec& subcommand : spec.subcommands) rows.push_back(&subcommand);
  }
  return rows;
}

TEST(FindCommandTest, FindsEveryCommandInAnyCase) {
  for (const CommandSpec& spec : AllCommands()) {
    std::string name(spec.name);
    EXPECT_EQ(FindCommand(name), &spec) << name;
    for (char& byte : name) byte = static_cast<char>(std::toupper(byte));
    EXPECT_EQ(FindCommand(name), &spec) << name;
    for (size_t i = 0; i < name.size(); i += 2) name[i] = static_cast<char>(std::tolower(name[i]));
    EXPECT_EQ(FindCommand(name), &spec) << name;
  }
}

TEST(FindCommandTest, KnowsNoOtherNames) {
  for (const std::string_view name :
       {"", "g", "ge", "getx", "nosuch", "get ", " get", "client|list", "georadiusbymembe",
        "georadiusbymemberr", "georadiusXYmember_ro",
        "bf\x0e"
        "add",
        "eval\x7fro", "eval?ro"}) {
    EXPECT_EQ(FindCommand(name), nullptr) << name;
  }
  EXPECT_EQ(FindCommand(std::string_view("get\0", 4)), nullptr);
  EXPECT_EQ(FindCommand(std::string_view("\0", 1)), nullptr);
  EXPECT_EQ(FindCommand(std::string(100000, 'g')), nullptr);
}

// Every other byte in every place of every name: a sloppy fold of case would match some of them.
TEST(FindCommandTest, EqualsTheReferenceForNamesWithOneByteChanged) {
  for (const CommandSpec& spec : AllCommands()) {
    std::string name(spec.name);
    for (size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        name[at] = static_cast<char>(byte);
        ASSERT_EQ(FindCommand(name), ReferenceFind(name)) << testing::PrintToString(name);
      }
      name[at] = spec.name[at];
    }
  }
}

TEST(FindCommandTest, EqualsTheReferenceForRandomNames) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  const auto commands = AllCommands();
  for (int round = 0; round < 200000; ++round) {
    std::string name(commands[random() % commands.size()].name);
    const uint32_t kind = random() % 4;
    if (kind == 0) name.resize(random() % 40, 'A');
    if (kind == 1) name.append(commands[random() % commands.size()].name);
    if (kind == 2) std::swap(name[random() % name.size()], name[random() % name.size()]);
    for (char& byte : name) {
      if (random() % 4 == 0) byte = static_cast<char>(byte ^ 0x20);
    }
    // An exact heap block, so that the address checker sees a load beyond the name.
    const std::vector<char> exact(name.begin(), name.end());
    ASSERT_EQ(FindCommand({exact.data(), exact.size()}), ReferenceFind(name))
        << testing::PrintToString(name);
  }
}

TEST(FindSubcommandTest, FindsByTheSecondWordInAnyCase) {
  EXPECT_EQ(Get("CLIENT", "No-Evict").name, "client|no-evict");
  EXPECT_EQ(Get("object", "ENCODING").route, Route::kKeyed);
  EXPECT_EQ(FindSubcommand(Get("client"), "client|list"), nullptr);
  EXPECT_EQ(FindSubcommand(Get("client"), ""), nullptr);
  EXPECT_EQ(FindSubcommand(Get("client"), "lis"), nullptr);
  EXPECT_EQ(FindSubcommand(Get("client"), "listt"), nullptr);
  EXPECT_EQ(FindSubcommand(Get("get"), "list"), nullptr);
}

TEST(CommandTableTest, IsSortedWithDenseIds) {
  const auto commands = AllCommands();
  EXPECT_TRUE(std::is_sorted(commands.begin(), commands.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  std::set<int> ids;
  for (const CommandSpec* spec : EveryRow()) ids.insert(spec->id);
  EXPECT_EQ(static_cast<int>(ids.size()), CommandIdCount() - 1);
  EXPECT_EQ(*ids.begin(), 0);
  EXPECT_EQ(*ids.rbegin(), CommandIdCount() - 2);
  EXPECT_EQ(LearntCommandId(), CommandIdCount() - 1);
  EXPECT_EQ(CommandById(LearntCommandId())->name, "learnt");
  EXPECT_EQ(CommandById(CommandIdCount()), nullptr);
}

TEST(CommandTableTest, RowsAgreeWithThemselves) {
  for (const CommandSpec* spec : EveryRow()) {
    SCOPED_TRACE(spec->name);
    const bool merged = spec->route == Route::kSplit || spec->route == Route::kAllPrimaries ||
                        spec->route == Route::kAllNodes;
    EXPECT_EQ(merged, spec->merge != Merge::kNone);
    EXPECT_FALSE(spec->Has(kFlagRead) && spec->Has(kFlagWrite));
    EXPECT_FALSE(spec->Has(kFlagReplicaOk) && spec->Has(kFlagWrite));
    EXPECT_FALSE(spec->Has(kFlagIdempotent) && !spec->Has(kFlagRead) && !spec->Has(kFlagWrite));
    EXPECT_NE(spec->arity, 0);
    EXPECT_TRUE(spec->route != Route::kSplit || spec->keys.size() == 1);
    EXPECT_TRUE(spec->route != Route::kContainer || !spec->subcommands.empty());
    if (spec->route == Route::kRefuse || spec->route == Route::kNodeOnly) {
      EXPECT_FALSE(spec->note.empty());
    }
    for (const CommandSpec& subcommand : spec->subcommands) {
      EXPECT_EQ(subcommand.name.substr(0, spec->name.size() + 1), std::string(spec->name) + "|");
      EXPECT_TRUE(subcommand.subcommands.empty());
    }
  }
}

TEST(CommandTableTest, FewWritesMayBeRepeated) {
  std::set<std::string_view> names;
  for (const CommandSpec* spec : EveryRow()) {
    if (spec->Has(kFlagWrite) && spec->Has(kFlagIdempotent)) names.insert(spec->name);
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"hmset", "lset", "mset", "psetex", "set", "setex",
                                               "setrange"}));
}

TEST(CommandTableTest, SplitsSixCommandsAndNoOther) {
  struct Case {
    std::string_view name;
    Merge merge;
    bool is_read;
    int step;
  };
  const std::vector<Case> cases = {
      {"mget", Merge::kKeyOrder, true, 1}, {"mset", Merge::kAllOk, false, 2},
      {"del", Merge::kSum, false, 1},      {"unlink", Merge::kSum, false, 1},
      {"exists", Merge::kSum, true, 1},    {"touch", Merge::kSum, true, 1}};
  for (const Case& expected : cases) {
    const CommandSpec& spec = Get(expected.name);
    EXPECT_EQ(spec.route, Route::kSplit) << spec.name;
    EXPECT_EQ(spec.merge, expected.merge) << spec.name;
    EXPECT_EQ(spec.Has(kFlagRead), expected.is_read) << spec.name;
    EXPECT_EQ(spec.Has(kFlagWrite), !expected.is_read) << spec.name;
    EXPECT_EQ(spec.keys[0].step, expected.step) << spec.name;
  }
  for (const CommandSpec* spec : EveryRow()) {
    const bool listed = std::any_of(cases.begin(), cases.end(),
                                    [&](const Case& c) { return c.name == spec->name; });
    EXPECT_EQ(spec->route == Route::kSplit, listed) << spec->name;
  }
  EXPECT_FALSE(Get("touch").Has(kFlagReplicaOk));  // It acts on the node that serves it.
}

TEST(CommandTableTest, RoutesAsTheDesignSays) {
  EXPECT_EQ(Get("get").route, Route::kKeyed);
  EXPECT_TRUE(Get("get").Has(kFlagReplicaOk));
  EXPECT_EQ(Get("blpop").route, Route::kBlocking);
  EXPECT_EQ(Get("xread").route, Route::kKeyed);
  EXPECT_TRUE(Get("xread").Has(kFlagBlocking));
  EXPECT_TRUE(Get("xreadgroup").Has(kFlagBlocking));
  EXPECT_EQ(Get("multi").route, Route::kTransaction);
  EXPECT_EQ(Get("subscribe").route, Route::kPubSub);
  EXPECT_EQ(Get("client", "tracking").route, Route::kLocal);
  EXPECT_EQ(Get("dbsize").merge, Merge::kSum);
  EXPECT_EQ(Get("flushall").merge, Merge::kAllOk);
  EXPECT_EQ(Get("keys").merge, Merge::kConcat);
  EXPECT_EQ(Get("script", "exists").merge, Merge::kAnd);
  EXPECT_EQ(Get("script", "load").route, Route::kAllNodes);
  EXPECT_EQ(Get("wait").merge, Merge::kMin);
  EXPECT_EQ(Get("psync").route, Route::kRefuse);
  EXPECT_EQ(Get("backup", "list").route, Route::kNodeOnly);
  EXPECT_EQ(Get("cluster", "links").route, Route::kLocal);
  EXPECT_TRUE(Get("auth").Has(kFlagNoAuth));
  EXPECT_TRUE(Get("eval").Has(kFlagMayReplicate));
  EXPECT_TRUE(Get("bf.add").Has(kFlagModule));
  EXPECT_FALSE(Get("sort").Has(kFlagReplicaOk));
  EXPECT_TRUE(Get("sort_ro").Has(kFlagReplicaOk));
}

TEST(CommandSpecTest, ArityIsCountedAsTheServerDoes) {
  EXPECT_TRUE(Get("get").ArityOk(2));
  EXPECT_FALSE(Get("get").ArityOk(3));
  EXPECT_TRUE(Get("set").ArityOk(3));
  EXPECT_TRUE(Get("set").ArityOk(30));
  EXPECT_FALSE(Get("set").ArityOk(2));
}

}  // namespace
}  // namespace rcproxy::cluster
