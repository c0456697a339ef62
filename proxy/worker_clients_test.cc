// What clients say about themselves and about others, through a whole worker: HELLO 3, CLIENT
// REPLY, READONLY, and the commands about all clients.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cluster/command_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

std::string Commands(std::initializer_list<std::string_view> lines) {
  std::string bytes;
  for (const std::string_view line : lines) bytes += Multibulk(cluster::Words(line));
  return bytes;
}

class WorkerClientsTest : public testing::Test, public WorkerForTest {
 protected:
  WorkerClientsTest() { Start(); }

  // All that comes within a moment.
  std::string Say(sim::SimPeer* peer, std::initializer_list<std::string_view> lines) {
    peer->Write(Commands(lines));
    RunFor(50 * kMillisecond);
    return peer->Take();
  }
};

constexpr char kHello3[] =
    "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
    "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
    "$7\r\nmodules\r\n*0\r\n";

// ---- HELLO

TEST_F(WorkerClientsTest, EveryReplyIsInTheProtocolThatWasAgreedOnBefore) {
  sim::SimPeer* client = Connect();
  const std::string hello3(kHello3);
  const std::string replies =
      Say(client, {"GET a", "MGET a b c", "HELLO 3", "GET a", "MGET a b c", "CLIENT GETNAME",
                   "RESET", "GET a", "CLIENT GETNAME", "HELLO 3", "CLIENT GETNAME", "GET c"});
  EXPECT_EQ(replies, "$-1\r\n*3\r\n$-1\r\n$-1\r\n$-1\r\n" + hello3 +
                         "_\r\n*3\r\n_\r\n_\r\n_\r\n_\r\n+RESET\r\n$-1\r\n$-1\r\n" + hello3 +
                         "_\r\n_\r\n");
}

TEST_F(WorkerClientsTest, WritesBeforeAndBehindHelloKeepTheirOrder) {
  sim::SimPeer* client = Connect();
  const std::string replies =
      Say(client, {"SET k 1", "HELLO 3", "APPEND k 2", "HELLO 2", "APPEND k 3", "GET k"});
  EXPECT_NE(replies.find(":2\r\n"), std::string::npos) << replies;
  EXPECT_EQ(replies.substr(replies.size() - 13), ":3\r\n$3\r\n123\r\n");
}

TEST_F(WorkerClientsTest, NoConnectionIsOpenedInResp3UntilAClientSpeaksIt) {
  sim::SimPeer* client = Connect();
  Say(client, {"GET a", "GET b", "GET c"});
  EXPECT_EQ(stats.upstream_connections.value(), 3u);
  Say(client, {"HELLO 3"});
  EXPECT_EQ(stats.upstream_connections.value(), 4u) << "one node has been asked";
  Say(client, {"GET a", "GET b", "GET c"});
  EXPECT_EQ(stats.upstream_connections.value(), 6u);
}

TEST_F(WorkerClientsTest, AClientMayLeaveWhileItsHelloIsUnderWay) {
  sim::SimPeer* client = Connect();
  client->Write(Commands({"HELLO 3", "GET a"}));
  client->Close();
  RunFor(50 * kMillisecond);
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(Say(Connect(), {"GET a"}), "$-1\r\n");
}

// ---- CLIENT REPLY

TEST_F(WorkerClientsTest, RepliesAreTurnedOffAndOn) {
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, {"PING", "CLIENT REPLY OFF", "PING", "GET a", "MGET a b c", "NOSUCH",
                         "CLIENT REPLY ON", "ECHO x"}),
            "+PONG\r\n+OK\r\n$1\r\nx\r\n");
  EXPECT_EQ(
      Say(client, {"CLIENT REPLY SKIP", "SET a 1", "GET a", "CLIENT REPLY SKIP", "PING",
                   "CLIENT REPLY SKIP", "CLIENT LIST", "CLIENT REPLY SKIP", "CLIENT REPLY ON"}),
      "$1\r\n1\r\n+OK\r\n");
  EXPECT_EQ(Say(client, {"CLIENT REPLY OFF", "GET a"}), "");
  EXPECT_EQ(Say(client, {"RESET", "GET a"}), "+RESET\r\n$1\r\n1\r\n");
}

// ---- about all clients

TEST_F(WorkerClientsTest, AreListed) {
  sim::SimPeer* first = Connect();
  sim::SimPeer* second = Connect();
  Say(first, {"CLIENT SETNAME one", "GET a"});
  RunFor(3 * kSecond);
  const std::string list = Say(second, {"GET a", "CLIENT LIST"});
  EXPECT_NE(list.find("\nid=1 addr=?:0 laddr=?:0 fd="), std::string::npos) << list;
  EXPECT_NE(list.find(" name=one age=3 idle=3 flags=N "), std::string::npos) << list;
  EXPECT_NE(list.find(" cmd=get "), std::string::npos) << list;
  EXPECT_NE(list.find("\nid=2 "), std::string::npos) << list;
  EXPECT_NE(list.find(" cmd=client|list "), std::string::npos) << list;
  EXPECT_EQ(Say(second, {"CLIENT LIST ID 1 3"}).find("id=2"), std::string::npos);
}

