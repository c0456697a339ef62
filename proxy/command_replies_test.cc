#include "proxy/command_replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cluster/command_report_for_test.h"
#include "cluster/learnt_commands.h"
#include "proxy/local_commands_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using resp::Value;

Value Parse(const std::string& reply) {
  auto value = resp::ParseValue(reply);
  EXPECT_TRUE(value.ok()) << value.status() << "\n" << reply.substr(0, 200);
  return value.ok() ? *value : Value{};
}

std::vector<std::string> Texts(const Value& list) {
  std::vector<std::string> texts;
  for (const Value& element : list.elements) texts.push_back(element.text);
  return texts;
}

TEST(CommandInfoTest, HasTheTenElementsOfTheServer) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND INFO get"),
            "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
            "*2\r\n+@read\r\n+@string\r\n*0\r\n"
            "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
            "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n"
            "*2\r\n$5\r\nindex\r\n:1\r\n"
            "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
            "*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n");
}

TEST(CommandInfoTest, KeywordAndCountSpecs) {
  LocalCommandsForTest local;
  const std::string xread = local.Ask("COMMAND INFO xread");
  EXPECT_NE(xread.find("$7\r\nkeyword\r\n$4\r\nspec\r\n*4\r\n$7\r\nkeyword\r\n$7\r\nSTREAMS\r\n"
                       "$9\r\nstartfrom\r\n:1\r\n"),
            std::string::npos);
  const std::string eval = local.Ask("COMMAND INFO eval");
  EXPECT_NE(eval.find("$6\r\nkeynum\r\n$4\r\nspec\r\n*6\r\n$9\r\nkeynumidx\r\n:0\r\n"
                      "$8\r\nfirstkey\r\n:1\r\n$7\r\nkeystep\r\n:1\r\n"),
            std::string::npos);
  const std::string sort = local.Ask("COMMAND INFO sort");
  EXPECT_NE(sort.find("+incomplete\r\n"), std::string::npos);
  EXPECT_NE(sort.find("$7\r\nunknown\r\n$4\r\nspec\r\n*0\r\n"), std::string::npos);
}

TEST(CommandInfoTest, ChannelsAreNoKeys) {
  LocalCommandsForTest local;
  EXPECT_NE(local.Ask("COMMAND INFO spublish").find("*1\r\n+not_key\r\n"), std::string::npos);
}

TEST(CommandInfoTest, WhatIsNotServedIsNotThere) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND INFO nosuch shutdown client|import-source"),
            "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
}

TEST(CommandInfoTest, ContainersListTheirSubcommands) {
  LocalCommandsForTest local;
  const Value info = Parse(local.Ask("COMMAND INFO client"));
  ASSERT_EQ(info.elements.size(), 1u);
  bool has_id = false;
  for (const Value& subcommand : info.elements[0].elements[9].elements) {
    ASSERT_EQ(subcommand.elements.size(), 10u);
    EXPECT_NE(subcommand.elements[0].text, "client|import-source");
    has_id |= subcommand.elements[0].text == "client|id";
  }
  EXPECT_TRUE(has_id);
}

TEST(CommandTest, CountListAndInfoAgree) {
  LocalCommandsForTest local;
  const Value all = Parse(local.Ask("COMMAND"));
  EXPECT_GT(all.elements.size(), 200u);
  EXPECT_EQ(local.Ask("COMMAND COUNT"), ":" + std::to_string(all.elements.size()) + "\r\n");
  EXPECT_EQ(local.Ask("COMMAND INFO"), local.Ask("COMMAND"));
  size_t names = 0;
  for (const std::string& name : Texts(Parse(local.Ask("COMMAND LIST")))) {
    names += name.find('|') == std::string::npos;
  }
  EXPECT_EQ(names, all.elements.size());
}

TEST(CommandTest, SubcommandsAreLookedUpHere) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND NOSUCH"), "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.\r\n");
  EXPECT_EQ(local.Ask("COMMAND COUNT x"),
            "-ERR wrong number of arguments for 'command|count' command\r\n");
}

