// Asks a redis-server 7.0.15 and rcproxy the same and compares: byte for byte where both can say
// the same, by shape where the contents are their own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/local_commands_for_test.h"
#include "proxy/standalone_server_for_test.h"
#include "proxy/version.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using resp::Value;

constexpr char kPassword[] = "secret";

class LocalCommandsIntegrationTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    open_ = new StandaloneServerForTest;
    locked_ = new StandaloneServerForTest;
    ASSERT_TRUE(open_->Start({}));
    ASSERT_TRUE(locked_->Start({"--requirepass", kPassword}));
  }
  static void TearDownTestSuite() {
    delete open_;
    delete locked_;
  }

  // A new client of each.
  void Connect(const StandaloneServerForTest& server) {
    if (fd_ >= 0) close(fd_);
    fd_ = server.Connect();
    ASSERT_GE(fd_, 0);
    local_ = std::make_unique<LocalCommandsForTest>();
  }
  void TearDown() override {
    if (fd_ >= 0) close(fd_);
  }

  std::string Theirs(const std::vector<std::string>& words) { return AskServer(fd_, words); }
  std::string Theirs(const char* line) { return Theirs(cluster::Words(line)); }

  // The id that both have to agree on for HELLO to be the same.
  void TakeTheirId() { local_->session.id = std::stoll(Theirs("CLIENT ID").substr(1)); }

  void ExpectSame(const std::vector<std::string>& words) {
    const std::string theirs = Theirs(words);
    EXPECT_EQ(local_->AskWords(words), theirs) << testing::PrintToString(words);
  }
  void ExpectSame(const char* line) { ExpectSame(cluster::Words(line)); }

  static StandaloneServerForTest* open_;
  static StandaloneServerForTest* locked_;
  int fd_ = -1;
  std::unique_ptr<LocalCommandsForTest> local_;
};

StandaloneServerForTest* LocalCommandsIntegrationTest::open_ = nullptr;
StandaloneServerForTest* LocalCommandsIntegrationTest::locked_ = nullptr;

Value Parse(const std::string& reply) {
  auto value = resp::ParseValue(reply);
  EXPECT_TRUE(value.ok()) << value.status() << "\n" << reply.substr(0, 200);
  return value.ok() ? *value : Value{};
}

std::set<std::string> TextSet(const Value& list) {
  std::set<std::string> texts;
  for (const Value& element : list.elements) texts.insert(element.text);
  return texts;
}

// The types alone, nested: what a client's parser sees before it looks at contents.
std::string Shape(const Value& value) {
  std::string shape = std::to_string(static_cast<int>(value.type));
  if (!value.IsList()) return shape;
  shape += '[';
  for (const Value& element : value.elements) shape += Shape(element);
  return shape + ']';
}

TEST_F(LocalCommandsIntegrationTest, TheServerIsTheOneWeLookLike) {
  Connect(*open_);
  const std::string info = Theirs("INFO server");
  EXPECT_NE(info.find("redis_version:" + std::string(kCompatibleRedisVersion) + "\r\n"),
            std::string::npos)
      << info;
}

