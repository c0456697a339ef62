// Operations against the real kernel, over loopback: each fallback that an older kernel would need
// is forced by a mask, and has to behave the same.
#include "uring/ring.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "uring/ring_test_fixture.h"
#include "uring/ring_test_options.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

TEST(RingCreateTest, RefusesAPoolWithoutRoomForABuffer) {
  const auto ring = Ring::Create({.chunk_bytes = 65536, .receive_limit_bytes = 65535});
  EXPECT_EQ(ring.status().code(), absl::StatusCode::kInvalidArgument);
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

INSTANTIATE_TEST_SUITE_P(Masks, RingTest, ::testing::ValuesIn(RingMasks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rcproxy::uring
