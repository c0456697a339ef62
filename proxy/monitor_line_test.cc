#include "proxy/monitor_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

std::string Line(const std::vector<std::string>& words, std::string_view name, size_t max = 100) {
  const cluster::CommandForTest command(words);
  return MonitorLine(1'339'518'083'107'412, "0 127.0.0.1:60866", cluster::CommandNamed(name),
                     command.view(), max);
}

TEST(MonitorLineTest, IsTheServersLine) {
  EXPECT_EQ(Line({"KEYS", "*"}, "keys"),
            "+1339518083.107412 [0 127.0.0.1:60866] \"KEYS\" \"*\"\r\n");
}

TEST(MonitorLineTest, WhatCannotBePrintedIsEscaped) {
  EXPECT_EQ(Line({"SET", "a\"b\\c", std::string("\n\r\t\a\b\0\x7f\xff", 8)}, "set"),
            "+1339518083.107412 [0 127.0.0.1:60866] \"SET\" \"a\\\"b\\\\c\" "
            "\"\\n\\r\\t\\a\\b\\x00\\x7f\\xff\"\r\n");
}

TEST(MonitorLineTest, SecretsAreNotShown) {
  EXPECT_NE(Line({"AUTH", "user", "pass"}, "auth").find("\"AUTH\" \"(redacted)\" \"(redacted)\"\r"),
            std::string::npos);
  EXPECT_NE(Line({"HELLO", "3", "AUTH", "user", "pass", "SETNAME", "x"}, "hello")
                .find("\"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\"\r"),
            std::string::npos);
  EXPECT_NE(Line({"MIGRATE", "h", "1", "k", "0", "5", "AUTH", "pass", "COPY"}, "migrate")
                .find("\"AUTH\" \"(redacted)\" \"COPY\"\r"),
            std::string::npos);
  EXPECT_NE(Line({"MIGRATE", "h", "1", "k", "0", "5", "AUTH2", "user", "pass"}, "migrate")
                .find("\"AUTH2\" \"(redacted)\" \"(redacted)\"\r"),
            std::string::npos);
}

TEST(MonitorLineTest, LongArgumentsAreCut) {
  EXPECT_NE(Line({"SET", "k", std::string(1000, 'x')}, "set", 5).find("\"k\" \"xxxxx\"\r"),
            std::string::npos);
}

TEST(MonitorLineTest, NotEverythingIsShown) {
  EXPECT_TRUE(IsShownToMonitors(cluster::CommandNamed("get")));
  EXPECT_TRUE(IsShownToMonitors(cluster::CommandNamed("multi")));
  for (const char* name : {"monitor", "config|set", "client|kill"}) {
    EXPECT_FALSE(IsShownToMonitors(cluster::CommandNamed(name))) << name;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
