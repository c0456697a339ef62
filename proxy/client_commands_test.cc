#include "proxy/client_commands.h"

#include <glog/logging.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/client_filter.h"
#include "proxy/local_commands_for_test.h"
#include "proxy/local_host.h"
#include "proxy/session.h"

namespace rcproxy::proxy {
namespace {

constexpr char kOk[] = "+OK\r\n";
constexpr char kNull[] = "$-1\r\n";
constexpr char kSyntaxError[] = "-ERR syntax error\r\n";
constexpr char kBadName[] =
    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";

TEST(ClientTest, Names) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
  EXPECT_EQ(local.Ask("CLIENT SETNAME web-1"), kOk);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$5\r\nweb-1\r\n");
  for (const std::string bad : {"a b", "a\n", "\x7f", "caf\xc3\xa9"}) {
    EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", bad}), kBadName);
  }
  EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", std::string("a\0b", 3)}), kBadName);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$5\r\nweb-1\r\n");
  EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", ""}), kOk);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
}

TEST(ClientTest, NamesAreLimited) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", std::string(4096, 'a')}), kOk);
  EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", std::string(4097, 'a')}),
            "-ERR Client names cannot be longer than 4096 bytes in rcproxy.\r\n");
}

TEST(ClientTest, NoNameCostsNoMemory) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.AskWords({"CLIENT", "SETNAME", ""}), kOk);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
  EXPECT_EQ(local.session.extras, nullptr);
}

TEST(ClientTest, SetInfoTakesLibraryNameAndVersion) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CLIENT SETINFO LIB-NAME redis-py(django)"), kOk);
  EXPECT_EQ(local.Ask("CLIENT SETINFO lib-ver 5.0.1"), kOk);
  EXPECT_EQ(local.session.extras->library_name, "redis-py(django)");
  EXPECT_EQ(local.session.extras->library_version, "5.0.1");
  EXPECT_EQ(local.AskWords({"CLIENT", "SETINFO", "lib-name", "a b"}),
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(local.Ask("CLIENT SETINFO language c++"), "-ERR Unrecognized option 'language'\r\n");
  EXPECT_EQ(local.AskWords({"CLIENT", "SETINFO", "lib-ver", ""}), kOk);
}

TEST(ClientTest, DescribesItself) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CLIENT ID"), ":7\r\n");
  EXPECT_EQ(local.Ask("CLIENT SETNAME web"), kOk);
  const std::string info = local.Ask("CLIENT INFO");
  EXPECT_EQ(info.find('$'), 0) << info;
  EXPECT_NE(info.find("\r\nid=7 addr="), std::string::npos) << info;
  EXPECT_NE(info.find(" name=web "), std::string::npos) << info;
  EXPECT_NE(info.find(" cmd=client|info "), std::string::npos) << info;
}

TEST(ClientTest, InResp3RepliesHaveTheirOwnShapes) {
  LocalCommandsForTest local;
  local.session.protocol = resp::Protocol::kResp3;
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "_\r\n");
  EXPECT_EQ(local.Ask("CLIENT TRACKINGINFO"),
            "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n"
            "*0\r\n");
  const std::string info = local.Ask("CLIENT INFO");
  EXPECT_EQ(info[0], '=') << info;
  EXPECT_NE(info.find("\r\ntxt:id=7 "), std::string::npos) << info;
  EXPECT_NE(info.find(" resp=3 "), std::string::npos) << info;
}

TEST(ClientTest, ModesAreKeptAndShown) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CLIENT NO-EVICT ON"), kOk);
  EXPECT_EQ(local.Ask("CLIENT NO-TOUCH on"), kOk);
  EXPECT_NE(local.Ask("CLIENT INFO").find(" flags=eT "), std::string::npos);
  EXPECT_EQ(local.Ask("CLIENT NO-EVICT off"), kOk);
  EXPECT_EQ(local.Ask("CLIENT NO-TOUCH off"), kOk);
  EXPECT_NE(local.Ask("CLIENT INFO").find(" flags=N "), std::string::npos);
  EXPECT_EQ(local.Ask("CLIENT NO-EVICT perhaps"), kSyntaxError);
  EXPECT_EQ(local.Ask("CLIENT NO-TOUCH perhaps"), kSyntaxError);
  EXPECT_EQ(local.Ask("CLIENT CAPA redirect"), kOk);
}

