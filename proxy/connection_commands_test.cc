#include "proxy/connection_commands.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/local_commands_for_test.h"
#include "proxy/session.h"

namespace rcproxy::proxy {
namespace {

constexpr char kOk[] = "+OK\r\n";
constexpr char kNull[] = "$-1\r\n";
constexpr char kSyntaxError[] = "-ERR syntax error\r\n";
constexpr char kWrongPass[] = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
constexpr char kBadName[] =
    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";
constexpr char kHello[] =
    "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n"
    "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
    "$7\r\nmodules\r\n*0\r\n";
constexpr char kHello3[] =
    "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
    "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
    "$7\r\nmodules\r\n*0\r\n";
constexpr char kNoAuth[] = "-NOAUTH Authentication required.\r\n";

TEST(PingTest, AnswersPongOrItsArgument) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("PING"), "+PONG\r\n");
  EXPECT_EQ(local.Ask("ping hello"), "$5\r\nhello\r\n");
  EXPECT_EQ(local.AskWords({"PING", ""}), "$0\r\n\r\n");
  EXPECT_EQ(local.Ask("PING a b"), "-ERR wrong number of arguments for 'ping' command\r\n");
}

TEST(EchoTest, ReturnsAnyBytes) {
  LocalCommandsForTest local;
  const std::string bytes("a\r\n\0\xff", 5);
  EXPECT_EQ(local.AskWords({"ECHO", bytes}), "$5\r\n" + bytes + "\r\n");
}

TEST(QuitTest, ClosesAfterOk) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("PING"), "+PONG\r\n");
  EXPECT_EQ(local.after, LocalCommands::After::kContinue);
  EXPECT_EQ(local.Ask("QUIT now please"), kOk);
  EXPECT_EQ(local.after, LocalCommands::After::kClose);
}

TEST(SelectTest, ADatabaseIsTheClientsWhenANodeHasAgreed) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("SELECT 3"), kOk);
  EXPECT_EQ(local.after, LocalCommands::After::kOperation);
  EXPECT_EQ(local.session.database, 3);
  EXPECT_EQ(local.Ask("SELECT 3"), kOk);
  EXPECT_EQ(local.after, LocalCommands::After::kContinue) << "nothing is to be asked";
  local.node_reply = "-ERR DB index is out of range\r\n";
  EXPECT_EQ(local.Ask("SELECT 5"), local.node_reply);
  EXPECT_EQ(local.session.database, 3) << "it stays where it was";
  local.database_refused = local.node_reply;
  EXPECT_EQ(local.Ask("SELECT 6"), local.node_reply);
  EXPECT_EQ(local.after, LocalCommands::After::kContinue) << "a node has just said so";
  EXPECT_EQ(local.Ask("SELECT 0"), kOk);
  EXPECT_EQ(local.session.database, 0);
}