TEST_F(LocalCommandsIntegrationTest, WhatAClientSaysFirst) {
  Connect(*open_);
  TakeTheirId();
  for (const char* line : {
           "PING",
           "PING x",
           "PING x y",
           "ECHO",
           "ECHO x",
           "ECHO x y",
           "SELECT",
           "SELECT 0",
           "SELECT 16",
           "SELECT -1",
           "SELECT x",
           "SELECT 1.5",
           "SELECT 2147483648",
           "SELECT -2147483649",
           "SELECT 99999999999999999999",
           "HELLO",
           "HELLO 2",
           "HELLO 1",
           "HELLO 4",
           "HELLO -1",
           "HELLO x",
           "HELLO 2.0",
           "HELLO 99999999999999999999",
           "HELLO x SETNAME y",
           "HELLO 2 AUTH",
           "HELLO 2 AUTH x",
           "HELLO 2 AUTH x y",
           "HELLO 2 AUTH default y",
           "HELLO 2 SETNAME",
           "HELLO 2 SETNAME name",
           "CLIENT GETNAME",
           "HELLO 2 SETNAME ''",
           "CLIENT GETNAME",
           "HELLO 2 what",
           "HELLO 2 AUTH default x SETNAME both",
           "CLIENT GETNAME",
           "HELLO 2 SETNAME a SETNAME b",
           "CLIENT GETNAME",
           "HELLO 3",
           "HELLO",
           "CLIENT GETNAME",
           "RESET",
           "CLIENT GETNAME",
           "HELLO 3 SETNAME name AUTH a b",
           "CLIENT GETNAME",
           "HELLO 3 SETNAME name",
           "CLIENT GETNAME",
           "CLIENT TRACKINGINFO",
           "HELLO 2 SETNAME b",
           "HELLO 2 AUTH a b SETNAME c",
           "CLIENT GETNAME",
           "HELLO 2 SETNAME early AUTH a b",
           "CLIENT GETNAME",
           "HELLO 2 SETNAME early what",
           "CLIENT GETNAME",
           "AUTH",
           "AUTH x",
           "AUTH a b",
           "AUTH default b",
           "AUTH DEFAULT b",
           "AUTH a b c",
           "RESET",
           "RESET x",
           "CLIENT GETNAME",
           "ROLE",
           "ROLE x",
           "TIME x",
       }) {
    ExpectSame(line);
  }
}

TEST_F(LocalCommandsIntegrationTest, Passwords) {
  Connect(*locked_);
  local_->RequirePassword(kPassword);
  for (const char* line : {
           "PING",
           "ECHO",
           "HELLO",
           "HELLO 2",
           "HELLO 2 SETNAME x",
           "HELLO 4",
           "HELLO x",
           "HELLO 2 AUTH default wrong",
           "HELLO 2 AUTH nobody secret",
           "HELLO 2 what",
           "AUTH",
           "AUTH wrong",
           "AUTH ''",
           "AUTH default wrong",
           "AUTH nobody secret",
           "AUTH a b c",
           "CLIENT GETNAME",
           "AUTH secret",
           "CLIENT GETNAME",
           "PING",
           "AUTH wrong",
           "PING",
           "RESET",
           "PING",
           "AUTH default secret",
           "CLIENT GETNAME",
       }) {
    ExpectSame(line);
  }
}

TEST_F(LocalCommandsIntegrationTest, HelloLogsIn) {
  Connect(*locked_);
  local_->RequirePassword(kPassword);
  ExpectSame({"HELLO", "2", "SETNAME", "a b", "AUTH", "default", kPassword});
  ExpectSame("PING");
  ExpectSame({"HELLO", "2", "AUTH", "default", kPassword, "SETNAME", "a b"});
  ExpectSame("PING");
  EXPECT_EQ(Shape(Parse(local_->Ask("HELLO 2 AUTH default secret SETNAME web"))),
            Shape(Parse(Theirs("HELLO 2 AUTH default secret SETNAME web"))));
  ExpectSame("CLIENT GETNAME");
  TakeTheirId();
  ExpectSame("HELLO 2");
}

