// The ring against the real kernel, over loopback: each fallback that an older kernel would need is
// forced by a mask, and has to behave the same.
#include "uring/ring.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "uring/ring_test_options.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr int64_t kMillisecondNs = 1'000'000;

using Results = std::vector<int>;

class RingTest : public ::testing::TestWithParam<RingMask> {
 protected:
  void Make(Ring::Options options) {
    options.allowed = GetParam().allowed;
    auto ring = Ring::Create(options);
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  void Make() { Make({.receive_limit_bytes = 8 << 20}); }
  void TearDown() override {
    if (ring_ == nullptr) return;
    EXPECT_EQ(ring_->operations_in_flight(), 0u);
    ring_->CheckInvariants();
  }

  // Polls until `done`; a condition that never comes is a failure, not a hang.
  void PollUntil(const std::function<bool()>& done) {
    const int64_t give_up_ns = ring_->NowNs() + 5000 * kMillisecondNs;
    while (!done() && ring_->NowNs() < give_up_ns) ring_->Poll(give_up_ns);
    ASSERT_TRUE(done());
  }
  // Lets everything happen that can happen without anybody's help.
  void Settle() {
    for (int i = 0; i < 3; ++i) ring_->Poll(0);
  }
  void End(Recorder& recorder) {
    ring_->Cancel(recorder.get());
    PollUntil([&] { return !recorder.in_flight(); });
  }

  std::unique_ptr<Ring> ring_;
};

std::string Pattern(size_t size) {
  std::string text(size, 0);
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

TEST_P(RingTest, UsesOnlyWhatIsAllowed) {
  Make();
  EXPECT_EQ(ring_->features().Intersect(GetParam().allowed), ring_->features());
}

TEST_P(RingTest, AcceptsUntilCancelled) {
  Make();
  TestListener listener;
  Recorder accepted;
  ring_->Accept(listener.fd.get(), accepted.get());
  std::vector<TestDescriptor> clients;
  for (size_t i = 0; i < 5; ++i) {
    clients.emplace_back(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(connect(clients.back().get(), listener.generic(), sizeof listener.address), 0);
    PollUntil([&] { return accepted.results.size() == i + 1; });
    EXPECT_TRUE(accepted.in_flight());
  }
  End(accepted);
  EXPECT_EQ(accepted.results.back(), -ECANCELED);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_GE(accepted.results[i], 0);
    ring_->Close(accepted.results[i]);
  }
}

TEST_P(RingTest, AcceptReportsErrors) {
  Make();
  TestDescriptor not_listening(socket(AF_INET, SOCK_STREAM, 0));
  Recorder accepted;
  ring_->Accept(not_listening.get(), accepted.get());
  PollUntil([&] { return !accepted.in_flight(); });
  EXPECT_EQ(accepted.results, Results{-EINVAL});
}

TEST_P(RingTest, Connects) {
  Make();
  TestListener listener;
  const int fd = ring_->OpenSocket(AF_INET);
  ASSERT_GE(fd, 0);
  int no_delay = 0;
  socklen_t length = sizeof no_delay;
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
  EXPECT_NE(no_delay, 0);
  Recorder connected;
  ring_->Connect(fd, listener.generic(), sizeof listener.address, connected.get());
  EXPECT_TRUE(connected.results.empty()) << "nested in the call that started it";
  PollUntil([&] { return !connected.in_flight(); });
  EXPECT_EQ(connected.results, Results{0});
  ring_->Close(fd);
}

TEST_P(RingTest, ConnectReportsRefusal) {
  Make();
  sockaddr_in address;
  {
    TestListener listener;
    address = listener.address;
  }
  const int fd = ring_->OpenSocket(AF_INET);
  Recorder connected;
  ring_->Connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address, connected.get());
  PollUntil([&] { return !connected.in_flight(); });
  EXPECT_EQ(connected.results, Results{-ECONNREFUSED});
  ring_->Close(fd);
}

TEST_P(RingTest, OpenSocketReportsErrors) {
  Make();
  EXPECT_EQ(ring_->OpenSocket(AF_MAX + 1), -EAFNOSUPPORT);
}

TEST_P(RingTest, AConnectThatHangsCanBeCancelled) {
  Make();
  TestListener listener;
  ASSERT_EQ(listen(listener.fd.get(), 0), 0);
  TestDescriptor first(socket(AF_INET, SOCK_STREAM, 0));  // Fills the backlog.
  ASSERT_EQ(connect(first.get(), listener.generic(), sizeof listener.address), 0);
  const int fd = ring_->OpenSocket(AF_INET);
  Recorder connected;
  ring_->Connect(fd, listener.generic(), sizeof listener.address, connected.get());
  Settle();
  EXPECT_TRUE(connected.in_flight());
  ring_->CancelAll(fd);
  PollUntil([&] { return !connected.in_flight(); });
  EXPECT_EQ(connected.results, Results{-ECANCELED});
  ring_->Close(fd);
}

TEST_P(RingTest, ReceivesUntilThePeerCloses) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  const std::string sent = Pattern(300'000);
  for (size_t done = 0; done < sent.size();) {
    done += pair.PeerWrite(std::string_view(sent).substr(done, 7001));
    ring_->Poll(0);
    if (!received.in_flight()) {  // -ENOBUFS is normal.
      ASSERT_EQ(received.results.back(), -ENOBUFS);
      ring_->ReceiveWhenBuffered(pair.ours.get(), received.get());
    }
  }
  pair.peer.Reset();
  PollUntil([&] { return !received.in_flight(); });
  EXPECT_EQ(received.results.back(), 0);
  EXPECT_TRUE(received.data == sent);
}

TEST_P(RingTest, ReceiveReportsAReset) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  Settle();
  const linger abort = {.l_onoff = 1, .l_linger = 0};
  setsockopt(pair.peer.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  pair.peer.Reset();
  PollUntil([&] { return !received.in_flight(); });
  EXPECT_EQ(received.results, Results{-ECONNRESET});
}

TEST_P(RingTest, CancelEndsAnArmedReceive) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ring_->Poll(0);
  ring_->Cancel(received.get());
  ring_->Cancel(received.get());
  PollUntil([&] { return !received.in_flight(); });
  EXPECT_EQ(received.results, Results{-ECANCELED});
  ring_->Cancel(received.get());  // Nothing in flight: nothing happens.
  Settle();
  EXPECT_EQ(received.results.size(), 1u);
}