TEST(SelectTest, ItHasToBeBelowTheLimit) {
  LocalCommandsForTest local;
  local.config.databases_max = 3;
  EXPECT_EQ(local.Ask("SELECT 2"), kOk);
  EXPECT_EQ(local.Ask("SELECT 3"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(local.after, LocalCommands::After::kContinue) << "no node is asked";
  EXPECT_EQ(local.session.database, 2);
  EXPECT_EQ(local.Ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(local.session.database, 0);
}

TEST(SelectTest, WhereNodesHaveOneThereIsOneDatabase) {
  LocalCommandsForTest local;
  local.node_reply = "-ERR SELECT is not allowed in cluster mode\r\n";
  EXPECT_EQ(local.Ask("SELECT 0"), kOk);
  EXPECT_EQ(local.Ask("SELECT 1"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(local.Ask("SELECT -1"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(local.Ask("SELECT zero"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(local.Ask("SELECT 2147483648"),
            "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  EXPECT_EQ(local.session.database, 0);
  local.config.face = Face::kCluster;
  EXPECT_EQ(local.Ask("SELECT 1"), local.node_reply);
  EXPECT_EQ(local.Ask("SELECT 99"), local.node_reply);
}

TEST(HelloTest, DescribesAStandaloneServer) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("HELLO"), kHello);
  EXPECT_EQ(local.Ask("HELLO 2"), kHello);
}

TEST(HelloTest, KnowsTwoProtocolVersions) {
  LocalCommandsForTest local;
  for (const char* version : {"HELLO 1", "HELLO 4", "HELLO -2"}) {
    EXPECT_EQ(local.Ask(version), "-NOPROTO unsupported protocol version\r\n") << version;
  }
  for (const char* version : {"HELLO two", "HELLO 2.0", "HELLO 99999999999999999999"}) {
    EXPECT_EQ(local.Ask(version), "-ERR Protocol version is not an integer or out of range\r\n")
        << version;
  }
}

TEST(HelloTest, SpeaksResp3UntilItIsToldOtherwise) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("HELLO 3"), kHello3);
  EXPECT_EQ(local.Ask("HELLO"), kHello3);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "_\r\n");
  EXPECT_EQ(local.Ask("HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(local.session.protocol, resp::Protocol::kResp3);
  EXPECT_EQ(local.Ask("HELLO 2"), kHello);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
  local.Ask("HELLO 3");
  EXPECT_EQ(local.Ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
}

TEST(HelloTest, AnOptionThatFailsLeavesTheProtocol) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.AskWords({"HELLO", "3", "SETNAME", "a b"}), kBadName);
  EXPECT_EQ(local.session.protocol, resp::Protocol::kResp2);
  local.RequirePassword("secret");
  EXPECT_EQ(local.Ask("HELLO 3").find("-NOAUTH HELLO must"), 0);
  EXPECT_EQ(local.session.protocol, resp::Protocol::kResp2);
  EXPECT_EQ(local.Ask("HELLO 3 AUTH default secret"), kHello3);
}

TEST(HelloTest, AsksANodeBeforeTheFirstClientSpeaksResp3) {
  LocalCommandsForTest local;
  local.resp3_known = false;
  local.node_reply = "-NOPROTO unsupported protocol version\r\n";
  EXPECT_EQ(local.Ask("HELLO 3"), local.node_reply);
  EXPECT_EQ(local.after, LocalCommands::After::kOperation);
  EXPECT_EQ(local.session.protocol, resp::Protocol::kResp2);
  local.node_reply = "+PONG\r\n";
  EXPECT_EQ(local.Ask("HELLO 3"), kHello3);
  EXPECT_EQ(local.Ask("HELLO 2"), kHello);
  EXPECT_EQ(local.after, LocalCommands::After::kContinue);
  local.node_reply = "-ERR upstream unreachable\r\n";
  EXPECT_EQ(local.Ask("HELLO 3"), kHello3) << "says nothing of the protocol";
}

TEST(HelloTest, SetsTheName) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("HELLO 2 setname web"), kHello);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$3\r\nweb\r\n");
  EXPECT_EQ(local.AskWords({"HELLO", "2", "SETNAME", "a b"}), kBadName);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$3\r\nweb\r\n");
  EXPECT_EQ(local.AskWords({"HELLO", "2", "SETNAME", ""}), kHello);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
}

TEST(HelloTest, IncompleteOrUnknownOptionsAreNamed) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("HELLO 2 AUTH default"), "-ERR Syntax error in HELLO option 'AUTH'\r\n");
  EXPECT_EQ(local.Ask("HELLO 2 SETNAME"), "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
  EXPECT_EQ(local.Ask("HELLO 2 what"), "-ERR Syntax error in HELLO option 'what'\r\n");
}

TEST(HelloTest, AnOptionCannotBeginAReplyOfItsOwn) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.AskWords({"HELLO", "2", "x\r\n+OK"}),
            "-ERR Syntax error in HELLO option 'x  +OK'\r\n");
}

TEST(HelloTest, NeedsThePasswordWhereThereIsOne) {
  LocalCommandsForTest local;
  local.RequirePassword("secret");
  const std::string refused = local.Ask("HELLO 2");
  EXPECT_EQ(refused,
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            "HELLO AUTH <user> <pass> option can be used to authenticate the client and select the "
            "RESP protocol version at the same time\r\n");
  EXPECT_EQ(local.Ask("HELLO 2 SETNAME web"), refused);
  EXPECT_EQ(local.Ask("HELLO 2 AUTH default wrong"), kWrongPass);
  EXPECT_EQ(local.Ask("HELLO 2 AUTH someone secret"), kWrongPass);
  EXPECT_FALSE(local.session.authenticated);
  EXPECT_EQ(local.Ask("HELLO 2 AUTH default secret SETNAME web"), kHello);
  EXPECT_TRUE(local.session.authenticated);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$3\r\nweb\r\n");
}

TEST(HelloTest, OptionsTakeEffectInTheirOrder) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("HELLO 2 SETNAME early AUTH a b"), kWrongPass);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), "$5\r\nearly\r\n");
  local.RequirePassword("secret");
  EXPECT_EQ(local.AskWords({"HELLO", "2", "SETNAME", "a b", "AUTH", "default", "secret"}),
            kBadName);
  EXPECT_FALSE(local.session.authenticated);
  EXPECT_EQ(local.AskWords({"HELLO", "2", "AUTH", "default", "secret", "SETNAME", "a b"}),
            kBadName);
  EXPECT_TRUE(local.session.authenticated);
}

