// Sends without a copy, over loopback, where the kernel copies after all and says so.
#include <sys/uio.h>

#include <cerrno>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "uring/ring.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

class RingZeroCopyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ring = Ring::Create({.receive_limit_bytes = 8 << 20, .zero_copy_min_bytes = 1000});
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
    if (!ring_->features().send_zero_copy) GTEST_SKIP() << "this kernel has no zero-copy sends";
  }
  void TearDown() override { ring_->CheckInvariants(); }

  void Await(Recorder& recorder) {
    const int64_t give_up_ns = ring_->NowNs() + 5 * kSecondNs;
    while (recorder.in_flight() && ring_->NowNs() < give_up_ns) ring_->Poll(give_up_ns);
    ASSERT_FALSE(recorder.in_flight());
  }
  int SendOne(TestPair& pair, const std::string& data) {
    Recorder sent;
    ring_->Send(pair.ours.get(), data.data(), data.size(), sent.get());
    Await(sent);
    EXPECT_EQ(sent.results.size(), 1u) << "result and notification are one event";
    return sent.results[0];
  }

  std::unique_ptr<Ring> ring_;
};

TEST_F(RingZeroCopyTest, StopsWhenTheKernelKeepsCopying) {
  TestPair pair = TestPair::Tcp();
  const std::string data(2000, 'z');
  std::string got;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(SendOne(pair, data), 2000);
    pair.PeerRead(&got);
  }
  while (got.size() < 40'000) pair.PeerRead(&got);
  EXPECT_EQ(got, std::string(40'000, 'z'));
  EXPECT_EQ(ring_->stats().zero_copy_sends, 8u);
  EXPECT_EQ(ring_->stats().zero_copy_copied, 8u);
}

TEST_F(RingZeroCopyTest, ShortSendsAreCopiedAtOnce) {
  TestPair pair = TestPair::Tcp();
  EXPECT_EQ(SendOne(pair, std::string(999, 'z')), 999);
  EXPECT_EQ(ring_->stats().zero_copy_sends, 0u);
}

TEST_F(RingZeroCopyTest, MessagesCountAllTheirParts) {
  TestPair pair = TestPair::Tcp();
  std::string parts[] = {std::string(600, 'a'), std::string(600, 'b')};
  iovec vector[] = {{parts[0].data(), 600}, {parts[1].data(), 600}};
  msghdr message = {};
  message.msg_iov = vector;
  message.msg_iovlen = 2;
  Recorder sent;
  ring_->SendMessage(pair.ours.get(), &message, sent.get());
  Await(sent);
  EXPECT_EQ(sent.results, std::vector<int>{1200});
  EXPECT_EQ(ring_->stats().zero_copy_sends, 1u);
  std::string got;
  pair.PeerRead(&got);
  EXPECT_EQ(got, parts[0] + parts[1]);
}

TEST_F(RingZeroCopyTest, SocketsThatCannotGetACopy) {
  TestPair pair = TestPair::Local();
  EXPECT_EQ(SendOne(pair, std::string(2000, 'z')), 2000);
  EXPECT_EQ(ring_->stats().zero_copy_copied, 1u);
  std::string got;
  pair.PeerRead(&got);
  EXPECT_EQ(got.size(), 2000u);
}

TEST_F(RingZeroCopyTest, ErrorsAreReportedOnce) {
  TestPair pair = TestPair::Tcp();
  const linger abort = {.l_onoff = 1, .l_linger = 0};
  setsockopt(pair.peer.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  pair.peer.Reset();
  EXPECT_EQ(SendOne(pair, std::string(2000, 'z')), -ECONNRESET);
  EXPECT_EQ(SendOne(pair, std::string(2000, 'z')), -EPIPE);
}

// What lies in the send queue of a peer that does not read is still the kernel's.
TEST_F(RingZeroCopyTest, CancelGetsTheMemoryBackFromAPeerThatDoesNotRead) {
  TestPair pair = TestPair::Tcp();
  const std::string big(32 << 20, 'z');
  Recorder sent;
  for (int i = 0; i < 50 && !sent.in_flight(); ++i) {
    ring_->Send(pair.ours.get(), big.data(), big.size(), sent.get());
    for (int j = 0; j < 5; ++j) ring_->Poll(0);
  }
  ASSERT_TRUE(sent.in_flight()) << "the peer took it all";
  ring_->CancelAll(pair.ours.get());
  Await(sent);
  ring_->Close(pair.ours.Release());
}

}  // namespace
}  // namespace rcproxy::uring
