#include "cluster/learnt_commands.h"

#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_keys.h"
#include "cluster/command_report_for_test.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

const std::string kOneKey = RangeSpecForTest(1);
const std::string kAllKeys = RangeSpecForTest(1, -1);

// One command, learnt.
class Learnt {
 public:
  explicit Learnt(const EntryForTest& entry)
      : table_(ReportForTest({entry})), spec_(*table_.Find(entry.name)) {}
  const CommandSpec* operator->() const { return &spec_; }
  const CommandSpec& operator*() const { return spec_; }

 private:
  const LearntCommands table_;
  const CommandSpec& spec_;
};

Learnt WithTips(std::string_view flag, const std::vector<std::string>& specs,
                const std::string& request, const std::string& response) {
  std::vector<std::string> tips;
  if (!request.empty()) tips.push_back("request_policy:" + request);
  if (!response.empty()) tips.push_back("response_policy:" + response);
  return Learnt({.name = "x", .flags = {std::string(flag)}, .specs = specs, .tips = tips});
}

TEST(LearntCommandsTest, AKeyedReadAndWrite) {
  const Learnt read({.name = "My.Get", .arity = 2, .flags = {"readonly"}, .specs = {kOneKey}});
  EXPECT_EQ(read->name, "my.get");
  EXPECT_EQ(read->arity, 2);
  EXPECT_EQ(read->route, Route::kKeyed);
  EXPECT_EQ(read->flags, kFlagRead | kFlagIdempotent | kFlagReplicaOk);
  EXPECT_EQ(read->id, LearntCommandId());
  const CommandForTest command(Words("MY.GET k"));
  const KeyRuns keys = FindKeys(*read, command.view());
  ASSERT_EQ(keys.status, KeysStatus::kOk);
  EXPECT_EQ(keys.runs[0].first, 1u);
  const Learnt write({.name = "x", .flags = {"write", "module"}, .specs = {kOneKey}});
  EXPECT_EQ(write->flags, kFlagWrite | kFlagModule);
  EXPECT_EQ(write->group, "module");
}

TEST(LearntCommandsTest, OneThatSaysItReadsAndWritesIsAWrite) {
  const Learnt both({.name = "x", .flags = {"readonly", "write"}, .specs = {kOneKey}});
  EXPECT_EQ(both->flags, kFlagWrite);
}

TEST(LearntCommandsTest, IsFoundInAnyCaseAndOnlyByItsName) {
  const LearntCommands table(
      ReportForTest({{.name = "b"}, {.name = "get"}, {.name = "a"}, {.name = "c"}}));
  EXPECT_EQ(table.Find("A"), &table.commands()[0]);
  EXPECT_EQ(table.Find("c"), &table.commands()[2]);
  for (const std::string& name :
       {std::string(""), std::string("ab"), std::string("0"), std::string("z"), std::string("get"),
        std::string("a\0", 2), std::string(1 << 20, 'a')}) {
    EXPECT_EQ(table.Find(name), nullptr) << name.substr(0, 20);
  }
}

TEST(LearntCommandsTest, BuiltInRowsAreNotReplaced) {
  const LearntCommands table(ReportForTest({{.name = "GET", .flags = {"write"}}, {.name = "new"}}));
  EXPECT_EQ(table.Find("get"), nullptr);
  EXPECT_EQ(table.commands().size(), 1u);
}

TEST(LearntCommandsTest, SaysWhichBuiltInOnesTheNodesHave) {
  const LearntCommands table(ReportForTest(
      {{.name = "get"}, {.name = "object", .subcommands = {{.name = "object|encoding"}}}}));
  EXPECT_TRUE(table.NodesHave(CommandNamed("get")));
  EXPECT_FALSE(table.NodesHave(CommandNamed("set")));
  EXPECT_TRUE(table.NodesHave(CommandNamed("object")));
  EXPECT_TRUE(table.NodesHave(CommandNamed("object|encoding")));
  EXPECT_FALSE(table.NodesHave(CommandNamed("object|freq")));
  const LearntCommands before_7(ReportForTest({{.name = "object", .before_7 = true}}));
  EXPECT_TRUE(before_7.NodesHave(CommandNamed("object|freq"))) << "it tells nothing of them";
  EXPECT_FALSE(before_7.NodesHave(CommandNamed("memory|usage")));
}