TEST_F(LocalCommandsIntegrationTest, Clients) {
  Connect(*open_);
  for (const std::string name : {"a b", "a\n", "\r", "caf\xc3\xa9", "\x7f", "~!", ""}) {
    ExpectSame({"CLIENT", "SETNAME", name});
    ExpectSame("CLIENT GETNAME");
  }
  ExpectSame({"CLIENT", "SETNAME", std::string("a\0b", 3)});
  for (const char* line : {
           "CLIENT",
           "CLIENT NOSUCH",
           "CLIENT SETNAME",
           "CLIENT SETNAME a b",
           "CLIENT GETNAME x",
           "CLIENT ID x",
           "CLIENT GETREDIR",
           "CLIENT TRACKINGINFO",
           "CLIENT NO-EVICT on",
           "CLIENT NO-EVICT OFF",
           "CLIENT NO-EVICT x",
           "CLIENT NO-EVICT",
           "CLIENT REPLY on",
           "CLIENT REPLY x",
           "CLIENT UNBLOCK 1",
           "CLIENT UNBLOCK 1 TIMEOUT",
           "CLIENT UNBLOCK 1 x",
           "CLIENT UNBLOCK x",
           "CLIENT UNBLOCK 1 TIMEOUT x",
           "CLIENT LIST x",
           "CLIENT LIST TYPE x",
           "CLIENT LIST TYPE master",
           "CLIENT LIST ID x",
           "CLIENT LIST ID",
           "CLIENT KILL",
           "CLIENT KILL ID",
           "CLIENT KILL ID 0",
           "CLIENT KILL ID x",
           "CLIENT KILL TYPE x",
           "CLIENT KILL USER x",
           "CLIENT KILL SKIPME x",
           "CLIENT KILL a b",
           "CLIENT KILL ID 1 ADDR",
           "CLIENT PAUSE",
           "CLIENT PAUSE x",
           "CLIENT PAUSE -1",
           "CLIENT PAUSE 1 x",
           "CLIENT PAUSE 1 ALL x",
           "CLIENT UNPAUSE x",
       }) {
    ExpectSame(line);
  }
}

TEST_F(LocalCommandsIntegrationTest, ClientInfoHasTheSameFields) {
  Connect(*open_);
  const auto fields = [](const std::string& text) {
    std::vector<std::string> names;
    for (const std::string& word : cluster::Words(text))
      names.push_back(word.substr(0, word.find('=')));
    return names;
  };
  std::vector<std::string> theirs = fields(Parse(Theirs("CLIENT INFO")).text);
  theirs.insert(theirs.end(), {"lib-name", "lib-ver"});  // Since 7.2.
  EXPECT_EQ(fields(Parse(local_->Ask("CLIENT INFO")).text), theirs);
}

TEST_F(LocalCommandsIntegrationTest, ServerQuestions) {
  Connect(*open_);
  for (const char* line : {
           "COMMAND COUNT x",
           "COMMAND NOSUCH",
           "COMMAND LIST x",
           "COMMAND LIST FILTERBY",
           "COMMAND LIST FILTERBY x y",
           "COMMAND LIST FILTERBY MODULE x",
           "COMMAND LIST FILTERBY ACLCAT nosuch",
           "COMMAND LIST FILTERBY PATTERN nosuch",
           "COMMAND INFO nosuch",
           "COMMAND INFO client|nosuch",
           "COMMAND DOCS nosuch",
           "COMMAND GETKEYS",
           "COMMAND GETKEYS GET a",
           "COMMAND GETKEYS MSET a b c d",
           "COMMAND GETKEYS nosuch a",
           "COMMAND GETKEYS CLIENT LIST",
           "COMMAND GETKEYS PING a",
           "COMMAND GETKEYS GET a b",
           "COMMAND GETKEYS EVAL x 5 a",
           "COMMAND GETKEYS EVAL x 0",
           "COMMAND GETKEYS EVAL x 1 k v",
           "COMMAND GETKEYS ZUNION 5 a",
           "COMMAND GETKEYS ZUNIONSTORE d 2 a b",
           "COMMAND GETKEYS OBJECT ENCODING k",
           "COMMAND GETKEYS XREAD a b c",
           "COMMAND GETKEYS XREAD STREAMS a b 0 0",
           "COMMAND GETKEYSANDFLAGS GET a",
           "CONFIG GET",
           "CONFIG GET save",
           "CONFIG GET appendonly",
           "CONFIG GET nosuch",
           "CONFIG GET maxmemory maxmemory",
           "CONFIG GET MaxMemory",
           "CONFIG GET requirepass",
           "CONFIG GET proto-max-bulk-len",
           "CONFIG GET timeout",
           "CONFIG GET maxmemory-policy",
           "CONFIG GET cluster-enabled",
           "CONFIG SET loglevel",
           "CONFIG SET nosuch x",
           "CONFIG SET databases 4",
           "CONFIG SET loglevel x",
           "CONFIG SET loglevel notice loglevel debug",
           "CONFIG SET a b c",
           "CONFIG NOSUCH",
           "CLUSTER INFO",
           "CLUSTER NODES",
           "CLUSTER SLOTS",
           "CLUSTER SHARDS",
           "CLUSTER MYID",
           "CLUSTER KEYSLOT",
           "CLUSTER NOSUCH",
           "ACL WHOAMI",
           "ACL CAT nosuch",
           "ACL CAT a b",
           "ACL GENPASS 0",
           "ACL GENPASS 5000",
           "ACL GENPASS x",
           "ACL GENPASS 1 2",
           "SLOWLOG GET",
           "SLOWLOG GET -1",
           "SLOWLOG GET -2",
           "SLOWLOG GET x",
           "SLOWLOG LEN",
           "SLOWLOG RESET",
           "SLOWLOG GET 1 2",
       }) {
    ExpectSame(line);
  }
}

