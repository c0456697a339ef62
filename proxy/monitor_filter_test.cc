#include "proxy/monitor_filter.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

class MonitorFilterTest : public ::testing::Test {
 protected:
  std::string Parse(const std::string& line) {
    filter_ = MonitorFilter();
    const cluster::CommandForTest command(cluster::Words(line));
    return ParseMonitorFilter(command.view(), known_, &filter_);
  }
  bool Shows(const std::string& line) {
    const cluster::CommandForTest command(cluster::Words(line));
    return filter_.Matches(session_, *known_.FindFor(command.view()), command.view());
  }

  KnownCommands known_;
  Session session_;
  MonitorFilter filter_;
};

TEST_F(MonitorFilterTest, WithoutConditionsEverythingIsShown) {
  for (const char* line : {"MONITOR", "PROXY MONITOR"}) {
    EXPECT_EQ(Parse(line), "");
    EXPECT_TRUE(Shows("GET a"));
    EXPECT_TRUE(Shows("PING"));
  }
}

TEST_F(MonitorFilterTest, OneKeyHasToMatchThePattern) {
  EXPECT_EQ(Parse("PROXY MONITOR match user:*"), "");
  EXPECT_TRUE(Shows("GET user:1"));
  EXPECT_TRUE(Shows("MGET a user:1"));
  EXPECT_FALSE(Shows("GET USER:1"));
  EXPECT_FALSE(Shows("SET a user:1")) << "a value is no key";
  EXPECT_FALSE(Shows("PING user:1"));
}

TEST_F(MonitorFilterTest, CommandsAreNamedAsTheServerNamesThem) {
  EXPECT_EQ(Parse("PROXY MONITOR COMMAND GET config client|list"), "");
  EXPECT_TRUE(Shows("get a"));
  EXPECT_TRUE(Shows("CONFIG GET x"));
  EXPECT_TRUE(Shows("CLIENT LIST"));
  EXPECT_FALSE(Shows("CLIENT ID"));
  EXPECT_FALSE(Shows("GETDEL a"));
}

TEST_F(MonitorFilterTest, OneClientByItsNumber) {
  EXPECT_EQ(Parse("PROXY MONITOR ID 7"), "");
  session_.id = 7;
  EXPECT_TRUE(Shows("GET a"));
  session_.id = 8;
  EXPECT_FALSE(Shows("GET a"));
}

TEST_F(MonitorFilterTest, OneClientByItsAddress) {
  EXPECT_EQ(Parse("PROXY MONITOR ADDR 127.0.0.1:5"), "");
  EXPECT_FALSE(Shows("GET a"));
}

TEST_F(MonitorFilterTest, AllConditionsHaveToHold) {
  EXPECT_EQ(Parse("PROXY MONITOR COMMAND get set MATCH a* ID 7"), "");
  session_.id = 7;
  EXPECT_TRUE(Shows("GET a1"));
  EXPECT_TRUE(Shows("SET a1 x"));
  EXPECT_FALSE(Shows("GET b1"));
  EXPECT_FALSE(Shows("DEL a1"));
}

TEST_F(MonitorFilterTest, WhatIsNotUnderstoodIsRefused) {
  for (const char* line :
       {"PROXY MONITOR x", "PROXY MONITOR MATCH", "PROXY MONITOR COMMAND",
        "PROXY MONITOR COMMAND ID 1", "PROXY MONITOR ID 1 ADDR", "PROXY MONITOR ID 1 2"})
    EXPECT_EQ(Parse(line), "ERR syntax error") << line;
  for (const char* line : {"PROXY MONITOR ID x", "PROXY MONITOR ID 0", "PROXY MONITOR ID -1"})
    EXPECT_EQ(Parse(line), "ERR Invalid client ID") << line;
  EXPECT_EQ(Parse("PROXY MONITOR COMMAND get nosuch"), "ERR Invalid command specified");
}

}  // namespace
}  // namespace rcproxy::proxy
