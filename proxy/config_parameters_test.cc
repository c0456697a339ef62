#include "proxy/config_parameters.h"

#include <gflags/gflags.h>
#include <glog/logging.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/flags.h"
#include "proxy/local_commands_for_test.h"

namespace rcproxy::proxy {
namespace {

std::string Pair(const std::string& name, const std::string& value) {
  return "*2\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n$" +
         std::to_string(value.size()) + "\r\n" + value + "\r\n";
}

TEST(ConfigGetTest, WhatClientsAskFor) {
  LocalCommandsForTest local;
  local.config.maxclients = 55;
  local.facts.tcp_port = 8088;
  EXPECT_EQ(local.Ask("CONFIG GET save"), Pair("save", ""));
  EXPECT_EQ(local.Ask("CONFIG GET AppendOnly"), Pair("AppendOnly", "no"));
  EXPECT_EQ(local.Ask("CONFIG GET databases"), Pair("databases", "1"));
  EXPECT_EQ(local.Ask("CONFIG GET maxclients"), Pair("maxclients", "55"));
  EXPECT_EQ(local.Ask("CONFIG GET port"), Pair("port", "8088"));
  EXPECT_EQ(local.Ask("CONFIG GET proto-max-bulk-len"), Pair("proto-max-bulk-len", "536870912"));
  EXPECT_EQ(local.Ask("CONFIG GET nosuch"), "*0\r\n");
}

// What clients may do with the data depends on these.
TEST(ConfigGetTest, WhatIsAboutTheDataIsAskedOfANode) {
  LocalCommandsForTest local;
  local.node_reply = "*2\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n";
  EXPECT_EQ(local.Ask("CONFIG GET MaxMemory-Policy"), Pair("MaxMemory-Policy", "allkeys-lru"));
  local.Ask("HELLO 3");
  local.node_reply = "%1\r\n$22\r\nnotify-keyspace-events\r\n$3\r\nAKE\r\n";
  EXPECT_EQ(local.Ask("CONFIG GET notify-* databases"),
            "%2\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$22\r\nnotify-keyspace-events\r\n$3\r\nAKE\r\n");
  for (const std::string_view reply : {"-NOPERM no\r\n", "*0\r\n", "nonsense\r\n"}) {
    local.node_reply = reply;
    EXPECT_NE(local.Ask("CONFIG GET maxmemory-policy").find("noeviction"), std::string::npos);
  }
}

TEST(ConfigGetTest, OurOwnFlags) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CONFIG GET connect_timeout"), Pair("connect_timeout", "1s"));
  EXPECT_EQ(local.Ask("CONFIG GET read_prefer"), Pair("read_prefer", "primary"));
  local.config.read_prefer = ReadPreference::kPreferReplica;
  EXPECT_EQ(local.Ask("CONFIG GET read_prefer"), Pair("read_prefer", "prefer_replica"));
  EXPECT_EQ(local.Ask("CONFIG GET replica_read_prefer"),
            Pair("replica_read_prefer", "prefer_replica"));
  local.config.startup_nodes = {{"127.0.0.1", 7000}, {"::1", 7001}};
  EXPECT_EQ(local.Ask("CONFIG GET startup_nodes"),
            Pair("startup_nodes", "127.0.0.1:7000,[::1]:7001"));
  local.config.read_your_writes_ms = 250;
  EXPECT_EQ(local.Ask("CONFIG GET read_your_writes"), Pair("read_your_writes", "250ms"));
  local.config.read_your_writes_by_offset = true;
  EXPECT_EQ(local.Ask("CONFIG GET read_your_writes"), Pair("read_your_writes", "offset"));
}

TEST(ConfigGetTest, EveryFlagHasAnAnswer) {
  (void)ConfigFromFlags();  // So that they are linked.
  LocalCommandsForTest local;
  std::vector<google::CommandLineFlagInfo> flags;
  google::GetAllFlags(&flags);
  int count = 0;
  for (const google::CommandLineFlagInfo& flag : flags) {
    if (!flag.filename.ends_with("proxy/flags.cc")) continue;
    EXPECT_NE(local.Ask("CONFIG GET " + flag.name), "*0\r\n") << flag.name;
    ++count;
  }
  EXPECT_GT(count, 60);
}

TEST(ConfigGetTest, ListsAreWrittenAsTheFlagsAre) {
  LocalCommandsForTest local;
  local.config.listen = {{"127.0.0.1", 1, ""}, {"", 0, "/run/rcproxy.sock"}};
  local.config.node_addresses = {{"10.0.0.1:1", {"127.0.0.1", 7000}}};
  local.config.zones.rules = {{"10.1.", "a"}, {"10.2.", "b"}};
  local.config.spread_publishes = true;
  EXPECT_EQ(local.Ask("CONFIG GET addr"), Pair("addr", "127.0.0.1:1,/run/rcproxy.sock"));
  EXPECT_EQ(local.Ask("CONFIG GET node_addresses"),
            Pair("node_addresses", "10.0.0.1:1=127.0.0.1:7000"));
  EXPECT_EQ(local.Ask("CONFIG GET zone_map"), Pair("zone_map", "10.1.=a,10.2.=b"));
  EXPECT_EQ(local.Ask("CONFIG GET spread_publishes"), Pair("spread_publishes", "true"));
  EXPECT_EQ(local.Ask("CONFIG GET transactions"), Pair("transactions", "slot"));
}

TEST(ConfigGetTest, WhereItListens) {
  LocalCommandsForTest local;
  local.config.listen = {{"127.0.0.1", 1, ""}, {"", 0, "/run/rcproxy.sock"}, {"::1", 2, ""}};
  EXPECT_EQ(local.Ask("CONFIG GET bind"), Pair("bind", "127.0.0.1 ::1"));
  EXPECT_EQ(local.Ask("CONFIG GET unixsocket"), Pair("unixsocket", "/run/rcproxy.sock"));
}

TEST(ConfigGetTest, PatternsNameEachParameterOnce) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CONFIG GET maxm* maxmemory"),
            "*4\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n");
  EXPECT_NE(local.Ask("CONFIG GET *"), "*0\r\n");
}