TEST(AuthTest, WithoutAPasswordTheDefaultUserMayHaveAny) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("AUTH x"),
            "-ERR AUTH <password> called without any password configured for the default user. Are "
            "you sure your configuration is correct?\r\n");
  EXPECT_EQ(local.Ask("AUTH default x"), kOk);
  EXPECT_EQ(local.Ask("AUTH someone x"), kWrongPass);
  EXPECT_EQ(local.Ask("AUTH a b c"), kSyntaxError);
}

TEST(AuthTest, OpensWhatThePasswordCloses) {
  LocalCommandsForTest local;
  local.RequirePassword("secret");
  EXPECT_EQ(local.Ask("PING"), kNoAuth);
  for (const char* wrong : {"AUTH secre", "AUTH secrets", "AUTH Secret", "AUTH ''",
                            "AUTH default x", "AUTH DEFAULT secret", "AUTH secretsecret"}) {
    EXPECT_EQ(local.Ask(wrong), kWrongPass) << wrong;
    EXPECT_FALSE(local.session.authenticated) << wrong;
  }
  EXPECT_EQ(local.Ask("AUTH secret"), kOk);
  EXPECT_EQ(local.Ask("PING"), "+PONG\r\n");
  EXPECT_EQ(local.Ask("AUTH wrong"), kWrongPass);
  EXPECT_EQ(local.Ask("PING"), "+PONG\r\n");
  EXPECT_EQ(local.Ask("AUTH default secret"), kOk);
}

TEST(ResetTest, ForgetsWhatTheClientSaid) {
  LocalCommandsForTest local;
  local.RequirePassword("secret");
  EXPECT_EQ(local.Ask("HELLO 2 AUTH default secret SETNAME web"), kHello);
  EXPECT_EQ(local.Ask("READONLY"), kOk);
  EXPECT_EQ(local.Ask("CLIENT NO-TOUCH on"), kOk);
  EXPECT_EQ(local.Ask("CLIENT REPLY off"), "");
  EXPECT_EQ(local.Ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(local.session.reads_from, ReadsFrom::kDefault);
  EXPECT_FALSE(local.session.no_touch);
  EXPECT_EQ(local.reply_mode, ReplyMode::kOn);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNoAuth);
  EXPECT_EQ(local.Ask("AUTH secret"), kOk);
  EXPECT_EQ(local.Ask("CLIENT GETNAME"), kNull);
}

TEST(ReadOnlyTest, IsKeptInTheSession) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("READONLY"), kOk);
  EXPECT_EQ(local.session.reads_from, ReadsFrom::kReplicas);
  EXPECT_EQ(local.Ask("READWRITE"), kOk);
  EXPECT_EQ(local.session.reads_from, ReadsFrom::kPrimaries);
  EXPECT_EQ(local.Ask("ASKING"), kOk);
}

}  // namespace
}  // namespace rcproxy::proxy