TEST(LearntCommandsTest, ContainersThatAreBuiltInMayHaveNewSubcommands) {
  const LearntCommands learnt(ReportForTest(
      {{.name = "xinfo",
        .subcommands =
            {{.name = "xinfo|stream", .flags = {"readonly"}},
             {.name = "xinfo|lag", .flags = {"readonly"}, .specs = {RangeSpecForTest(2)}}}},
       {.name = "client", .subcommands = {{.name = "client|shout", .flags = {"noscript"}}}},
       {.name = "get", .subcommands = {{.name = "get|x", .flags = {"readonly"}}}}}));
  const CommandSpec& xinfo = *FindCommand("xinfo");
  ASSERT_EQ(learnt.NewSubcommands(xinfo).size(), 1u);
  const CommandSpec* lag = learnt.FindNewSubcommand(xinfo, "LAG");
  ASSERT_NE(lag, nullptr);
  EXPECT_EQ(lag->name, "xinfo|lag");
  EXPECT_EQ(lag->route, Route::kKeyed);
  EXPECT_EQ(lag->id, LearntCommandId());
  EXPECT_EQ(learnt.FindNewSubcommand(xinfo, "stream"), nullptr) << "it is built in";
  const CommandSpec* shout = learnt.FindNewSubcommand(*FindCommand("client"), "shout");
  ASSERT_NE(shout, nullptr);
  EXPECT_EQ(shout->route, Route::kRefuse) << "it may change the connection";
  EXPECT_TRUE(learnt.NewSubcommands(*FindCommand("get")).empty());
  EXPECT_FALSE(learnt.SameAs(LearntCommands(ReportForTest(
      {{.name = "xinfo", .subcommands = {{.name = "xinfo|stream", .flags = {"readonly"}}}},
       {.name = "client"},
       {.name = "get"}}))));
}

TEST(LearntCommandsTest, ContainersHaveRowsForTheirSubcommands) {
  const Learnt box(
      {.name = "box",
       .subcommands = {
           {.name = "box|put", .arity = 4, .flags = {"write"}, .specs = {RangeSpecForTest(2)}},
           {.name = "box|wipe", .flags = {"admin"}}}});
  EXPECT_EQ(box->route, Route::kContainer);
  const CommandSpec* put = FindSubcommand(*box, "PUT");
  ASSERT_NE(put, nullptr);
  EXPECT_EQ(put->name, "box|put");
  EXPECT_EQ(put->route, Route::kKeyed);
  EXPECT_EQ(FindSubcommand(*box, "wipe")->route, Route::kNodeOnly);
  EXPECT_EQ(FindSubcommand(*box, "nosuch"), nullptr);
}

TEST(LearntCommandsTest, KeylessCommandsGoWhereTheirTipsSay) {
  EXPECT_EQ(WithTips("readonly", {}, "", "")->route, Route::kAnyPrimary);
  EXPECT_EQ(WithTips("write", {}, "", "")->route, Route::kRefuse);
  const struct {
    const char* request;
    const char* response;
    Route route;
    Merge merge;
  } cases[] = {
      {"all_shards", "agg_sum", Route::kAllPrimaries, Merge::kSum},
      {"all_shards", "agg_min", Route::kAllPrimaries, Merge::kMin},
      {"all_shards", "agg_logical_and", Route::kAllPrimaries, Merge::kAnd},
      {"all_shards", "", Route::kAllPrimaries, Merge::kConcat},
      {"all_nodes", "all_succeeded", Route::kAllNodes, Merge::kAllOk},
      {"all_shards", "agg_max", Route::kRefuse, Merge::kNone},
      {"all_shards", "one_succeeded", Route::kRefuse, Merge::kNone},
      {"all_shards", "special", Route::kRefuse, Merge::kNone},
      {"multi_shard", "", Route::kRefuse, Merge::kNone},
      {"special", "", Route::kRefuse, Merge::kNone},
  };
  for (const auto& expected : cases) {
    for (const char* flag : {"readonly", "write", "fast"}) {
      const Learnt row = WithTips(flag, {}, expected.request, expected.response);
      EXPECT_EQ(row->route, expected.route) << expected.request << " " << expected.response;
      EXPECT_EQ(row->merge, expected.merge) << expected.request << " " << expected.response;
    }
  }
}

TEST(LearntCommandsTest, WhatIsAllKeysIsSplitIfTheTipsSaySo) {
  EXPECT_EQ(WithTips("write", {kAllKeys}, "", "")->route, Route::kKeyed);
  const Learnt sum = WithTips("write", {kAllKeys}, "multi_shard", "agg_sum");
  EXPECT_EQ(sum->route, Route::kSplit);
  EXPECT_EQ(sum->merge, Merge::kSum);
  EXPECT_EQ(WithTips("readonly", {kAllKeys}, "multi_shard", "")->merge, Merge::kKeyOrder);
  EXPECT_EQ(WithTips("write", {kAllKeys}, "multi_shard", "all_succeeded")->merge, Merge::kAllOk);
  EXPECT_EQ(WithTips("write", {kAllKeys}, "multi_shard", "agg_min")->route, Route::kKeyed);
  for (const std::string& spec : {RangeSpecForTest(1, -1, 2), RangeSpecForTest(2, -1),
                                  RangeSpecForTest(1, -2), KeyNumSpecForTest(1), kOneKey}) {
    EXPECT_EQ(WithTips("write", {spec}, "multi_shard", "agg_sum")->route, Route::kKeyed);
  }
}

