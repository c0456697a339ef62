#include "cluster/command_errors.h"

#include <string>
#include <vector>

#include "cluster/command_for_test.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

std::string Unknown(const std::vector<std::string>& words) {
  const CommandForTest command(words);
  return FindCommand(words[0]) == nullptr ? UnknownCommandError(command.view())
                                          : UnknownSubcommandError(command.view());
}

TEST(UnknownCommandErrorTest, QuotesNameAndArguments) {
  EXPECT_EQ(Unknown({"foo"}), "ERR unknown command 'foo', with args beginning with: ");
  EXPECT_EQ(Unknown({"foo", "a", "b"}),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
  EXPECT_EQ(Unknown({"", ""}), "ERR unknown command '', with args beginning with: '' ");
}

TEST(UnknownCommandErrorTest, CutsLongNamesAndArguments) {
  const std::string name(500, 'n');
  EXPECT_EQ(Unknown({name}),
            "ERR unknown command '" + std::string(128, 'n') + "', with args beginning with: ");
  const std::string argument(100, 'a');
  EXPECT_EQ(Unknown({"foo", argument, argument, argument}),
            "ERR unknown command 'foo', with args beginning with: '" + argument + "' '" +
                std::string(25, 'a') + "' ");
}

TEST(UnknownCommandErrorTest, LetsNoLineBreakThrough) {
  EXPECT_EQ(Unknown({"a\r\nb", "c\nd"}),
            "ERR unknown command 'a  b', with args beginning with: 'c d' ");
  EXPECT_EQ(Unknown({std::string("ab\0cd", 5), std::string("\0x", 2)}),
            "ERR unknown command 'ab', with args beginning with: '' ");
  EXPECT_EQ(Unknown({"client", "x\r\n+OK"}), "ERR unknown subcommand 'x  +OK'. Try CLIENT HELP.");
}

TEST(UnknownCommandErrorTest, NamesTheContainerOfASubcommand) {
  EXPECT_EQ(Unknown({"client", "foo"}), "ERR unknown subcommand 'foo'. Try CLIENT HELP.");
  EXPECT_EQ(Unknown({"Object", "Foo", "bar"}), "ERR unknown subcommand 'Foo'. Try OBJECT HELP.");
  EXPECT_EQ(Unknown({"COMMAND", std::string(200, 's')}),
            "ERR unknown subcommand '" + std::string(128, 's') + "'. Try COMMAND HELP.");
}

TEST(ArityErrorTest, UsesTheNameInLowerCase) {
  EXPECT_EQ(ArityError(*FindCommand("GET")), "ERR wrong number of arguments for 'get' command");
  EXPECT_EQ(ArityError(*FindSubcommand(*FindCommand("CLIENT"), "LIST")),
            "ERR wrong number of arguments for 'client|list' command");
}

TEST(NotAvailableErrorTest, SaysWhatToDoInstead) {
  EXPECT_EQ(NotAvailableError(*FindCommand("shutdown")),
            "ERR SHUTDOWN is not available through rcproxy: send it to the node itself");
  EXPECT_EQ(NotAvailableError(*FindSubcommand(*FindCommand("cluster"), "meet")),
            "ERR CLUSTER MEET is not available through rcproxy: change the cluster on its nodes, "
            "for example with redis-cli --cluster");
  // The note of a command that is served says what differs, not what to do.
  EXPECT_EQ(NotAvailableError(*FindCommand("mget")),
            "ERR MGET is not available through rcproxy: send it to the node itself");
}

TEST(NotAvailableErrorTest, IsOneLineForEveryCommand) {
  for (const CommandSpec& spec : AllCommands()) {
    EXPECT_EQ(NotAvailableError(spec).find_first_of("\r\n"), std::string::npos) << spec.name;
    for (const CommandSpec& subcommand : spec.subcommands) {
      EXPECT_EQ(NotAvailableError(subcommand).find_first_of("\r\n"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace rcproxy::cluster