TEST_P(RingTest, CancelEndsAReceiveThatWasNotEvenSubmitted) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ring_->Cancel(received.get());
  PollUntil([&] { return !received.in_flight(); });
  EXPECT_EQ(received.results, Results{-ECANCELED});
}

TEST_P(RingTest, CancelLosesNoByteThatTheKernelHasTaken) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received;
  std::string sent;
  for (int round = 0; round < 50; ++round) {
    ring_->Receive(pair.ours.get(), received.get());
    if (round % 3 != 0) ring_->Poll(0);
    sent += std::string(pair.PeerWrite("0123456789"), 'x');
    if (round % 2 != 0) ring_->Poll(0);
    End(received);
  }
  ring_->Receive(pair.ours.get(), received.get());
  PollUntil([&] { return received.data.size() >= sent.size(); });
  EXPECT_EQ(received.data.size(), sent.size());
  End(received);
}

TEST_P(RingTest, CancelAllEndsReceiveAndSend) {
  Make();
  TestPair pair = TestPair::Tcp();
  Recorder received, filled, blocked;
  const std::string big = Pattern(16 << 20);
  ring_->Receive(pair.ours.get(), received.get());
  ring_->Send(pair.ours.get(), big.data(), big.size(), filled.get());
  PollUntil([&] { return !filled.in_flight(); });
  EXPECT_GT(filled.results[0], 0);
  EXPECT_LT(filled.results[0], static_cast<int>(big.size()));  // Short: the peer does not read.
  ring_->Send(pair.ours.get(), big.data(), big.size(), blocked.get());
  Settle();
  for (int i = 0; i < 20 && !blocked.in_flight(); ++i) {  // Buffers may still have grown.
    ring_->Send(pair.ours.get(), big.data(), big.size(), blocked.get());
    Settle();
  }
  ASSERT_TRUE(blocked.in_flight());
  ring_->CancelAll(pair.ours.get());
  PollUntil([&] { return !blocked.in_flight() && !received.in_flight(); });
  EXPECT_EQ(blocked.results.back(), -ECANCELED);
  EXPECT_EQ(received.results.back(), -ECANCELED);
}