TEST(LearntCommandsTest, OneThatBlocksNeedsATimeoutInAKnownPlace) {
  const auto route = [](const std::string& spec) {
    return Learnt({.name = "x", .flags = {"write", "blocking"}, .specs = {spec}})->route;
  };
  EXPECT_EQ(route(RangeSpecForTest(1, -2)), Route::kBlocking) << "as BLPOP key ... timeout";
  EXPECT_EQ(route(kOneKey), Route::kRefuse);
  EXPECT_EQ(route(kAllKeys), Route::kRefuse);
  EXPECT_EQ(route(KeyNumSpecForTest(2)), Route::kRefuse);
  EXPECT_EQ(Learnt({.name = "x", .flags = {"readonly", "blocking"}})->route, Route::kRefuse);
}

TEST(LearntCommandsTest, RefusesWhatCannotBeRoutedAndSaysWhy) {
  const auto why = [](const EntryForTest& entry) {
    const Learnt row(entry);
    EXPECT_EQ(row->route, Route::kRefuse);
    return std::string(row->note);
  };
  EXPECT_EQ(why({.name = "x", .flags = {"readonly"}, .specs = {UnknownSpecForTest()}}),
            "the nodes do not say where its keys are");
  EXPECT_EQ(why({.name = "x", .flags = {"pubsub"}}),
            "connections to the nodes are shared, and it is about subscriptions");
  EXPECT_EQ(why({.name = "x", .flags = {"loading", "stale"}}),
            "it may change the connection to the node, which is shared");
  EXPECT_EQ(why({.name = "x", .flags = {"noscript"}, .specs = {kAllKeys}}),
            "it may change the connection to the node, which is shared")
      << "WATCH";
  const Learnt admin({.name = "x", .flags = {"admin", "readonly"}});
  EXPECT_EQ(admin->route, Route::kNodeOnly);
}

TEST(LearntCommandsTest, AModulesCommandNeedNotSayWhetherItWrites) {
  const Learnt keyed({.name = "x", .flags = {"module"}, .specs = {kOneKey}});
  EXPECT_EQ(keyed->route, Route::kKeyed);
  EXPECT_TRUE(keyed->Has(kFlagMayReplicate)) << "held up by CLIENT PAUSE WRITE";
  EXPECT_FALSE(keyed->Has(kFlagRead));
  EXPECT_EQ(Learnt({.name = "x", .flags = {"module"}})->route, Route::kRefuse);
}

TEST(LearntCommandsTest, DisputedOnesAreRefused) {
  CommandReport common = ReportForTest({{.name = "x", .flags = {"write"}, .specs = {kOneKey}}});
  KeepCommon(&common, ReportForTest({{.name = "x", .flags = {"write"}, .specs = {kAllKeys}}}));
  const LearntCommands table(common);
  EXPECT_EQ(table.Find("x")->route, Route::kRefuse);
  EXPECT_EQ(table.Find("x")->note, "the nodes do not describe it alike");
}

TEST(LearntCommandsTest, NobodyNeedsAPasswordLess) {
  EXPECT_FALSE(Learnt({.name = "x", .flags = {"readonly", "no_auth"}})->Has(kFlagNoAuth));
}

TEST(LearntCommandsTest, SameAsComparesAllThatMatters) {
  const EntryForTest x = {.name = "x", .flags = {"write"}, .specs = {kOneKey}};
  const LearntCommands table(ReportForTest({x, {.name = "get"}}));
  EXPECT_TRUE(table.SameAs(LearntCommands(ReportForTest({{.name = "get"}, x}))));
  for (const std::vector<EntryForTest>& other : std::vector<std::vector<EntryForTest>>{
           {x},
           {x, {.name = "get"}, {.name = "set"}},
           {{.name = "y", .flags = {"write"}, .specs = {kOneKey}}, {.name = "get"}},
           {{.name = "x", .arity = 3, .flags = {"write"}, .specs = {kOneKey}}, {.name = "get"}},
           {{.name = "x", .flags = {"readonly"}, .specs = {kOneKey}}, {.name = "get"}},
           {{.name = "x", .flags = {"write"}, .specs = {kAllKeys}}, {.name = "get"}},
           {{.name = "x", .subcommands = {{.name = "x|a"}}}, {.name = "get"}}}) {
    EXPECT_FALSE(table.SameAs(LearntCommands(ReportForTest(other))));
  }
}

}  // namespace
}  // namespace rcproxy::cluster