TEST(ConfigGetTest, PasswordsAreNotShown) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CONFIG GET requirepass"), Pair("requirepass", ""));
  local.config.requirepass = "sesame";
  local.config.upstream_password = "sesame";
  EXPECT_EQ(local.Ask("CONFIG GET *").find("sesame"), std::string::npos);
}

TEST(ConfigSetTest, TheLogLevelAloneCanBeSet) {
  LocalCommandsForTest local;
  const int minloglevel = FLAGS_minloglevel;
  const int verbosity = FLAGS_v;
  for (const std::string level : {"debug", "verbose", "notice", "warning"}) {
    EXPECT_EQ(local.Ask("CONFIG SET LogLevel " + level), "+OK\r\n");
    EXPECT_EQ(local.Ask("CONFIG GET loglevel"), Pair("loglevel", level));
  }
  EXPECT_EQ(FLAGS_minloglevel, google::GLOG_WARNING);
  FLAGS_minloglevel = minloglevel;
  FLAGS_v = verbosity;
}

TEST(ConfigSetTest, ErrorsAreThoseOfTheServer) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CONFIG SET nosuch x"),
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
  EXPECT_EQ(local.Ask("CONFIG SET databases 4"),
            "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set "
            "immutable config\r\n");
  EXPECT_EQ(local.Ask("CONFIG SET loglevel loud"),
            "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must "
            "be one of the following: debug, verbose, notice, warning\r\n");
  EXPECT_EQ(local.Ask("CONFIG SET loglevel notice loglevel debug"),
            "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - duplicate "
            "parameter\r\n");
  EXPECT_EQ(local.Ask("CONFIG SET loglevel notice x"), "-ERR syntax error\r\n");
}

TEST(ConfigSetTest, NothingIsSetUnlessAllIs) {
  LocalCommandsForTest local;
  const std::string before = local.Ask("CONFIG GET loglevel");
  EXPECT_NE(local.Ask("CONFIG SET loglevel debug databases 4"), "+OK\r\n");
  EXPECT_EQ(local.Ask("CONFIG GET loglevel"), before);
}

}  // namespace
}  // namespace rcproxy::proxy
