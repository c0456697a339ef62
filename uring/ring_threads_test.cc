// What other threads may do to a ring: wake it, and send to its sockets while it waits.
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "uring/ring.h"
#include "uring/ring_test_options.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

class RingThreadsTest : public ::testing::TestWithParam<RingMask> {
 protected:
  void SetUp() override {
    auto ring = Ring::Create({.receive_limit_bytes = 8 << 20,
                              .batch_wait_us_max = 60'000'000,
                              .allowed = GetParam().allowed});
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  void End(Recorder& recorder) {
    ring_->Cancel(recorder.get());
    while (recorder.in_flight()) ring_->Poll(kForever);
  }
  std::unique_ptr<Ring> ring_;
};

// Each round hangs (and the test times out) if a wake-up is lost.
TEST_P(RingThreadsTest, WakeEndsAPollThatWaits) {
  for (int i = 0; i < 50; ++i) {
    std::thread other([this] { ring_->Wake(); });
    ring_->Poll(kForever);
    other.join();
  }
}

TEST_P(RingThreadsTest, ManyThreadsMayWakeAtOnce) {
  std::vector<std::thread> others;
  for (int t = 0; t < 4; ++t) {
    others.emplace_back([this] {
      for (int i = 0; i < 1000; ++i) ring_->Wake();
    });
  }
  ring_->Poll(kForever);
  for (int i = 0; i < 100; ++i) ring_->Poll(0);
  for (std::thread& other : others) other.join();
  for (int i = 0; i < 3; ++i) ring_->Poll(0);
  ring_->Wake();  // After the crowd it works as before.
  ring_->Poll(kForever);
}

// With a hint of two, a Poll that the first event would have ended also brings the second.
TEST_P(RingThreadsTest, ABatchHintWaitsForMore) {
  // Cooperative task work may bring the first event in before the Poll, which then does not wait.
  if (!ring_->features().min_wait || !ring_->features().single_issuer_defer) {
    GTEST_SKIP() << "the mask has no minimum wait";
  }
  TestPair pairs[2] = {TestPair::Tcp(), TestPair::Tcp()};
  Recorder received[2];
  for (int i = 0; i < 2; ++i) ring_->Receive(pairs[i].ours.get(), received[i].get());
  ring_->Poll(0);
  ring_->SetBatchHint(2, 60'000'000);
  for (int round = 0; round < 20; ++round) {
    std::thread other([&] {
      pairs[0].PeerWrite("1");
      std::this_thread::yield();
      pairs[1].PeerWrite("2");
    });
    EXPECT_EQ(ring_->Poll(kForever), 2);
    other.join();
  }
  ring_->SetBatchHint(1, 0);
  for (Recorder& recorder : received) End(recorder);
}

INSTANTIATE_TEST_SUITE_P(Masks, RingThreadsTest, ::testing::ValuesIn(RingMasks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rcproxy::uring
