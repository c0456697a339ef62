#include "testing/fake_cluster.h"

#include <gtest/gtest.h>

#include <string>

#include "testing/sim_network.h"

namespace rcproxy::sim {
namespace {

// "foo" has slot 12182, "bar" 5061; "{foo}1" has that of "foo".
constexpr uint16_t kFooSlot = 12182;

class FakeClusterTest : public ::testing::Test {
 protected:
  FakeClusterTest() {
    a_ = &cluster_.AddPrimary("A");
    b_ = &cluster_.AddPrimary("B");
    cluster_.AssignSlots(0, 8191, *a_);
    cluster_.AssignSlots(8192, 16383, *b_);
  }
  // One command on a connection of its own, or on `peer`.
  std::string Ask(FakeNode& node, const std::string& command) {
    SimPeer* peer = network_.ConnectClient(node.Address());
    const std::string reply = Ask(peer, command);
    peer->Close();
    return reply;
  }
  std::string Ask(SimPeer* peer, const std::string& command) {
    peer->Write(command + "\r\n");
    schedule_.RunFor(kMillisecond);
    return peer->Take();
  }

  SimSchedule schedule_{1};
  SimNetwork network_{schedule_};
  FakeCluster cluster_{network_};
  FakeNode* a_;
  FakeNode* b_;
};

TEST_F(FakeClusterTest, TheOwnerServesAndTheOthersRedirect) {
  EXPECT_EQ(Ask(*b_, "SET foo 1"), "+OK\r\n");
  EXPECT_EQ(Ask(*b_, "GET foo"), "$1\r\n1\r\n");
  EXPECT_EQ(Ask(*a_, "GET foo"), "-MOVED 12182 127.0.0.1:7001\r\n");
  EXPECT_EQ(Ask(*b_, "MGET foo bar"), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(cluster_.log().size(), 2u);
  EXPECT_EQ(&cluster_.OwnerOf("foo"), b_);
}

TEST_F(FakeClusterTest, ASlotWithoutOwnerIsDown) {
  FakeCluster empty(network_);
  FakeNode& node = empty.AddPrimary("X");
  EXPECT_EQ(Ask(node, "GET foo"), "-CLUSTERDOWN Hash slot not served\r\n");
}

TEST_F(FakeClusterTest, AMigratingSlotAsksForMissingKeys) {
  Ask(*b_, "SET {foo}1 old");
  Ask(*b_, "SET {foo}2 old");
  cluster_.StartMigration(kFooSlot, *a_);
  EXPECT_EQ(Ask(*b_, "GET {foo}1"), "$3\r\nold\r\n");
  EXPECT_EQ(Ask(*b_, "GET {foo}new"), "-ASK 12182 127.0.0.1:7000\r\n");
  EXPECT_EQ(Ask(*a_, "GET {foo}new"), "-MOVED 12182 127.0.0.1:7001\r\n");
  cluster_.MoveKey("{foo}1");
  EXPECT_EQ(Ask(*b_, "MGET {foo}1 {foo}2"),
            "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  SimPeer* peer = network_.ConnectClient(a_->Address());
  EXPECT_EQ(Ask(peer, "ASKING\r\nGET {foo}1"), "+OK\r\n$3\r\nold\r\n");
  EXPECT_EQ(Ask(peer, "GET {foo}1"), "-MOVED 12182 127.0.0.1:7001\r\n");  // ASKING holds once.
  EXPECT_EQ(Ask(peer, "ASKING\r\nMGET {foo}1 {foo}2"),
            "+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  cluster_.FinishMigration(kFooSlot);
  EXPECT_EQ(Ask(*a_, "MGET {foo}1 {foo}2"), "*2\r\n$3\r\nold\r\n$3\r\nold\r\n");
  EXPECT_EQ(Ask(*b_, "GET {foo}1"), "-MOVED 12182 127.0.0.1:7000\r\n");
}

TEST_F(FakeClusterTest, NewsTravelByGossip) {
  FakeNode& c = cluster_.AddPrimary("C");
  cluster_.set_gossip_max_ns(kSecond);
  cluster_.StartMigration(kFooSlot, *a_);
  cluster_.FinishMigration(kFooSlot);
  EXPECT_EQ(Ask(c, "GET foo"), "-MOVED 12182 127.0.0.1:7001\r\n");
  schedule_.RunFor(kSecond);
  EXPECT_EQ(Ask(c, "GET foo"), "-MOVED 12182 127.0.0.1:7000\r\n");
}

TEST_F(FakeClusterTest, AReplicaHasTheDataAndServesReadsWhenAllowed) {
  FakeNode& replica = cluster_.AddReplica("B2", *b_);
  Ask(*b_, "SET foo 1");
  EXPECT_EQ(Ask(replica, "GET foo"), "-MOVED 12182 127.0.0.1:7001\r\n");
  SimPeer* peer = network_.ConnectClient(replica.Address());
  EXPECT_EQ(Ask(peer, "READONLY\r\nGET foo"), "+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(Ask(peer, "SET foo 2"), "-MOVED 12182 127.0.0.1:7001\r\n");
}

TEST_F(FakeClusterTest, ReplicationMayLag) {
  FakeNode& replica = cluster_.AddReplica("B2", *b_);
  cluster_.set_replication_lag_ns(kSecond);
  Ask(*b_, "SET foo 1");
  EXPECT_NE(Ask(*b_, "INFO replication").find("master_repl_offset:1\r\n"), std::string::npos);
  EXPECT_NE(Ask(replica, "INFO replication").find("slave_repl_offset:0\r\n"), std::string::npos);
  EXPECT_FALSE(replica.store().Has("foo"));
  schedule_.RunFor(kSecond);
  EXPECT_TRUE(replica.store().Has("foo"));
  EXPECT_NE(Ask(replica, "INFO replication").find("slave_repl_offset:1\r\n"), std::string::npos);
}

TEST_F(FakeClusterTest, AReplicaTakesOverFromADeadPrimary) {
  FakeNode& replica = cluster_.AddReplica("B2", *b_);
  Ask(*b_, "SET foo 1");
  b_->Kill();
  EXPECT_EQ(Ask(*b_, "PING"), "");
  cluster_.Failover(replica);
  EXPECT_EQ(Ask(replica, "GET foo"), "$1\r\n1\r\n");
  EXPECT_EQ(Ask(*a_, "GET foo"), "-MOVED 12182 127.0.0.1:7002\r\n");
  Ask(replica, "SET foo 2");
  cluster_.Restart(*b_);
  EXPECT_EQ(Ask(*b_, "GET foo"), "-MOVED 12182 127.0.0.1:7002\r\n");
  EXPECT_EQ(b_->store().Get("foo"), "2");
}

TEST_F(FakeClusterTest, DescribesItself) {
  cluster_.AddReplica("B2", *b_);
  const std::string shards = Ask(*a_, "CLUSTER SHARDS");
  EXPECT_EQ(shards.substr(0, 30), "*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:81");
  EXPECT_NE(shards.find("replica"), std::string::npos);
  const std::string slots = Ask(*a_, "CLUSTER SLOTS");
  EXPECT_EQ(slots.substr(0, 20), "*2\r\n*3\r\n:0\r\n:8191\r\n*");
  EXPECT_NE(slots.find(":7002\r\n"), std::string::npos);
}

TEST_F(FakeClusterTest, TellsEpochsAndItsState) {
  FakeNode& replica = cluster_.AddReplica("B2", *b_);
  EXPECT_NE(Ask(*a_, "CLUSTER NODES").find("myself,master - 0 0 1 connected 0-8191\n"),
            std::string::npos);
  EXPECT_NE(Ask(*a_, "CLUSTER INFO").find("cluster_state:ok\r\n"), std::string::npos);
  cluster_.Failover(replica);
  EXPECT_NE(Ask(replica, "CLUSTER NODES").find("myself,master - 0 0 3 connected 8192-16383\n"),
            std::string::npos);
}

TEST_F(FakeClusterTest, AnIsolatedNodeServesNobodyAndHearsNothingUntilItRejoins) {
  FakeNode& replica = cluster_.AddReplica("B2", *b_);
  b_->SetIsolated(true);
  EXPECT_EQ(Ask(*b_, "GET foo"), "-CLUSTERDOWN The cluster is down\r\n");
  EXPECT_NE(Ask(*b_, "CLUSTER INFO").find("cluster_state:fail\r\n"), std::string::npos);
  cluster_.Failover(replica);
  EXPECT_EQ(Ask(replica, "SET foo 1"), "+OK\r\n");
  EXPECT_TRUE(b_->IsPrimary()) << "as it believes";
  cluster_.Rejoin(*b_);
  EXPECT_EQ(Ask(*b_, "GET foo"), "-MOVED 12182 127.0.0.1:7002\r\n");
  EXPECT_EQ(b_->store().Get("foo"), "1");
}

TEST_F(FakeClusterTest, ALiarTellsAnotherClusterButServesThisOne) {
  ClusterView lie = cluster_.truth();
  lie.shard_of_slot.fill(0);
  b_->SetLie(lie);
  EXPECT_EQ(Ask(*b_, "CLUSTER SLOTS").substr(0, 20), "*1\r\n*3\r\n:0\r\n:16383\r\n");
  EXPECT_EQ(Ask(*b_, "GET foo"), "$-1\r\n");
  b_->SetLie(std::nullopt);
  EXPECT_EQ(Ask(*b_, "CLUSTER SLOTS").substr(0, 4), "*2\r\n");
}

TEST_F(FakeClusterTest, SpeaksResp3AfterHello) {
  SimPeer* peer = network_.ConnectClient(b_->Address());
  EXPECT_EQ(Ask(peer, "HELLO 3").substr(0, 4), "%4\r\n");
  EXPECT_EQ(Ask(peer, "GET foo"), "_\r\n");
  EXPECT_EQ(Ask(peer, "HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
}

TEST_F(FakeClusterTest, AsksForThePassword) {
  cluster_.set_password("secret");
  SimPeer* peer = network_.ConnectClient(b_->Address());
  EXPECT_EQ(Ask(peer, "GET foo"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(Ask(peer, "AUTH wrong").substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(Ask(peer, "AUTH secret"), "+OK\r\n");
  EXPECT_EQ(Ask(peer, "GET foo"), "$-1\r\n");
  EXPECT_EQ(Ask(*a_, "HELLO 2 AUTH default secret").substr(0, 4), "*8\r\n");
}

TEST_F(FakeClusterTest, APausedNodeAnswersWhenItGoesOn) {
  SimPeer* peer = network_.ConnectClient(b_->Address());
  b_->SetPaused(true);
  EXPECT_EQ(Ask(peer, "PING"), "");
  b_->SetPaused(false);
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(peer->Take(), "+PONG\r\n");
}

TEST_F(FakeClusterTest, AnswersBadlyOnDemand) {
  b_->SetLoading(true);
  EXPECT_EQ(Ask(*b_, "GET foo"), "-LOADING Redis is loading the dataset in memory\r\n");
  b_->SetLoading(false);
  b_->SetClusterDown(true);
  EXPECT_EQ(Ask(*b_, "GET foo"), "-CLUSTERDOWN The cluster is down\r\n");
  b_->SetClusterDown(false);
  b_->FailNext("-ERR no");
  EXPECT_EQ(Ask(*b_, "GET foo"), "-ERR no\r\n");
  b_->SetGarbage(true);
  EXPECT_EQ(Ask(*b_, "GET foo").substr(0, 5), "HTTP/");
  b_->SetGarbage(false);
  EXPECT_TRUE(cluster_.log().empty());
}

TEST_F(FakeClusterTest, ALostReplyWasStillExecuted) {
  SimPeer* peer = network_.ConnectClient(b_->Address());
  b_->LoseNextReply();
  EXPECT_EQ(Ask(peer, "SET foo 1"), "");
  EXPECT_TRUE(peer->reset_by_peer());
  EXPECT_EQ(b_->store().Get("foo"), "1");
  EXPECT_EQ(cluster_.log().size(), 1u);
}

TEST_F(FakeClusterTest, AScriptedNodeLeavesTheAnswersToTheTest) {
  b_->SetScripted(true);
  SimPeer* peer = network_.ConnectClient(b_->Address());
  EXPECT_EQ(Ask(peer, "GET foo"), "");
  ASSERT_EQ(b_->pending().size(), 1u);
  EXPECT_EQ(b_->pending()[0].args, (FakeArgs{"GET", "foo"}));
  b_->Reply(b_->pending()[0].connection, "$3\r\nbar\r\n");
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(peer->Take(), "$3\r\nbar\r\n");
}

TEST_F(FakeClusterTest, AVanishedNodeIsSilentUntilItRestarts) {
  SimPeer* before = network_.ConnectClient(b_->Address());
  EXPECT_EQ(Ask(before, "PING"), "+PONG\r\n");
  b_->Vanish();
  EXPECT_EQ(Ask(before, "PING"), "");
  EXPECT_FALSE(before->closed_by_peer());
  cluster_.Restart(*b_);
  schedule_.RunFor(kMillisecond);
  EXPECT_TRUE(before->reset_by_peer());
  EXPECT_EQ(Ask(*b_, "PING"), "+PONG\r\n");
}

TEST_F(FakeClusterTest, ANodeComesBackAtAnotherAddress) {
  const std::string before = b_->Address(), id = b_->member().id;
  b_->Kill();
  cluster_.MoveToNewAddress(*b_);
  EXPECT_NE(b_->Address(), before);
  EXPECT_EQ(cluster_.AnyAddress(), a_->Address()) << "the only one that lives";
  cluster_.Restart(*b_);
  EXPECT_EQ(Ask(*b_, "SET foo 1"), "+OK\r\n");
  EXPECT_EQ(b_->member().id, id);
  const std::string reply = Ask(*a_, "GET foo");
  EXPECT_EQ(reply, "-MOVED 12182 " + b_->Address() + "\r\n");
  bool is_refused = false;
  network_.Connect(before, [&](int error, SimEnd*) { is_refused = error != 0; });
  schedule_.RunFor(kMillisecond);
  EXPECT_TRUE(is_refused);
}

TEST_F(FakeClusterTest, AnotherNodeComesInThePlaceOfAReplica) {
  FakeNode& replica = cluster_.AddReplica("R", *b_);
  const std::string address = replica.Address(), id = replica.member().id;
  Ask(*b_, "SET foo 1");
  replica.Kill();
  cluster_.Replace(replica);
  cluster_.Restart(replica);
  EXPECT_NE(replica.Address(), address);
  EXPECT_NE(replica.member().id, id);
  EXPECT_EQ(replica.store().Get("foo"), "1");
}

TEST_F(FakeClusterTest, NothingArrivesAtAnUnreachableNodeUntilItIsReachable) {
  SimPeer* before = network_.ConnectClient(b_->Address());
  EXPECT_EQ(Ask(before, "PING"), "+PONG\r\n");
  b_->SetUnreachable(true);
  EXPECT_EQ(Ask(before, "PING"), "");
  bool is_connected = false;
  network_.Connect(b_->Address(), [&](int, SimEnd*) { is_connected = true; });
  schedule_.RunFor(kSecond);
  EXPECT_FALSE(is_connected);
  b_->SetUnreachable(false);
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(before->Take(), "+PONG\r\n") << "nothing was lost";
}

}  // namespace
}  // namespace rcproxy::sim
