// The ring's turn against the real kernel: buffers that run out, queues that overflow, deadlines,
// waking; on each kernel that a mask can play.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "uring/chunk.h"
#include "uring/ring.h"
#include "uring/ring_test_fixture.h"
#include "uring/ring_test_options.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

using RingPollTest = RingTest;

// Buffers.

Ring::Options TwoBuffers() {
  return {.chunk_bytes = 4096, .provided_buffers = 2, .receive_limit_bytes = 4 * 4096};
}

TEST_P(RingPollTest, OutOfBuffersIsReportedAndReceivingGoesOnWhenTheyAreBack) {
  Make(TwoBuffers());
  TestPair pair = TestPair::Tcp();
  Recorder received;
  received.keep_slices = true;
  ring_->Receive(pair.ours.get(), received.get());
  const std::string sent = Pattern(60'000);
  ASSERT_EQ(pair.PeerWrite(sent), sent.size());
  PollUntil([&] { return !received.in_flight(); });
  EXPECT_EQ(received.results.back(), -ENOBUFS);
  while (ring_->stats().receive_buffers_free > 0) {  // Exhausted in the same turn as refilled.
    ring_->Receive(pair.ours.get(), received.get());
    PollUntil([&] { return !received.in_flight(); });
  }
  EXPECT_EQ(received.results.back(), -ENOBUFS);
  EXPECT_EQ(received.data.size(), 4 * 4096u);
  EXPECT_GE(ring_->stats().buffers_exhausted, 1u);

  ring_->ReceiveWhenBuffered(pair.ours.get(), received.get());
  EXPECT_EQ(ring_->stats().receives_parked, 1u);
  Settle();
  EXPECT_EQ(received.data.size(), 4 * 4096u);
  received.keep_slices = false;
  received.kept.clear();
  PollUntil([&] {
    if (!received.in_flight()) ring_->ReceiveWhenBuffered(pair.ours.get(), received.get());
    return received.data.size() == sent.size();
  });
  EXPECT_TRUE(received.data == sent);
  EXPECT_EQ(ring_->stats().receives_parked, 0u);
  if (received.in_flight()) End(received);
}

// Takes all chunks of the pool away, as slices that wait to be sent would.
std::vector<Slice> TakeAllChunks(Ring& ring, TestPair& pair, Recorder& received) {
  received.keep_slices = true;
  while (ring.stats().receive_buffers_free > 0) {
    if (!received.in_flight()) ring.Receive(pair.ours.get(), received.get());
    pair.PeerWrite(std::string(4096, 'x'));
    ring.Poll(0);
  }
  while (received.in_flight()) {
    ring.Cancel(received.get());
    ring.Poll(0);
  }
  return std::move(received.kept);
}

TEST_P(RingPollTest, ParkedReceivesAreCancelled) {
  Make(TwoBuffers());
  TestPair greedy = TestPair::Tcp();
  Recorder greedy_received;
  std::vector<Slice> held = TakeAllChunks(*ring_, greedy, greedy_received);
  TestPair one = TestPair::Tcp();
  TestPair two = TestPair::Tcp();
  Recorder first, second;
  ring_->ReceiveWhenBuffered(one.ours.get(), first.get());
  ring_->ReceiveWhenBuffered(two.ours.get(), second.get());
  Settle();
  EXPECT_EQ(ring_->stats().receives_parked, 2u);
  ring_->Cancel(first.get());
  ring_->CancelAll(two.ours.get());
  ring_->CheckInvariants();
  EXPECT_TRUE(first.results.empty()) << "nested in the call";
  EXPECT_EQ(ring_->Poll(kForever), 2);
  EXPECT_EQ(first.results, Results{-ECANCELED});
  EXPECT_EQ(second.results, Results{-ECANCELED});
  EXPECT_EQ(ring_->stats().receives_parked, 0u);
  held.clear();
}

// One buffer back is not half of them, but whoever waits for bytes must not wait for ever.
TEST_P(RingPollTest, ASingleBufferArmsOneParkedReceivePerTurn) {
  Make({.chunk_bytes = 4096, .provided_buffers = 8, .receive_limit_bytes = 16 * 4096});
  TestPair greedy = TestPair::Tcp();
  Recorder greedy_received;
  std::vector<Slice> held = TakeAllChunks(*ring_, greedy, greedy_received);
  std::vector<TestPair> pairs;
  Recorder received[3];
  for (Recorder& recorder : received) {
    pairs.push_back(TestPair::Tcp());
    ring_->ReceiveWhenBuffered(pairs.back().ours.get(), recorder.get());
  }
  ASSERT_EQ(ring_->stats().receive_buffers_free, 0u);
  while (ring_->receive_pool().bytes_in_use() == ring_->receive_pool().limit_bytes()) {
    held.pop_back();
  }
  ring_->Poll(0);
  EXPECT_EQ(ring_->stats().receives_parked, 2u);
  ASSERT_EQ(pairs[0].PeerWrite("first"), 5u);
  PollUntil([&] { return received[0].data == "first"; });
  held.clear();
  ring_->Poll(0);
  EXPECT_EQ(ring_->stats().receives_parked, 0u);
  for (Recorder& recorder : received) End(recorder);
}

TEST_P(RingPollTest, CreateClampsBuffersToALittlePool) {
  Make({.chunk_bytes = 4096, .provided_buffers = 64, .receive_limit_bytes = 4096});
  EXPECT_EQ(ring_->stats().receive_buffers, 1u);
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ASSERT_EQ(pair.PeerWrite("tiny"), 4u);
  PollUntil([&] { return received.data == "tiny"; });
  End(received);
}

// Queues.

TEST_P(RingPollTest, TinyQueuesLoseNothing) {
  Make({.sq_entries = 2,
        .cq_entries = 4,
        .chunk_bytes = 4096,
        .provided_buffers = 64,
        .receive_limit_bytes = 4 << 20});
  constexpr size_t kConnections = 60;
  std::vector<TestPair> pairs;
  std::vector<std::unique_ptr<Recorder>> received;
  for (size_t i = 0; i < kConnections; ++i) {
    pairs.push_back(TestPair::Tcp());
    received.push_back(std::make_unique<Recorder>());
    ring_->Receive(pairs[i].ours.get(), received[i]->get());
  }
  std::string expected;
  for (int round = 0; round < 20; ++round) {
    for (TestPair& pair : pairs) ASSERT_EQ(pair.PeerWrite("abcdefgh"), 8u);
    expected += "abcdefgh";
    PollUntil([&] {
      return std::all_of(received.begin(), received.end(), [&](const auto& recorder) {
        return recorder->data.size() == expected.size();
      });
    });
  }
  EXPECT_GT(ring_->stats().overflows, 0u);
  for (auto& recorder : received) {
    EXPECT_EQ(recorder->data, expected);
    EXPECT_TRUE(recorder->in_flight()) << "the caller must not notice";
    End(*recorder);
  }
}

TEST_P(RingPollTest, TinyQueuesCloseEverything) {
  Make({.sq_entries = 2, .cq_entries = 4, .receive_limit_bytes = 8 << 20});
  std::vector<TestPair> pairs;
  std::vector<std::unique_ptr<Recorder>> received;
  for (size_t i = 0; i < 40; ++i) {
    pairs.push_back(TestPair::Local());
    received.push_back(std::make_unique<Recorder>());
    ring_->Receive(pairs[i].ours.get(), received[i]->get());
  }
  for (TestPair& pair : pairs) ring_->CancelAll(pair.ours.get());
  PollUntil([&] { return ring_->operations_in_flight() == 0; });
  for (auto& recorder : received) EXPECT_EQ(recorder->results, Results{-ECANCELED});
}

// Time and waking.

TEST_P(RingPollTest, PollWaitsForTheDeadlineAndNotWithoutOne) {
  Make();
  const int64_t start_ns = ring_->NowNs();
  EXPECT_EQ(ring_->Poll(0), 0);
  const int64_t deadline_ns = ring_->NowNs() + 3 * kMillisecondNs;
  EXPECT_GE(ring_->NowNs(), start_ns);
  while (ring_->NowNs() < deadline_ns) EXPECT_EQ(ring_->Poll(deadline_ns), 0);
  const uint64_t enters = ring_->stats().enters;
  ring_->Poll(deadline_ns);  // In the past: looks, does not wait.
  EXPECT_EQ(ring_->stats().enters, enters + 1);
}

TEST_P(RingPollTest, WakeEndsTheNextPoll) {
  Make();
  for (int i = 0; i < 10; ++i) {
    ring_->Wake();
    ring_->Wake();
    ring_->Poll(kForever);
  }
  Settle();
}

TEST_P(RingPollTest, OneSystemCallPerTurn) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ring_->Poll(0);
  const uint64_t before = ring_->stats().enters;
  for (size_t i = 1; i <= 10; ++i) {
    Recorder sent;
    ASSERT_EQ(pair.PeerWrite("request"), 7u);
    ring_->Send(pair.ours.get(), "reply", 5, sent.get());
    ring_->Poll(kForever);
    while (sent.in_flight() || received.data.size() < i * 7) ring_->Poll(kForever);
  }
  EXPECT_LE(ring_->stats().enters - before, 20u);
  End(received);
}

TEST_P(RingPollTest, ABatchHintDoesNotHoldUpALoneEvent) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ring_->Poll(0);
  ring_->SetBatchHint(8, 500);
  ASSERT_EQ(pair.PeerWrite("alone"), 5u);
  EXPECT_EQ(ring_->Poll(kForever), 1);  // Eight events never come.
  EXPECT_EQ(received.data, "alone");
  const int64_t deadline_ns = ring_->NowNs() + kMillisecondNs;
  while (ring_->NowNs() < deadline_ns) EXPECT_EQ(ring_->Poll(deadline_ns), 0);
  ring_->SetBatchHint(0, 0);
  End(received);
}

INSTANTIATE_TEST_SUITE_P(Masks, RingPollTest, ::testing::ValuesIn(RingMasks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rcproxy::uring