TEST(CommandListTest, Filters) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND LIST FILTERBY PATTERN XR*"),
            "*4\r\n$6\r\nxrange\r\n$5\r\nxread\r\n$10\r\nxreadgroup\r\n$9\r\nxrevrange\r\n");
  EXPECT_EQ(local.Ask("COMMAND LIST FILTERBY PATTERN nosuch"), "*0\r\n");
  EXPECT_EQ(local.Ask("COMMAND LIST FILTERBY MODULE search"), "*0\r\n");
  EXPECT_EQ(local.Ask("COMMAND LIST FILTERBY ACLCAT nosuch"), "*0\r\n");
  const std::vector<std::string> logs =
      Texts(Parse(local.Ask("COMMAND LIST FILTERBY ACLCAT hyperloglog")));
  EXPECT_NE(std::find(logs.begin(), logs.end(), "pfcount"), logs.end());
}

TEST(CommandListTest, MalformedFilters) {
  LocalCommandsForTest local;
  for (const char* line : {"COMMAND LIST x", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY x y",
                           "COMMAND LIST FILTERBY PATTERN", "COMMAND LIST FILTERBY PATTERN a b"}) {
    EXPECT_EQ(local.Ask(line), "-ERR syntax error\r\n") << line;
  }
}

TEST(CommandDocsTest, HasSinceAndGroup) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND DOCS nosuch"), "*0\r\n");
  EXPECT_EQ(local.Ask("COMMAND DOCS get nosuch"),
            "*2\r\n$3\r\nget\r\n*6\r\n$7\r\nsummary\r\n$0\r\n\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n"
            "$5\r\ngroup\r\n$6\r\nstring\r\n");
  const Value client = Parse(local.Ask("COMMAND DOCS client"));
  const Value* subcommands = client.elements[1].Find("subcommands");
  ASSERT_NE(subcommands, nullptr);
  EXPECT_NE(subcommands->Find("client|id"), nullptr);
  EXPECT_GT(Parse(local.Ask("COMMAND DOCS")).elements.size(), 400u);
}

TEST(CommandGetKeysTest, FindsKeys) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND GETKEYS GET a"), "*1\r\n$1\r\na\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS MSET a b c d"), "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS OBJECT ENCODING k"), "*1\r\n$1\r\nk\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS ZUNIONSTORE d 2 a b"),
            "*3\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS EVAL script 0"), "*0\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS EVAL script 5 a"), "*0\r\n");
}

TEST(CommandGetKeysTest, FlagsSayReadOrWrite) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND GETKEYSANDFLAGS GET a"),
            "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYSANDFLAGS SET a b"),
            "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
}

TEST(CommandGetKeysTest, Errors) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("COMMAND GETKEYS"),
            "-ERR wrong number of arguments for 'command|getkeys' command\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS nosuch a"), "-ERR Invalid command specified\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS CLIENT NOSUCH"), "-ERR Invalid command specified\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS PING a"), "-ERR The command has no key arguments\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS CLIENT LIST"), "-ERR The command has no key arguments\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS GET a b"),
            "-ERR Invalid number of arguments specified for command\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS ZUNION 5 a"),
            "-ERR Invalid arguments specified for command\r\n");
  EXPECT_EQ(local.Ask("COMMAND GETKEYS XREAD a b c"),
            "-ERR Invalid arguments specified for command\r\n");
}

// ---- when the nodes have told

class LearntTest : public testing::Test {
 protected:
  void Learn(const std::vector<cluster::EntryForTest>& entries) {
    local_.known.Adopt(
        std::make_shared<const cluster::LearntCommands>(cluster::ReportForTest(entries)));
  }
  std::vector<std::string> List() { return Texts(Parse(local_.Ask("COMMAND LIST"))); }
  bool IsInList(const std::string& name) {
    const std::vector<std::string> names = List();
    return std::ranges::find(names, name) != names.end();
  }

  LocalCommandsForTest local_;
};

