#include "proxy/server_commands.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "proxy/local_commands_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using resp::Value;

Value Parse(const std::string& reply) {
  auto value = resp::ParseValue(reply);
  EXPECT_TRUE(value.ok()) << value.status() << "\n" << reply;
  return value.ok() ? *value : Value{};
}

TEST(TimeTest, IsTheWallClock) {
  LocalCommandsForTest local;
  const int64_t before = std::time(nullptr);
  const Value time = Parse(local.Ask("TIME"));
  ASSERT_EQ(time.elements.size(), 2u);
  EXPECT_GE(std::stoll(time.elements[0].text), before);
  EXPECT_LE(std::stoll(time.elements[0].text), std::time(nullptr));
  EXPECT_LT(std::stoll(time.elements[1].text), 1'000'000);
}

TEST(RoleTest, IsAPrimaryWithoutReplicas) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("ROLE"), "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
}

TEST(ProxyInfoTest, TakesSections) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("PROXY INFO cluster"), "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
  EXPECT_EQ(local.Ask("PROXY INFO nosuch"), "$0\r\n\r\n");
  EXPECT_EQ(Parse(local.Ask("PROXY INFO")).text.find("# Server\r\n"), 0u);
}

TEST(AclTest, ThereIsOneUser) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("ACL WHOAMI"), "$7\r\ndefault\r\n");
}

TEST(AclTest, GenPassMakesAPasswordOfSoManyBits) {
  LocalCommandsForTest local;
  const std::string first = Parse(local.Ask("ACL GENPASS")).text;
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(first.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(first, Parse(local.Ask("ACL GENPASS")).text);
  EXPECT_EQ(Parse(local.Ask("ACL GENPASS 5")).text.size(), 2u);
  EXPECT_EQ(Parse(local.Ask("ACL GENPASS 1")).text.size(), 1u);
  EXPECT_EQ(Parse(local.Ask("ACL GENPASS 4096")).text.size(), 1024u);
  for (const char* line : {"ACL GENPASS 0", "ACL GENPASS -1", "ACL GENPASS 4097"}) {
    EXPECT_EQ(local.Ask(line),
              "-ERR ACL GENPASS argument must be the number of bits for the output password, a "
              "positive number up to 4096\r\n");
  }
  EXPECT_EQ(local.Ask("ACL GENPASS x"), "-ERR value is not an integer or out of range\r\n");
}

TEST(LatencyTest, IsNotMonitored) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("LATENCY LATEST"), "*0\r\n");
  EXPECT_EQ(local.Ask("LATENCY HISTORY command"), "*0\r\n");
  EXPECT_EQ(local.Ask("LATENCY RESET command"), ":0\r\n");
  EXPECT_EQ(local.Ask("LATENCY GRAPH command"),
            "-ERR No samples available for event 'command'\r\n");
  EXPECT_NE(local.Ask("LATENCY DOCTOR").find("disabled"), std::string::npos);
  EXPECT_TRUE(
      local.Ask("LATENCY HISTOGRAM").starts_with("-ERR LATENCY HISTOGRAM is not available"));
}

TEST(SlowLogTest, IsOff) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("SLOWLOG GET"), "*0\r\n");
  EXPECT_EQ(local.Ask("SLOWLOG GET -1"), "*0\r\n");
  EXPECT_EQ(local.Ask("SLOWLOG LEN"), ":0\r\n");
  EXPECT_EQ(local.Ask("SLOWLOG RESET"), "+OK\r\n");
  for (const char* line : {"SLOWLOG GET x", "SLOWLOG GET -2"}) {
    EXPECT_EQ(local.Ask(line), "-ERR count should be greater than or equal to -1\r\n");
  }
  EXPECT_EQ(
      local.Ask("SLOWLOG GET 1 2"),
      "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n");
}

TEST(HelpTest, ListsWhatIsServed) {
  LocalCommandsForTest local;
  const std::string help = local.Ask("CLIENT HELP");
  EXPECT_NE(help.find("\r\n+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"),
            std::string::npos)
      << help;
  EXPECT_NE(help.find("\r\n+SETNAME\r\n"), std::string::npos) << help;
  EXPECT_EQ(help.find("\r\n+IMPORT-SOURCE\r\n"), std::string::npos) << help;
  EXPECT_TRUE(help.ends_with("\r\n+HELP\r\n+    Prints this help.\r\n")) << help;
}

TEST(HelpTest, IsThereForContainersWhoseCommandsGoToNodes) {
  LocalCommandsForTest local;
  for (const char* line : {"OBJECT HELP", "XINFO HELP", "SCRIPT HELP", "FUNCTION HELP",
                           "COMMAND HELP", "CONFIG HELP", "CLUSTER HELP", "ACL HELP"}) {
    EXPECT_GT(Parse(local.Ask(line)).elements.size(), 3u) << line;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
