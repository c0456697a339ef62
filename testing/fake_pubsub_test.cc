// Channels of fake nodes.
#include <gtest/gtest.h>

#include <string>

#include "cluster/hash_slot.h"
#include "testing/fake_cluster.h"
#include "testing/sim_network.h"

namespace rcproxy::sim {
namespace {

class FakePubSubTest : public ::testing::Test {
 protected:
  FakePubSubTest() {
    cluster_.AssignSlots(0, 8191, a_);
    cluster_.AssignSlots(8192, 16383, b_);
  }
  std::string Ask(SimPeer* peer, const std::string& command) {
    peer->Write(command + "\r\n");
    schedule_.RunFor(kMillisecond);
    return peer->Take();
  }

  SimSchedule schedule_{1};
  SimNetwork network_{schedule_};
  FakeCluster cluster_{network_};
  FakeNode& a_ = cluster_.AddPrimary("A");
  FakeNode& b_ = cluster_.AddPrimary("B");
  SimPeer* const to_a_ = network_.ConnectClient(a_.Address());
  SimPeer* const to_b_ = network_.ConnectClient(b_.Address());
};

TEST_F(FakePubSubTest, MessagesReachSubscribersOfAllNodesAndEventsThoseOfOne) {
  EXPECT_EQ(Ask(to_a_, "SUBSCRIBE c"), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  EXPECT_EQ(a_.Subscribers(0, "c"), 1u);
  EXPECT_EQ(Ask(to_b_, "PUBLISH c hi"), ":0\r\n");
  const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
  EXPECT_EQ(to_a_->Take(), message);
  b_.PublishHere("c", "hi");
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(to_a_->Take(), "");
  EXPECT_EQ(Ask(to_a_, "PING"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  EXPECT_EQ(Ask(to_a_, "UNSUBSCRIBE c"), "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
  EXPECT_EQ(Ask(to_a_, "PING"), "+PONG\r\n");
}

TEST_F(FakePubSubTest, PatternsAreBeginnings) {
  Ask(to_a_, "PSUBSCRIBE n*");
  Ask(to_b_, "PUBLISH news hi");
  EXPECT_EQ(to_a_->Take(), "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  Ask(to_b_, "PUBLISH other hi");
  EXPECT_EQ(to_a_->Take(), "");
}

TEST_F(FakePubSubTest, ShardChannelsBelongToTheOwnerOfTheirSlot) {
  EXPECT_EQ(Ask(to_a_, "SSUBSCRIBE foo"), "-MOVED 12182 127.0.0.1:7001\r\n");
  EXPECT_EQ(Ask(to_b_, "SSUBSCRIBE foo"), "*3\r\n$10\r\nssubscribe\r\n$3\r\nfoo\r\n:1\r\n");
  b_.PublishToShard("foo", "hi");
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(to_b_->Take(), "*3\r\n$8\r\nsmessage\r\n$3\r\nfoo\r\n$2\r\nhi\r\n");
  b_.DropShardChannels(cluster::HashSlot("foo"));
  schedule_.RunFor(kMillisecond);
  EXPECT_EQ(to_b_->Take(), "*3\r\n$12\r\nsunsubscribe\r\n$3\r\nfoo\r\n:0\r\n");
  cluster_.AssignSlots(12182, 12182, a_);
  EXPECT_EQ(Ask(to_b_, "SUNSUBSCRIBE foo"), "-MOVED 12182 127.0.0.1:7000\r\n");
}

}  // namespace
}  // namespace rcproxy::sim