TEST(ClientTest, ReplyModesAreSilentButForOn) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CLIENT REPLY off"), "");
  EXPECT_EQ(local.reply_mode, ReplyMode::kOff);
  EXPECT_EQ(local.Ask("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(local.reply_mode, ReplyMode::kSkipNext);
  EXPECT_EQ(local.Ask("CLIENT REPLY on"), kOk);
  EXPECT_EQ(local.reply_mode, ReplyMode::kOn);
  EXPECT_EQ(local.Ask("CLIENT REPLY perhaps"), kSyntaxError);
}

// ---- about all clients

// A worker that notes what it is asked.
class WorkerClientsForTest final : public WorkerClients {
 public:
  std::string ListClients(const ClientFilter& asked) override {
    filter = asked;
    return lines;
  }
  int KillClients(const ClientFilter& asked, int64_t by) override {
    filter = asked;
    asker = by;
    return killed;
  }
  bool UnblockClient(int64_t id, bool error) override {
    unblocked_id = id;
    with_error = error;
    return id == 7;
  }
  void PauseClients(Pause asked, int64_t until) override {
    pause = asked;
    until_ns = until;
  }
  void UnpauseClients() override { pause = Pause::kNone; }
  void ResetCounters() override { ++resets; }
  bool HasClient(int64_t) override { return false; }
  void ForgetTrackedSlot(uint16_t) override {}
  bool TellChangedKeys(int64_t, std::span<const std::string_view>) override { return false; }
  Monitors& monitors() override { LOG(FATAL) << "no command of CLIENT is about them"; }
  std::string DescribeChannels(ChannelKind, const std::vector<std::string>&) override { return {}; }
  std::string SummarizeClients() override {
    return "clients 3\nblocked 1\nname 2 library=x,name=y\n";
  }
  std::string DescribeNodes() override { return {}; }

  std::string lines;
  int killed = 0;
  ClientFilter filter;
  int64_t asker = 0;
  Pause pause = Pause::kNone;
  int64_t until_ns = 0;
  int64_t unblocked_id = 0;
  bool with_error = false;
  int resets = 0;
};

class ClientsTest : public testing::Test {
 protected:
  ClientsTest() { local_.workers = &worker_; }
  WorkerClientsForTest worker_;
  LocalCommandsForTest local_;
};

TEST_F(ClientsTest, AreListedByTheirIds) {
  worker_.lines = "id=9 addr=b\nid=7 addr=a\n";
  EXPECT_EQ(local_.Ask("CLIENT LIST"), "$24\r\nid=7 addr=a\nid=9 addr=b\n\r\n");
  EXPECT_EQ(local_.after, LocalCommands::After::kOperation);
  EXPECT_EQ(local_.Ask("CLIENT LIST ID 9 8 7 9"),
            "$36\r\nid=9 addr=b\nid=7 addr=a\nid=9 addr=b\n\r\n");
  EXPECT_EQ(worker_.filter.ids, (std::vector<int64_t>{9, 8, 7, 9}));
  EXPECT_EQ(local_.Ask("CLIENT LIST TYPE pubsub").substr(0, 1), "$");
  EXPECT_EQ(worker_.filter.type, ClientType::kPubSub);
  local_.session.protocol = resp::Protocol::kResp3;
  EXPECT_EQ(local_.Ask("CLIENT LIST ID 7"), "=16\r\ntxt:id=7 addr=a\n\r\n");
  worker_.lines.clear();
  EXPECT_EQ(local_.Ask("CLIENT LIST"), "=4\r\ntxt:\r\n");
}

TEST_F(ClientsTest, ListErrorsAreTheServers) {
  EXPECT_EQ(local_.Ask("CLIENT LIST TYPE x"), "-ERR Unknown client type 'x'\r\n");
  EXPECT_EQ(local_.Ask("CLIENT LIST ID x"), "-ERR Invalid client ID\r\n");
  for (const char* line :
       {"CLIENT LIST x", "CLIENT LIST TYPE", "CLIENT LIST ID", "CLIENT LIST TYPE normal x"}) {
    EXPECT_EQ(local_.Ask(line), kSyntaxError) << line;
  }
}

TEST_F(ClientsTest, KillHasAnOldForm) {
  EXPECT_EQ(local_.Ask("CLIENT KILL 127.0.0.1:1"), "-ERR No such client\r\n");
  EXPECT_EQ(worker_.filter.address, "127.0.0.1:1");
  EXPECT_EQ(worker_.filter.except_id, 0);
  EXPECT_EQ(worker_.asker, 7);
  worker_.killed = 1;
  EXPECT_EQ(local_.Ask("CLIENT KILL 127.0.0.1:1"), kOk);
}

TEST_F(ClientsTest, KillTakesConditions) {
  worker_.killed = 3;
  EXPECT_EQ(local_.Ask("CLIENT KILL ID 4 TYPE normal ADDR a:1 LADDR b:2 USER default"), ":3\r\n");
  EXPECT_EQ(worker_.filter.ids, std::vector<int64_t>{4});
  EXPECT_EQ(worker_.filter.type, ClientType::kNormal);
  EXPECT_EQ(worker_.filter.address, "a:1");
  EXPECT_EQ(worker_.filter.local_address, "b:2");
  EXPECT_EQ(worker_.filter.except_id, 7);
  EXPECT_EQ(local_.Ask("CLIENT KILL ADDR '' SKIPME no"), ":3\r\n");
  EXPECT_EQ(worker_.filter.address, "");
  EXPECT_EQ(worker_.filter.except_id, 0);
  EXPECT_EQ(local_.Ask("CLIENT KILL SKIPME no SKIPME yes"), ":3\r\n");
  EXPECT_EQ(worker_.filter.except_id, 7);
}

TEST_F(ClientsTest, KillErrorsAreTheServers) {
  for (const char* id : {"0", "-1", "x"}) {
    EXPECT_EQ(local_.AskWords({"CLIENT", "KILL", "ID", id}),
              "-ERR client-id should be greater than 0\r\n");
  }
  EXPECT_EQ(local_.Ask("CLIENT KILL TYPE x"), "-ERR Unknown client type 'x'\r\n");
  EXPECT_EQ(local_.Ask("CLIENT KILL USER x"), "-ERR No such user 'x'\r\n");
  for (const char* line : {"CLIENT KILL SKIPME x", "CLIENT KILL ID 1 x", "CLIENT KILL x 1"}) {
    EXPECT_EQ(local_.Ask(line), kSyntaxError) << line;
  }
}

TEST_F(ClientsTest, PausesAndGoesOn) {
  EXPECT_EQ(local_.Ask("CLIENT PAUSE 5"), kOk);
  EXPECT_EQ(worker_.pause, Pause::kAll);
  EXPECT_EQ(worker_.until_ns, 1'005'000'000);
  EXPECT_EQ(local_.Ask("CLIENT PAUSE 0 write"), kOk);
  EXPECT_EQ(worker_.pause, Pause::kWrites);
  EXPECT_EQ(worker_.until_ns, 1'000'000'000);
  EXPECT_EQ(local_.Ask("CLIENT UNPAUSE"), kOk);
  EXPECT_EQ(worker_.pause, Pause::kNone);
  EXPECT_EQ(local_.Ask("CLIENT PAUSE x"), "-ERR timeout is not an integer or out of range\r\n");
  EXPECT_EQ(local_.Ask("CLIENT PAUSE -1"), "-ERR timeout is negative\r\n");
  EXPECT_EQ(local_.Ask("CLIENT PAUSE 9223372036854775807"), "-ERR timeout is out of range\r\n");
  EXPECT_EQ(local_.Ask("CLIENT PAUSE x y"), "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
  EXPECT_EQ(local_.Ask("CLIENT PAUSE 1 ALL x"),
            "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT "
            "HELP.\r\n");
}

TEST_F(ClientsTest, UnblockSaysWhetherOneWasBlocked) {
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 7"), ":1\r\n");
  EXPECT_FALSE(worker_.with_error);
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 7 error"), ":1\r\n");
  EXPECT_TRUE(worker_.with_error);
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 7 Timeout"), ":1\r\n");
  EXPECT_FALSE(worker_.with_error);
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 5"), ":0\r\n");
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 5 error"), ":0\r\n");
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 5 x"),
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(local_.Ask("CLIENT UNBLOCK 5 error x").find("-ERR unknown subcommand or wrong"), 0);
}

TEST_F(ClientsTest, StatisticsAreResetEverywhere) {
  EXPECT_EQ(local_.Ask("CONFIG RESETSTAT"), kOk);
  EXPECT_EQ(worker_.resets, 1);
}

TEST(ProxyClientsTest, DescribesTheClientsOfAllWorkers) {
  LocalCommandsForTest local;
  WorkerClientsForTest worker;
  local.workers = &worker;
  const std::string reply = local.Ask("PROXY CLIENTS");
  EXPECT_NE(reply.find("# Clients\r\nclients:3\r\nblocked:1\r\n"), std::string::npos) << reply;
  EXPECT_NE(reply.find("\r\nname0:clients=2,library=x,name=y\r\n"), std::string::npos) << reply;
}

}  // namespace
}  // namespace rcproxy::proxy