TEST_F(WorkerClientsTest, AreClosed) {
  sim::SimPeer* first = Connect();
  sim::SimPeer* second = Connect();
  EXPECT_EQ(Say(second, {"CLIENT KILL ID 2"}), ":0\r\n");
  EXPECT_EQ(Say(second, {"CLIENT KILL ID 1", "PING"}), ":1\r\n+PONG\r\n");
  EXPECT_FALSE(first->IsOpen());
  EXPECT_EQ(Say(second, {"CLIENT KILL ID 1"}), ":0\r\n");
  EXPECT_EQ(Say(second, {"GET a", "CLIENT KILL ID 2 SKIPME no", "PING"}), "$-1\r\n:1\r\n");
  EXPECT_FALSE(second->IsOpen());
  EXPECT_EQ(gone, 2);
}

TEST_F(WorkerClientsTest, AreHeldUpForAWhile) {
  sim::SimPeer* first = Connect();
  sim::SimPeer* second = Connect();
  EXPECT_EQ(Say(first, {"CLIENT PAUSE 1000"}), "+OK\r\n");
  sim::SimPeer* late = Connect();
  EXPECT_EQ(Say(first, {"GET a"}), "");
  EXPECT_EQ(Say(second, {"PING", "NOSUCH"}), "");
  EXPECT_EQ(Say(late, {"GET a"}), "");
  EXPECT_EQ(Say(late, {"CLIENT UNPAUSE"}), "") << "waits as well";
  RunFor(kSecond);
  EXPECT_EQ(first->Take(), "$-1\r\n");
  EXPECT_EQ(second->Take().substr(0, 17), "+PONG\r\n-ERR unkno");
  EXPECT_EQ(late->Take(), "$-1\r\n+OK\r\n");
}

TEST_F(WorkerClientsTest, OnlyWritesAreHeldUpWhenToldSo) {
  sim::SimPeer* first = Connect();
  sim::SimPeer* second = Connect();
  EXPECT_EQ(Say(first, {"SET a 1", "CLIENT PAUSE 10000 WRITE"}), "+OK\r\n+OK\r\n");
  EXPECT_EQ(Say(first, {"GET a", "PING", "SET a 2", "GET a"}), "$1\r\n1\r\n+PONG\r\n");
  EXPECT_EQ(Say(second, {"PUBLISH c x"}), "") << "it may be replicated";
  sim::SimPeer* third = Connect();
  EXPECT_EQ(Say(third, {"GET a", "CLIENT UNPAUSE", "GET c"}).substr(0, 12), "$1\r\n1\r\n+OK\r\n");
  EXPECT_EQ(first->Take(), "+OK\r\n$1\r\n2\r\n");
}

TEST_F(WorkerClientsTest, APauseIsNeverMadeShorter) {
  sim::SimPeer* first = Connect();
  EXPECT_EQ(Say(first, {"CLIENT PAUSE 1000 WRITE", "CLIENT PAUSE 100 WRITE"}), "+OK\r\n+OK\r\n");
  RunFor(500 * kMillisecond);
  EXPECT_EQ(Say(first, {"SET a 1"}), "");
  RunFor(500 * kMillisecond);
  EXPECT_EQ(first->Take(), "+OK\r\n");
}

TEST_F(WorkerClientsTest, WhoeverIsHeldUpIsNotIdle) {
  config.client_idle_timeout_s = 1;
  sim::SimPeer* first = Connect();
  EXPECT_EQ(Say(first, {"CLIENT PAUSE 5000", "GET a"}), "+OK\r\n");
  RunFor(5 * kSecond);
  EXPECT_EQ(first->Take(), "$-1\r\n");
  RunFor(5 * kSecond);
  EXPECT_FALSE(first->IsOpen());
}

TEST_F(WorkerClientsTest, ADrainEndsAPause) {
  sim::SimPeer* first = Connect();
  Say(first, {"CLIENT PAUSE 100000", "SET a 1"});
  Stop();
  EXPECT_EQ(gone, 1);
}

TEST_F(WorkerClientsTest, StatisticsAreResetAndGaugesAreNot) {
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, {"PING", "CONFIG RESETSTAT"}), "+PONG\r\n+OK\r\n");
  EXPECT_EQ(stats.commands.value(), 0u);
  EXPECT_EQ(stats.clients_connected.value(), 1u);
}

}  // namespace
}  // namespace rcproxy::proxy
