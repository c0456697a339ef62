#include "proxy/known_commands.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_for_test.h"
#include "cluster/command_report_for_test.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandForTest;
using cluster::EntryForTest;
using cluster::LearntCommands;
using cluster::Words;

std::shared_ptr<const LearntCommands> TableOf(const std::vector<EntryForTest>& entries) {
  return std::make_shared<const LearntCommands>(cluster::ReportForTest(entries));
}

std::string NameFor(const KnownCommands& commands, std::string_view line) {
  const CommandForTest command(Words(line));
  const cluster::CommandSpec* spec = commands.FindFor(command.view());
  return spec == nullptr ? commands.UnknownError(command.view()) : std::string(spec->name);
}

TEST(KnownCommandsTest, KnowsTheBuiltInOnesBeforeTheNodesHaveTold) {
  const KnownCommands commands;
  EXPECT_EQ(commands.learnt(), nullptr);
  EXPECT_EQ(NameFor(commands, "GET a"), "get");
  EXPECT_EQ(NameFor(commands, "client LIST"), "client|list");
  EXPECT_EQ(NameFor(commands, "client"), "client");
  EXPECT_EQ(NameFor(commands, "client x"), "ERR unknown subcommand 'x'. Try CLIENT HELP.");
  EXPECT_EQ(NameFor(commands, "my.get a"),
            "ERR unknown command 'my.get', with args beginning with: 'a' ");
}

TEST(KnownCommandsTest, KnowsWhatWasLearntToo) {
  KnownCommands commands;
  commands.Adopt(TableOf({{.name = "my.get", .flags = {"readonly"}},
                          {.name = "get", .arity = 9},
                          {.name = "box", .subcommands = {{.name = "box|put"}}}}));
  EXPECT_EQ(NameFor(commands, "MY.GET a"), "my.get");
  EXPECT_EQ(NameFor(commands, "BOX Put a"), "box|put");
  EXPECT_EQ(NameFor(commands, "box x"), "ERR unknown subcommand 'x'. Try BOX HELP.");
  EXPECT_EQ(commands.Find("get")->arity, 2) << "a built-in row stays";
}

TEST(KnownCommandsTest, KnowsNewSubcommandsOfBuiltInContainers) {
  KnownCommands commands;
  commands.Adopt(TableOf({{.name = "xinfo", .subcommands = {{.name = "xinfo|lag"}}}}));
  EXPECT_EQ(NameFor(commands, "XINFO Lag a"), "xinfo|lag");
  EXPECT_EQ(NameFor(commands, "XINFO STREAM a"), "xinfo|stream");
  EXPECT_EQ(NameFor(commands, "XINFO x"), "ERR unknown subcommand 'x'. Try XINFO HELP.");
  EXPECT_EQ(commands.FindByFullName("xinfo|LAG")->name, "xinfo|lag");
}

TEST(KnownCommandsTest, FindsByFullName) {
  KnownCommands commands;
  commands.Adopt(TableOf({{.name = "box", .subcommands = {{.name = "box|put"}}}}));
  EXPECT_EQ(commands.FindByFullName("GET")->name, "get");
  EXPECT_EQ(commands.FindByFullName("Client|NO-evict")->name, "client|no-evict");
  EXPECT_EQ(commands.FindByFullName("BOX|put")->name, "box|put");
  for (const char* name : {"nosuchcommand", "client|nosuch", "box|x", "get|x", "", "|"}) {
    EXPECT_EQ(commands.FindByFullName(name), nullptr) << name;
  }
}

TEST(KnownCommandsTest, RowsOfFormerTablesStayValid) {
  KnownCommands commands;
  commands.Adopt(TableOf({{.name = "first"}}));
  const cluster::CommandSpec* first = commands.Find("first");
  const auto second = TableOf({{.name = "second"}});
  for (int i = 0; i < 3; ++i) commands.Adopt(second);
  EXPECT_EQ(commands.Find("first"), nullptr);
  EXPECT_NE(commands.Find("second"), nullptr);
  EXPECT_EQ(first->name, "first");
  EXPECT_EQ(second.use_count(), 2) << "kept once";
}

}  // namespace
}  // namespace rcproxy::proxy
