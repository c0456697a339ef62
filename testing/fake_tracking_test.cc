// CLIENT TRACKING of fake nodes.
#include <gtest/gtest.h>

#include <string>

#include "testing/fake_cluster.h"
#include "testing/sim_network.h"

namespace rcproxy::sim {
namespace {

std::string Invalidation(const std::string& keys) { return ">2\r\n$10\r\ninvalidate\r\n" + keys; }

class FakeTrackingTest : public ::testing::Test {
 protected:
  FakeTrackingTest() { cluster_.AssignSlots(0, 16383, a_); }
  std::string Ask(SimPeer* peer, const std::string& command) {
    peer->Write(command + "\r\n");
    schedule_.RunFor(kMillisecond);
    return peer->Take();
  }

  SimSchedule schedule_{1};
  SimNetwork network_{schedule_};
  FakeCluster cluster_{network_};
  FakeNode& a_ = cluster_.AddPrimary("A");
  SimPeer* const reader_ = network_.ConnectClient(a_.Address());
  SimPeer* const writer_ = network_.ConnectClient(a_.Address());
};

TEST_F(FakeTrackingTest, AReaderIsToldOnce) {
  EXPECT_EQ(Ask(reader_, "GET k"), "$-1\r\n");
  EXPECT_EQ(Ask(reader_, "CLIENT TRACKING ON"), "+OK\r\n");
  Ask(writer_, "SET k 1");
  EXPECT_EQ(reader_->Take(), "") << "it was read before";
  Ask(reader_, "GET k");
  EXPECT_EQ(a_.Trackers("k"), 1u);
  Ask(writer_, "SET k 2");
  EXPECT_EQ(reader_->Take(), Invalidation("*1\r\n$1\r\nk\r\n"));
  Ask(writer_, "SET k 3");
  EXPECT_EQ(reader_->Take(), "");
}

TEST_F(FakeTrackingTest, WhatItChangesItselfItIsToldBehindTheReply) {
  Ask(reader_, "CLIENT TRACKING ON");
  Ask(reader_, "GET k");
  EXPECT_EQ(Ask(reader_, "SET k 2"), "+OK\r\n" + Invalidation("*1\r\n$1\r\nk\r\n"));
}

TEST_F(FakeTrackingTest, AllKeysAreToldToWhomWantsAll) {
  Ask(reader_, "CLIENT TRACKING ON BCAST");
  Ask(writer_, "SET k 1");
  EXPECT_EQ(reader_->Take(), Invalidation("*1\r\n$1\r\nk\r\n"));
  Ask(reader_, "CLIENT TRACKING OFF");
  Ask(writer_, "SET k 2");
  EXPECT_EQ(reader_->Take(), "");
}

TEST_F(FakeTrackingTest, NullSaysThatAllKeysAreGone) {
  Ask(reader_, "CLIENT TRACKING ON");
  Ask(writer_, "SET k 1");
  Ask(reader_, "GET k");
  Ask(writer_, "FLUSHALL");
  EXPECT_EQ(reader_->Take(), Invalidation("_\r\n"));
  EXPECT_EQ(a_.Trackers("k"), 0u);
}

}  // namespace
}  // namespace rcproxy::sim