TEST_P(RingTest, ShortSendsContinueAsThePeerReads) {
  Make();
  TestPair pair = TestPair::Tcp();
  const int small = 4096;
  setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  const std::string big = Pattern(1 << 20);
  std::string got;
  size_t done = 0;
  int sends = 0;
  while (done < big.size()) {
    Recorder sent;
    ring_->Send(pair.ours.get(), big.data() + done, big.size() - done, sent.get());
    ++sends;
    while (sent.in_flight()) {
      ring_->Poll(ring_->NowNs() + kMillisecondNs);
      pair.PeerRead(&got);
    }
    ASSERT_GT(sent.results[0], 0);
    done += static_cast<size_t>(sent.results[0]);
  }
  EXPECT_GT(sends, 1);
  while (got.size() < big.size()) pair.PeerRead(&got);
  EXPECT_TRUE(got == big);
}

TEST_P(RingTest, SendMessageGathers) {
  Make();
  TestPair pair = TestPair::Tcp();
  std::string parts[] = {"one ", "two ", "three"};
  iovec vector[3];
  for (int i = 0; i < 3; ++i) vector[i] = {parts[i].data(), parts[i].size()};
  msghdr message = {};
  message.msg_iov = vector;
  message.msg_iovlen = 3;
  Recorder sent;
  ring_->SendMessage(pair.ours.get(), &message, sent.get());
  PollUntil([&] { return !sent.in_flight(); });
  EXPECT_EQ(sent.results, Results{13});
  std::string got;
  pair.PeerRead(&got);
  EXPECT_EQ(got, "one two three");
}

TEST_P(RingTest, SendingToAPeerThatHasGoneIsAnErrorNotASignal) {
  Make();
  TestPair pair = TestPair::Local();
  pair.peer.Reset();
  Recorder sent;
  ring_->Send(pair.ours.get(), "x", 1, sent.get());
  PollUntil([&] { return !sent.in_flight(); });
  EXPECT_EQ(sent.results, Results{-EPIPE});
}

// Buffers.

Ring::Options TwoBuffers() {
  return {.chunk_bytes = 4096, .provided_buffers = 2, .receive_limit_bytes = 4 * 4096};
}

TEST_P(RingTest, OutOfBuffersIsReportedAndReceivingGoesOnWhenTheyAreBack) {
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

TEST_P(RingTest, ParkedReceivesAreCancelled) {
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
TEST_P(RingTest, ASingleBufferArmsOneParkedReceivePerTurn) {
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

TEST_P(RingTest, CreateClampsBuffersToALittlePool) {
  Make({.chunk_bytes = 4096, .provided_buffers = 64, .receive_limit_bytes = 4096});
  EXPECT_EQ(ring_->stats().receive_buffers, 1u);
  TestPair pair = TestPair::Tcp();
  Recorder received;
  ring_->Receive(pair.ours.get(), received.get());
  ASSERT_EQ(pair.PeerWrite("tiny"), 4u);
  PollUntil([&] { return received.data == "tiny"; });
  End(received);
}

TEST(RingCreateTest, RefusesAPoolWithoutRoomForABuffer) {
  const auto ring = Ring::Create({.chunk_bytes = 65536, .receive_limit_bytes = 65535});
  EXPECT_EQ(ring.status().code(), absl::StatusCode::kInvalidArgument);
}

// Queues.

TEST_P(RingTest, TinyQueuesLoseNothing) {
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

TEST_P(RingTest, TinyQueuesCloseEverything) {
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

TEST_P(RingTest, PollWaitsForTheDeadlineAndNotWithoutOne) {
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

TEST_P(RingTest, WakeEndsTheNextPoll) {
  Make();
  for (int i = 0; i < 10; ++i) {
    ring_->Wake();
    ring_->Wake();
    ring_->Poll(kForever);
  }
  Settle();
}

TEST_P(RingTest, OneSystemCallPerTurn) {
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

TEST_P(RingTest, ABatchHintDoesNotHoldUpALoneEvent) {
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

INSTANTIATE_TEST_SUITE_P(Masks, RingTest, ::testing::ValuesIn(RingMasks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rcproxy::uring
