#include "proxy/client_bindings.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/pubsub/pubsub_for_test.h"

namespace rcproxy::proxy {
namespace {

class ClientBindingsTest : public PubSubForTest {
 protected:
  ClientBindingsTest() { Start(); }
};

TEST_F(ClientBindingsTest, InResp2ASubscriberMayOnlySubscribe) {
  sim::SimPeer* client = Subscribed("SUBSCRIBE c", Confirmation("subscribe", "c", 1));
  EXPECT_EQ(Say(client, "CLIENT ID"),
            "-ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
            "/ RESET are allowed in this context\r\n");
  EXPECT_EQ(Say(client, "MULTI").substr(0, 25), "-ERR Can't execute 'multi");
  EXPECT_EQ(Say(client, "NOSUCH").substr(0, 20), "-ERR unknown command");
  EXPECT_EQ(Say(client, "PING"), "*2\r\n" + Bulk("pong") + Bulk(""));
  EXPECT_EQ(Say(client, "PING hi"), "*2\r\n" + Bulk("pong") + Bulk("hi"));
  EXPECT_EQ(Say(client, "UNSUBSCRIBE"), Confirmation("unsubscribe", "c", 0));
  EXPECT_EQ(Say(client, "PING"), "+PONG\r\n");
  EXPECT_EQ(Say(client, "GET a"), "$-1\r\n");
}

TEST_F(ClientBindingsTest, ExecThatIsRefusedEndsItsTransaction) {
  sim::SimPeer* client = Connect();
  const std::string arity =
      "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
      "command\r\n";
  EXPECT_EQ(Say(client, "EXEC x"), arity);
  Say(client, "MULTI");
  EXPECT_EQ(Say(client, "EXEC x"), arity);
  EXPECT_EQ(Say(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
  Say(client, "WATCH a");
  Say(client, "MULTI");
  EXPECT_EQ(Say(client, "EXEC x"), arity);
  EXPECT_EQ(stats.own_connections.value(), 0u) << "nothing is watched any more";
  Say(client, "SUBSCRIBE c");
  EXPECT_EQ(Say(client, "EXEC").substr(0, 71),
            "-EXECABORT Transaction discarded because of: Can't execute 'exec': only");
}

TEST_F(ClientBindingsTest, WhileKeysAreWatchedTheDatabaseStays) {
  cluster.set_databases(4);
  sim::FakeNode& owner = cluster.OwnerOf("a");
  owner.SetScripted(true);
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, "WATCH a"), "");
  ASSERT_EQ(owner.pending().size(), 1u);
  owner.Reply(owner.pending().front().connection, "+OK\r\n");
  EXPECT_EQ(Heard(client), "+OK\r\n");
  owner.SetScripted(false);
  EXPECT_EQ(Say(client, "SELECT 3"),
            "-ERR SELECT of another database is not possible while keys are watched\r\n");
  EXPECT_EQ(Say(client, "SELECT 0"), "+OK\r\n");
  EXPECT_EQ(Say(client, "UNWATCH"), "+OK\r\n");
  EXPECT_EQ(Say(client, "SELECT 3"), "+OK\r\n");
}

TEST_F(ClientBindingsTest, ConfirmationsComeInAnyReplyMode) {
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, "CLIENT REPLY OFF"), "");
  EXPECT_EQ(Say(client, "SUBSCRIBE c"), Confirmation("subscribe", "c", 1));
  Publish("c", "hi");
  EXPECT_EQ(Heard(client), Message("c", "hi"));
  EXPECT_EQ(Say(client, "UNSUBSCRIBE c"), Confirmation("unsubscribe", "c", 0));
  EXPECT_EQ(Say(client, "PING"), "");
  EXPECT_EQ(Say(client, "CLIENT REPLY ON"), "+OK\r\n");
  EXPECT_EQ(Say(client, "CLIENT REPLY SKIP"), "");
  EXPECT_EQ(Say(client, "SUBSCRIBE c"), Confirmation("subscribe", "c", 1));
  EXPECT_EQ(Say(client, "UNSUBSCRIBE"), Confirmation("unsubscribe", "c", 0));
  EXPECT_EQ(Say(client, "PING"), "+PONG\r\n") << "the one reply to skip was the confirmation";
}

TEST_F(ClientBindingsTest, InResp3ItMayDoAnything) {
  sim::SimPeer* client = Connect();
  Say(client, "HELLO 3");
  EXPECT_EQ(Say(client, "SUBSCRIBE c"), ">" + Confirmation("subscribe", "c", 1).substr(1));
  EXPECT_EQ(Say(client, "GET a"), "_\r\n");
  EXPECT_EQ(Say(client, "PING"), "+PONG\r\n");
  Publish("c", "hi");
  EXPECT_EQ(Heard(client), ">" + Message("c", "hi").substr(1));
}

TEST_F(ClientBindingsTest, ResetAndLeavingEndEverything) {
  sim::SimPeer* client = Subscribed("SUBSCRIBE c", Confirmation("subscribe", "c", 1));
  EXPECT_EQ(Say(client, "RESET"), "+RESET\r\n");
  EXPECT_EQ(stats.subscriptions.value(), 0u);
  EXPECT_EQ(Say(client, "MULTI"), "+OK\r\n");
  EXPECT_EQ(Say(client, "RESET"), "+RESET\r\n");
  EXPECT_EQ(Say(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
  sim::SimPeer* other = Subscribed("PSUBSCRIBE c*", Confirmation("psubscribe", "c*", 1));
  EXPECT_EQ(Say(other, "QUIT"), "+OK\r\n");
  EXPECT_EQ(stats.subscriptions.value(), 0u);
  EXPECT_EQ(gone, 1);
}

TEST_F(ClientBindingsTest, TransactionsTellWhatIsWrongWithThem) {
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, "DISCARD"), "-ERR DISCARD without MULTI\r\n");
  EXPECT_EQ(Say(client, "UNWATCH"), "+OK\r\n");
  EXPECT_EQ(Say(client, "WATCH a b"), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  Say(client, "MULTI");
  EXPECT_EQ(Say(client, "MULTI"), "-ERR MULTI calls can not be nested\r\n");
  EXPECT_EQ(Say(client, "WATCH a"), "-ERR WATCH inside MULTI is not allowed\r\n");
  EXPECT_EQ(Say(client, "UNWATCH"), "+QUEUED\r\n");
  EXPECT_EQ(Say(client, "SUBSCRIBE c").substr(0, 14), "-ERR Command n");
  EXPECT_EQ(Say(client, "EXEC"),
            "-EXECABORT Transaction discarded because of previous errors.\r\n");
  Say(client, "MULTI");
  EXPECT_EQ(Say(client, "EXEC x"),
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
            "command\r\n");
  EXPECT_EQ(Say(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