TEST_F(LocalCommandsIntegrationTest, PatternsMatchTheSameNames) {
  Connect(*open_);
  const std::set<std::string> theirs = TextSet(Parse(Theirs("COMMAND LIST")));
  const std::set<std::string> ours = TextSet(Parse(local_->Ask("COMMAND LIST")));
  for (const char* pattern : {"x*", "?et", "[gs]et", "*|help", "[^a-y]*", "h*s*t", "G*", "client|*",
                              "\\get", "[g", "*[", "ge[t", "[z-a]add", "**", "z[-a]*", "\\*"}) {
    // Of what both have.
    std::set<std::string> expected =
        TextSet(Parse(Theirs({"COMMAND", "LIST", "FILTERBY", "PATTERN", pattern})));
    std::erase_if(expected, [&](const std::string& name) { return !ours.contains(name); });
    std::set<std::string> matched =
        TextSet(Parse(local_->AskWords({"COMMAND", "LIST", "FILTERBY", "PATTERN", pattern})));
    std::erase_if(matched, [&](const std::string& name) { return !theirs.contains(name); });
    EXPECT_EQ(matched, expected) << pattern;
  }
}

// Adds what COMMAND says of each command and subcommand.
void Collect(const Value& commands, std::map<std::string, Value>* found) {
  for (const Value& command : commands.elements) {
    ASSERT_EQ(command.elements.size(), 10u);
    Collect(command.elements[9], found);
    found->emplace(command.elements[0].text, command);
  }
}

bool IsSubset(const Value& part, const Value& whole) {
  const std::set<std::string> small = TextSet(part);
  const std::set<std::string> large = TextSet(whole);
  return std::includes(large.begin(), large.end(), small.begin(), small.end());
}

