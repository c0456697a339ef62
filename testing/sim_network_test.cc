#include "testing/sim_network.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace rcproxy::sim {
namespace {

class SimNetworkTest : public ::testing::Test {
 protected:
  void Run(int64_t duration_ns = kSecond) { schedule_.RunFor(duration_ns); }

  SimSchedule schedule_{1};
  SimNetwork network_{schedule_};
};

TEST_F(SimNetworkTest, BytesArriveAfterTheLatencyInOrder) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->Write("one ");
  pair.peer->Write("two");
  Run(10 * kMicrosecond);
  EXPECT_EQ(pair.end->arrived(), "");
  Run(kMillisecond);
  EXPECT_EQ(pair.end->arrived(), "one two");
  pair.end->Consume(4);
  EXPECT_EQ(pair.end->arrived(), "two");
}

TEST_F(SimNetworkTest, CutWritesArriveWholeInManyPieces) {
  network_.default_link().cut_one_in = 1;
  SimNetwork::Pair pair = network_.NewPair();
  int arrivals = 0;
  pair.end->SetListener([&] { ++arrivals; });
  std::string sent;
  for (int i = 0; i < 20'000; ++i) sent += std::to_string(i);
  pair.peer->Write(sent);
  Run();
  EXPECT_EQ(pair.end->arrived(), sent);
  EXPECT_GT(arrivals, 10);
}

TEST_F(SimNetworkTest, AStalledSegmentDelaysTheOnesBehindIt) {
  network_.default_link().stall_one_in = 3;
  SimNetwork::Pair pair = network_.NewPair();
  std::string sent;
  for (int i = 0; i < 200; ++i) {
    pair.peer->Write(std::to_string(i));
    sent += std::to_string(i);
  }
  Run();
  EXPECT_EQ(pair.end->arrived(), sent);
}

TEST_F(SimNetworkTest, TheWindowFillsWhileThePeerDoesNotRead) {
  network_.default_link().window_bytes = 10;
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->SetReading(false);
  EXPECT_EQ(pair.end->Space(), 10u);
  pair.end->Write("1234567");
  EXPECT_EQ(pair.end->Space(), 3u);
  Run();
  EXPECT_EQ(pair.end->Space(), 3u);
  bool notified = false;
  pair.end->SetListener([&] { notified = true; });
  pair.peer->SetReading(true);
  Run();
  EXPECT_EQ(pair.end->Space(), 10u);
  EXPECT_TRUE(notified);
  EXPECT_EQ(pair.peer->Take(), "1234567");
}

TEST_F(SimNetworkTest, CloseArrivesBehindTheBytes) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.end->Write("bye");
  pair.end->Close();
  EXPECT_FALSE(pair.peer->closed_by_peer());
  Run();
  EXPECT_EQ(pair.peer->received(), "bye");
  EXPECT_TRUE(pair.peer->closed_by_peer());
  EXPECT_FALSE(pair.peer->reset_by_peer());
}

TEST_F(SimNetworkTest, CloseWithUnreadBytesIsAReset) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->Write("unread");
  Run();
  pair.end->Close();
  Run();
  EXPECT_TRUE(pair.peer->reset_by_peer());
}

TEST_F(SimNetworkTest, BytesToAClosedEndAreAnsweredByAReset) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->Close();
  Run();
  EXPECT_TRUE(pair.end->end_arrived());
  EXPECT_FALSE(pair.end->reset_arrived());
  pair.end->Write("anybody?");
  Run();
  EXPECT_TRUE(pair.end->reset_arrived());
}

TEST_F(SimNetworkTest, AHalfClosedStreamStillCarriesTheOtherDirection) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->ShutdownWrite();
  Run();
  EXPECT_TRUE(pair.end->end_arrived());
  pair.end->Write("still here");
  Run();
  EXPECT_EQ(pair.peer->received(), "still here");
}

TEST_F(SimNetworkTest, AResetLosesWhatIsUnderWay) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.peer->Write("lost");
  pair.peer->Reset();
  Run();
  EXPECT_EQ(pair.end->arrived(), "");
  EXPECT_TRUE(pair.end->reset_arrived());
}

TEST_F(SimNetworkTest, ARandomResetBreaksBothEnds) {
  network_.default_link().reset_one_in = 5;
  SimNetwork::Pair pair = network_.NewPair();
  for (int i = 0; i < 100; ++i) pair.peer->Write("x");
  Run();
  EXPECT_TRUE(pair.end->reset_arrived());
  EXPECT_TRUE(pair.peer->reset_by_peer());
  EXPECT_LT(pair.end->arrived().size(), 100u);
}

TEST_F(SimNetworkTest, AHeldEndReceivesEverythingWhenTheHoldIsLifted) {
  SimNetwork::Pair pair = network_.NewPair();
  pair.end->Hold(true);
  pair.peer->Write("a");
  pair.peer->Write("b");
  Run();
  EXPECT_EQ(pair.end->arrived(), "");
  pair.end->Hold(false);
  Run();
  EXPECT_EQ(pair.end->arrived(), "ab");
}

TEST_F(SimNetworkTest, ConnectReachesAListenerOrIsRefused) {
  SimPeer* server = nullptr;
  network_.Listen("127.0.0.1:7000", [&](SimPeer* peer) { server = peer; });
  int error = -1;
  SimEnd* end = nullptr;
  auto done = [&](int e, SimEnd* connected) {
    error = e;
    end = connected;
  };
  network_.Connect("127.0.0.1:7000", done);
  Run();
  ASSERT_EQ(error, 0);
  server->Write("hello");
  Run();
  EXPECT_EQ(end->arrived(), "hello");

  network_.Connect("127.0.0.1:7001", done);
  Run();
  EXPECT_EQ(error, ECONNREFUSED);

  error = -1;
  network_.SetConnectMode("127.0.0.1:7000", ConnectMode::kSilent);
  network_.Connect("127.0.0.1:7000", done);
  Run(60 * kSecond);
  EXPECT_EQ(error, -1);
  network_.SetConnectMode("127.0.0.1:7000", ConnectMode::kRefuse);
  network_.Connect("127.0.0.1:7000", done);
  Run();
  EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(SimNetworkTest, AClientOfNobodyIsReset) {
  SimPeer* client = network_.ConnectClient("127.0.0.1:1");
  Run();
  EXPECT_TRUE(client->reset_by_peer());
}

}  // namespace
}  // namespace rcproxy::sim