TEST_F(LearntTest, OnlyWhatTheNodesHaveIsListed) {
  EXPECT_TRUE(IsInList("set"));
  Learn({{.name = "get"}, {.name = "object", .subcommands = {{.name = "object|encoding"}}}});
  EXPECT_TRUE(IsInList("get"));
  EXPECT_FALSE(IsInList("set"));
  EXPECT_FALSE(IsInList("blpop"));
  EXPECT_TRUE(IsInList("object|encoding"));
  EXPECT_FALSE(IsInList("object|freq"));
  EXPECT_FALSE(IsInList("memory"));
  EXPECT_TRUE(IsInList("ping")) << "answered by rcproxy itself";
  EXPECT_TRUE(IsInList("client|list"));
  EXPECT_EQ(local_.Ask("COMMAND INFO set"), "*1\r\n$-1\r\n");
  EXPECT_EQ(local_.Ask("COMMAND DOCS set"), "*0\r\n");
  EXPECT_EQ(local_.Ask("COMMAND GETKEYS SET a b"), "*1\r\n$1\r\na\r\n") << "it would still be sent";
}

TEST_F(LearntTest, LearntCommandsAreListedAmongTheOthers) {
  Learn({{.name = "hello.get", .flags = {"readonly"}, .specs = {cluster::RangeSpecForTest(1)}},
         {.name = "hello.shutdown", .flags = {"admin"}},
         {.name = "get"},
         {.name = "hset"}});
  EXPECT_TRUE(IsInList("hello.get"));
  EXPECT_FALSE(IsInList("hello.shutdown")) << "it is not served";
  const std::vector<std::string> names = List();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(local_.Ask("COMMAND LIST FILTERBY PATTERN hello.*"), "*1\r\n$9\r\nhello.get\r\n");
  const Value all = Parse(local_.Ask("COMMAND"));
  EXPECT_EQ(local_.Ask("COMMAND COUNT"), ":" + std::to_string(all.elements.size()) + "\r\n");
}

TEST_F(LearntTest, LearntCommandsAreDescribed) {
  Learn({{.name = "My.Copy",
          .arity = -4,
          .flags = {"write", "module"},
          .specs = {cluster::RangeSpecForTest(1, 1), cluster::KeyNumSpecForTest(3)}},
         {.name = "box",
          .subcommands = {
              {.name = "box|put", .flags = {"write"}, .specs = {cluster::RangeSpecForTest(2)}},
              {.name = "box|wipe", .flags = {"admin"}}}}});
  EXPECT_THAT(local_.Ask("COMMAND INFO my.copy"),
              testing::StartsWith("*1\r\n*10\r\n$7\r\nmy.copy\r\n:-4\r\n*3\r\n"
                                  "+write\r\n+"
                                  "module\r\n+movablekeys\r\n:1\r\n:2\r\n:1\r\n"));
  EXPECT_EQ(local_.Ask("COMMAND DOCS MY.COPY"),
            "*2\r\n$7\r\nmy.copy\r\n*6\r\n$7\r\nsummary\r\n$24\r\nas the nodes describe "
            "it\r\n$5\r\nsince\r\n$0\r\n\r\n$5\r\ngroup\r\n$6\r\nmodule\r\n");
  const Value box = Parse(local_.Ask("COMMAND INFO box"));
  ASSERT_EQ(box.elements[0].elements[9].elements.size(), 1u);
  EXPECT_EQ(box.elements[0].elements[9].elements[0].elements[0].text, "box|put");
  EXPECT_EQ(local_.Ask("COMMAND GETKEYS MY.COPY a b 2 c d"),
            "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n");
  EXPECT_EQ(local_.Ask("COMMAND GETKEYSANDFLAGS box put k"),
            "*1\r\n*2\r\n$1\r\nk\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
}

TEST(AclCatTest, ListsCategoriesAndTheirCommands) {
  LocalCommandsForTest local;
  const std::vector<std::string> categories = Texts(Parse(local.Ask("ACL CAT")));
  EXPECT_NE(std::find(categories.begin(), categories.end(), "sortedset"), categories.end());
  const std::vector<std::string> geo = Texts(Parse(local.Ask("ACL CAT GEO")));
  EXPECT_NE(std::find(geo.begin(), geo.end(), "geoadd"), geo.end());
  EXPECT_EQ(local.Ask("ACL CAT nosuch"), "-ERR Unknown category 'nosuch'\r\n");
  EXPECT_EQ(local.Ask("ACL CAT geo x"),
            "-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