TEST_F(LocalCommandsIntegrationTest, CommandsAreDescribedAsByTheServer) {
  Connect(*open_);
  std::map<std::string, Value> ours;
  std::map<std::string, Value> theirs;
  Collect(Parse(local_->Ask("COMMAND")), &ours);
  Collect(Parse(Theirs("COMMAND")), &theirs);
  // Where newer servers, or the way rcproxy finds the keys, differ; see cluster/data/overrides.tsv.
  const std::set<std::string> other_arity = {"command|getkeys", "command|getkeysandflags", "zrank",
                                             "zrevrank"};
  const std::set<std::string> other_keys = {"georadius", "georadiusbymember", "migrate", "sort",
                                            "sort_ro"};
  const std::set<std::string> other_flags = {"wait"};
  int compared = 0;
  for (const auto& [name, our] : ours) {
    const auto their = theirs.find(name);
    if (their == theirs.end()) continue;
    ++compared;
    const std::vector<Value>& a = our.elements;
    const std::vector<Value>& b = their->second.elements;
    EXPECT_EQ(a[1].integer != b[1].integer, other_arity.contains(name)) << name << ": arity";
    EXPECT_NE(IsSubset(a[2], b[2]), other_flags.contains(name))
        << name << ": flags " << testing::PrintToString(TextSet(a[2]));
    EXPECT_NE(IsSubset(a[6], b[6]), other_flags.contains(name))
        << name << ": " << testing::PrintToString(TextSet(a[6]));
    if (other_keys.contains(name)) continue;
    for (int i = 3; i <= 5; ++i) EXPECT_EQ(a[i].integer, b[i].integer) << name << " " << i;
    EXPECT_EQ(a[8].elements.size(), b[8].elements.size()) << name;
  }
  EXPECT_GT(compared, 200);
}

TEST_F(LocalCommandsIntegrationTest, RepliesWithContentsOfTheirOwnHaveTheSameShape) {
  Connect(*open_);
  for (const char* line : {"TIME", "CLIENT ID", "CLIENT INFO", "COMMAND COUNT", "CONFIG GET port",
                           "CONFIG GET loglevel", "ACL GENPASS", "ACL GENPASS 5"}) {
    EXPECT_EQ(Shape(Parse(local_->Ask(line))), Shape(Parse(Theirs(line)))) << line;
  }
}

TEST_F(LocalCommandsIntegrationTest, InResp3TheShapesAreTheServersToo) {
  Connect(*open_);
  TakeTheirId();
  ExpectSame("HELLO 3");
  for (const char* line :
       {"CLIENT TRACKINGINFO", "CLIENT GETNAME", "CONFIG GET save", "CONFIG GET nosuch",
        "COMMAND INFO nosuch", "COMMAND DOCS nosuch", "COMMAND GETKEYSANDFLAGS GET a",
        "SLOWLOG GET", "COMMAND LIST FILTERBY MODULE x", "ACL WHOAMI"}) {
    ExpectSame(line);
  }
  for (const char* line : {"TIME", "ROLE", "CLIENT INFO", "CONFIG GET port", "ACL GENPASS"}) {
    EXPECT_EQ(Shape(Parse(local_->Ask(line))), Shape(Parse(Theirs(line)))) << line;
  }
  // The types of the ten parts of a description, without their contents.
  for (const char* line : {"COMMAND INFO get", "COMMAND INFO config", "COMMAND INFO ping"}) {
    const Value ours = Parse(local_->Ask(line)).elements[0];
    const Value theirs = Parse(Theirs(line)).elements[0];
    ASSERT_EQ(ours.elements.size(), theirs.elements.size()) << line;
    for (size_t i = 0; i < ours.elements.size(); ++i) {
      EXPECT_EQ(ours.elements[i].type, theirs.elements[i].type) << line << " " << i;
    }
  }
}

TEST_F(LocalCommandsIntegrationTest, ProxyInfoUsesTheServersNames) {
  Connect(*open_);
  const auto names = [](const std::string& text) {
    std::set<std::string> found;
    for (size_t at = 0; at < text.size(); at = text.find("\r\n", at) + 2) {
      const size_t end = text.find_first_of(":\r", at);
      found.insert(text.substr(at, end - at));
    }
    return found;
  };
  const std::set<std::string> theirs = names(Parse(Theirs("INFO everything")).text);
  for (const std::string& name : names(Parse(local_->Ask("PROXY INFO")).text)) {
    const bool is_ours = name == "# Proxy" || name.starts_with("rcproxy_");
    EXPECT_NE(theirs.contains(name), is_ours) << name;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
