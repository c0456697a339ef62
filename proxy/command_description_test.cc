#include "proxy/command_description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/command_report_for_test.h"
#include "cluster/command_table.h"
#include "cluster/learnt_commands.h"

namespace rcproxy::proxy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

const cluster::CommandSpec& Spec(std::string_view name) { return cluster::CommandNamed(name); }

void ExpectKeys(std::string_view name, int first, int last, int step, bool incomplete) {
  const LegacyKeys keys = LegacyKeysOf(Spec(name));
  EXPECT_EQ(keys.first, first) << name;
  EXPECT_EQ(keys.last, last) << name;
  EXPECT_EQ(keys.step, step) << name;
  EXPECT_EQ(keys.incomplete, incomplete) << name;
}

TEST(CommandDescriptionTest, LastWordOfAFullName) {
  EXPECT_EQ(LastWord("client|list"), "list");
  EXPECT_EQ(LastWord("get"), "get");
}

TEST(CommandDescriptionTest, LegacyKeysOfSimpleRanges) {
  ExpectKeys("get", 1, 1, 1, false);
  ExpectKeys("mset", 1, -1, 2, false);
  ExpectKeys("del", 1, -1, 1, false);
  ExpectKeys("blpop", 1, -2, 1, false);
  ExpectKeys("object|encoding", 2, 2, 1, false);
  ExpectKeys("ping", 0, 0, 0, false);
}

TEST(CommandDescriptionTest, LegacyKeysOfRangesInARow) {
  ExpectKeys("rename", 1, 2, 1, false);
  ExpectKeys("bitop", 2, -1, 1, false);
}

TEST(CommandDescriptionTest, KeysThatThreeNumbersCannotTell) {
  ExpectKeys("eval", 0, 0, 0, true);
  ExpectKeys("xread", 0, 0, 0, true);
  ExpectKeys("zunionstore", 1, 1, 1, true);
  ExpectKeys("sort", 1, 1, 1, true);
}

TEST(CommandDescriptionTest, FlagsHaveTheServersNames) {
  EXPECT_THAT(FlagNamesOf(Spec("get")), ElementsAre("readonly"));
  EXPECT_THAT(FlagNamesOf(Spec("set")), ElementsAre("write"));
  EXPECT_THAT(FlagNamesOf(Spec("xread")), ElementsAre("readonly", "blocking", "movablekeys"));
  EXPECT_THAT(FlagNamesOf(Spec("auth")), Contains("no_auth"));
}

TEST(CommandDescriptionTest, CategoriesFollowFromFlagsAndGroup) {
  EXPECT_THAT(CategoriesOf(Spec("get")), UnorderedElementsAre("@read", "@string"));
  EXPECT_THAT(CategoriesOf(Spec("del")), UnorderedElementsAre("@write", "@keyspace"));
  EXPECT_THAT(CategoriesOf(Spec("config|set")), UnorderedElementsAre("@admin", "@dangerous"));
  EXPECT_THAT(CategoriesOf(Spec("eval_ro")), ElementsAre("@scripting"));
  EXPECT_THAT(CategoriesOf(Spec("sort_ro")), Not(Contains("@keyspace")));
  EXPECT_THAT(CategoriesOf(Spec("client")), ElementsAre());
  EXPECT_THAT(AllCategories(), Contains("@blocking"));
  EXPECT_THAT(AllCategories(), Not(Contains("@fast")));
}

TEST(CommandDescriptionTest, ServedIsWhatGivesMoreThanAnError) {
  EXPECT_TRUE(IsServed(Spec("get")));
  EXPECT_TRUE(IsServed(Spec("client")));
  EXPECT_TRUE(IsServed(Spec("client|id")));
  EXPECT_FALSE(IsServed(Spec("waitaof")));
  EXPECT_TRUE(IsServed(Spec("client|tracking")));
  EXPECT_FALSE(IsServed(Spec("client|import-source")));
  EXPECT_FALSE(IsServed(Spec("shutdown")));
}

TEST(CommandDescriptionTest, IsListedIfTheNodesHaveItOrNeedNot) {
  EXPECT_TRUE(IsListed(Spec("set"), nullptr));
  EXPECT_FALSE(IsListed(Spec("waitaof"), nullptr));
  const cluster::LearntCommands learnt(
      cluster::ReportForTest({{.name = "get"},
                              {.name = "blpop"},
                              {.name = "new.read", .flags = {"readonly"}},
                              {.name = "new.admin", .flags = {"admin"}}}));
  for (const char* name : {"get", "blpop", "ping", "client|id", "client", "multi"}) {
    EXPECT_TRUE(IsListed(Spec(name), &learnt)) << name;
  }
  for (const char* name : {"set", "brpop", "dbsize", "object", "object|freq"}) {
    EXPECT_FALSE(IsListed(Spec(name), &learnt)) << name;
  }
  EXPECT_TRUE(IsListed(*learnt.Find("new.read"), &learnt));
  EXPECT_FALSE(IsListed(*learnt.Find("new.admin"), &learnt));
}

}  // namespace
}  // namespace rcproxy::proxy
