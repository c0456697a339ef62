#include "testing/sim_io.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cerrno>
#include <deque>
#include <string>
#include <vector>

#include "uring/socket.h"

namespace rcproxy::sim {
namespace {

constexpr char kAddress[] = "127.0.0.1:7000";

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A completion that keeps what it was told.
struct Probe {
  Probe() : completion(&Probe::OnEvent) {}
  static void OnEvent(uring::Completion* completion, uring::Event&& event) {
    auto* probe = reinterpret_cast<Probe*>(completion);
    probe->results.push_back(event.result);
    probe->bytes += event.data.view();
    if (probe->keep_slices && !event.data.empty()) probe->slices.push_back(std::move(event.data));
  }

  uring::Completion completion;  // First member: the handler casts back.
  std::vector<int> results;
  std::string bytes;
  bool keep_slices = false;
  std::deque<uring::Slice> slices;
};

class SimIoTest : public ::testing::Test {
 protected:
  void Run(int64_t duration_ns = kSecond) {
    const int64_t end_ns = io().NowNs() + duration_ns;
    while (io().NowNs() < end_ns) io().Poll(end_ns);
  }
  SimIo& io() {
    if (io_ == nullptr) io_ = std::make_unique<SimIo>(network_, options_);
    return *io_;
  }
  // Cancels what is in flight on `fd` and closes it.
  void Finish(int fd) {
    io().CancelAll(fd);
    Run(kMillisecond);
    io().Close(fd);
  }

  SimSchedule schedule_{1};
  SimNetwork network_{schedule_};
  SimIoOptions options_;
  std::unique_ptr<SimIo> io_;
};

TEST_F(SimIoTest, AcceptReportsEachClientUntilCancelled) {
  const int listening = io().Listen(kAddress);
  Probe accept;
  io().Accept(listening, &accept.completion);
  EXPECT_TRUE(accept.results.empty());
  network_.ConnectClient(kAddress);
  network_.ConnectClient(kAddress);
  Run();
  ASSERT_EQ(accept.results.size(), 2u);
  EXPECT_NE(accept.results[0], accept.results[1]);
  EXPECT_TRUE(accept.completion.in_flight());
  io().Cancel(&accept.completion);
  Run();
  ASSERT_EQ(accept.results.size(), 3u);
  EXPECT_EQ(accept.results[2], -ECANCELED);
  EXPECT_FALSE(accept.completion.in_flight());
  for (int fd : {accept.results[0], accept.results[1], listening}) io().Close(fd);
  EXPECT_EQ(io().open_descriptors(), 0u);
}

TEST_F(SimIoTest, BytesGoBothWays) {
  SimIo::Client client = io().NewClient();
  Probe receive, send;
  io().Receive(client.fd, &receive.completion);
  const std::string reply = "+PONG\r\n";
  io().Send(client.fd, reply.data(), reply.size(), &send.completion);
  client.peer->Write("PING\r\n");
  Run();
  EXPECT_EQ(receive.bytes, "PING\r\n");
  EXPECT_EQ(send.results, std::vector<int>{7});
  EXPECT_EQ(client.peer->received(), reply);
  Finish(client.fd);
  EXPECT_EQ(receive.results.back(), -ECANCELED);
  Run();
  EXPECT_TRUE(client.peer->closed_by_peer());
  EXPECT_EQ(io().receive_pool().bytes_in_use(), 0u);
}

TEST_F(SimIoTest, AMessageIsSentFromAllItsParts) {
  SimIo::Client client = io().NewClient();
  char first[] = "ab", second[] = "cde";
  iovec parts[] = {{first, 2}, {second, 3}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Probe send;
  io().SendMessage(client.fd, &message, &send.completion);
  Run();
  EXPECT_EQ(send.results, std::vector<int>{5});
  EXPECT_EQ(client.peer->received(), "abcde");
  io().Close(client.fd);
}

TEST_F(SimIoTest, SendsCompleteShortAndWaitForTheWindow) {
  network_.default_link().short_send_one_in = 1;
  network_.default_link().window_bytes = 100;
  SimIo::Client client = io().NewClient();
  client.peer->SetReading(false);
  std::string bytes(1000, 'x');
  size_t sent = 0;
  while (sent < 100) {
    Probe send;
    io().Send(client.fd, bytes.data() + sent, bytes.size() - sent, &send.completion);
    Run();
    ASSERT_EQ(send.results.size(), 1u);
    ASSERT_GT(send.results[0], 0);
    sent += send.results[0];
  }
  Probe blocked;
  io().Send(client.fd, bytes.data() + sent, bytes.size() - sent, &blocked.completion);
  Run();
  EXPECT_TRUE(blocked.results.empty());
  client.peer->SetReading(true);
  Run();
  EXPECT_EQ(blocked.results.size(), 1u);
  io().Close(client.fd);
}

TEST_F(SimIoTest, ReceiveEndsWhenThePeerClosesOrResets) {
  SimIo::Client closing = io().NewClient();
  SimIo::Client resetting = io().NewClient();
  Probe first, second;
  io().Receive(closing.fd, &first.completion);
  io().Receive(resetting.fd, &second.completion);
  closing.peer->Write("last words");
  closing.peer->Close();
  resetting.peer->Reset();
  Run();
  EXPECT_EQ(first.bytes, "last words");
  EXPECT_EQ(first.results.back(), 0);
  EXPECT_EQ(second.results, std::vector<int>{-ECONNRESET});
  EXPECT_FALSE(first.completion.in_flight());
  Probe send;
  io().Send(resetting.fd, "x", 1, &send.completion);
  Run();
  EXPECT_EQ(send.results, std::vector<int>{-EPIPE});
  io().Close(closing.fd);
  io().Close(resetting.fd);
}

TEST_F(SimIoTest, AnExhaustedPoolEndsTheReceiveUntilBuffersAreBack) {
  options_.receive_chunk_bytes = 100;
  options_.receive_limit_bytes = 300;
  SimIo::Client client = io().NewClient();
  Probe receive;
  receive.keep_slices = true;
  io().Receive(client.fd, &receive.completion);
  client.peer->Write(std::string(500, 'x'));
  Run();
  EXPECT_EQ(receive.results, (std::vector<int>{100, 100, 100, -ENOBUFS}));
  io().ReceiveWhenBuffered(client.fd, &receive.completion);
  Run();
  EXPECT_EQ(receive.results.size(), 4u);
  receive.slices.pop_front();
  Run();
  EXPECT_EQ(receive.bytes.size(), 400u);
  EXPECT_EQ(receive.results.back(), -ENOBUFS);
  receive.slices.clear();
  io().ReceiveWhenBuffered(client.fd, &receive.completion);
  Run();
  EXPECT_EQ(receive.bytes.size(), 500u);
  Finish(client.fd);
  receive.slices.clear();
}

TEST_F(SimIoTest, AParkedReceiveCanBeCancelled) {
  SimIo::Client client = io().NewClient();
  Probe receive;
  io().ReceiveWhenBuffered(client.fd, &receive.completion);
  io().Cancel(&receive.completion);
  Run();
  EXPECT_EQ(receive.results, std::vector<int>{-ECANCELED});
  io().Close(client.fd);
}

TEST_F(SimIoTest, ConnectSucceedsIsRefusedOrWaitsUntilCancelled) {
  SimPeer* server = nullptr;
  network_.Listen(kAddress, [&](SimPeer* peer) { server = peer; });
  const sockaddr_in listening = Loopback(7000), nobody = Loopback(7001);
  auto connect = [&](const sockaddr_in& address, Probe& probe) {
    const int fd = io().OpenSocket(AF_INET);
    io().Connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address),
                 &probe.completion);
    Run();
    return fd;
  };
  Probe accepted, refused, silent;
  const int fd = connect(listening, accepted);
  EXPECT_EQ(accepted.results, std::vector<int>{0});
  Probe receive;
  io().Receive(fd, &receive.completion);
  server->Write("hello");
  Run();
  EXPECT_EQ(receive.bytes, "hello");
  Finish(fd);
  io().Close(connect(nobody, refused));
  EXPECT_EQ(refused.results, std::vector<int>{-ECONNREFUSED});
  network_.SetConnectMode(kAddress, ConnectMode::kSilent);
  const int waiting = connect(listening, silent);
  EXPECT_TRUE(silent.results.empty());
  Finish(waiting);
  EXPECT_EQ(silent.results, std::vector<int>{-ECANCELED});
}

TEST_F(SimIoTest, AConnectionThatStandsAfterTheCancelIsClosed) {
  SimPeer* server = nullptr;
  network_.Listen(kAddress, [&](SimPeer* peer) { server = peer; });
  const sockaddr_in address = Loopback(7000);
  const int fd = io().OpenSocket(AF_INET);
  Probe probe;
  io().Connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address), &probe.completion);
  io().Cancel(&probe.completion);
  Run();
  EXPECT_EQ(probe.results, std::vector<int>{-ECANCELED});
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(server->closed_by_peer());
  io().Close(fd);
}

TEST_F(SimIoTest, PollReturnsAtTheDeadlineTheHorizonOrTheWake) {
  const int64_t start = io().NowNs();
  EXPECT_EQ(io().Poll(start + kSecond), 0);
  EXPECT_EQ(io().NowNs(), start + kSecond);
  io().set_horizon_ns(start + 2 * kSecond);
  EXPECT_EQ(io().Poll(SimSchedule::kNever), 0);
  EXPECT_EQ(io().NowNs(), start + 2 * kSecond);
  EXPECT_EQ(io().stalls(), 0);
  io().set_horizon_ns(SimSchedule::kNever);
  EXPECT_EQ(io().Poll(SimSchedule::kNever), 0);
  EXPECT_EQ(io().stalls(), 1);
  io().Wake();
  const int64_t woken = io().NowNs();
  io().Poll(woken + kSecond);
  EXPECT_LT(io().NowNs(), woken + kMillisecond);
}

TEST_F(SimIoTest, PollWithoutWaitingOnlyDeliversWhatIsDue) {
  SimIo::Client client = io().NewClient();
  Probe send;
  io().Send(client.fd, "x", 1, &send.completion);
  const int64_t start = io().NowNs();
  while (send.results.empty()) io().Poll(0);
  EXPECT_LT(io().NowNs(), start + 10 * kMicrosecond);
  io().Close(client.fd);
}

// A listener that answers each chunk of bytes by the same bytes.
struct Echo final : uring::SocketListener {
  explicit Echo(uring::Io& io) : socket(io, *this) {}
  void OnReceived(uring::Slice data) override {
    output += data.view();
    Flush();
  }
  void OnReceiveEnded(int error) override {
    end = error;
    socket.Close();
  }
  void OnSent(size_t bytes, int error) override {
    if (error != 0) return socket.Close();
    output.erase(0, bytes);
    sending.clear();
    Flush();
  }
  void OnSocketClosed() override { closed = true; }
  void Flush() {
    if (output.empty() || socket.sending() || !socket.is_open()) return;
    sending = output;
    socket.Send(sending.data(), sending.size());
  }

  uring::Socket socket;
  std::string output;
  std::string sending;
  int end = -1;
  bool closed = false;
};

TEST_F(SimIoTest, ASocketSurvivesCutsShortSendsAndFewBuffers) {
  network_.default_link().cut_one_in = 1;
  network_.default_link().short_send_one_in = 2;
  network_.default_link().stall_one_in = 10;
  options_.receive_chunk_bytes = 128;
  options_.receive_limit_bytes = 256;
  SimIo::Client client = io().NewClient();
  Echo echo(io());
  echo.socket.Adopt(client.fd);
  echo.socket.StartReceive();
  std::string sent;
  for (int i = 0; i < 5'000; ++i) sent += std::to_string(i) + ",";
  client.peer->Write(sent);
  Run(10 * kSecond);
  EXPECT_EQ(client.peer->received(), sent);
  client.peer->Close();
  Run();
  EXPECT_EQ(echo.end, 0);
  EXPECT_TRUE(echo.closed);
  EXPECT_EQ(io().open_descriptors(), 0u);
}

TEST_F(SimIoTest, ASocketIsClosedCleanlyAtAnyMoment) {
  for (int moment = 0; moment < 200; ++moment) {
    SimIo::Client client = io().NewClient();
    Echo echo(io());
    echo.socket.Adopt(client.fd);
    echo.socket.StartReceive();
    client.peer->Write(std::string(1000, 'x'));
    Run(moment * kMicrosecond);
    echo.socket.Close();
    Run();
    EXPECT_TRUE(echo.closed);
    EXPECT_EQ(io().open_descriptors(), 0u);
    EXPECT_EQ(io().receive_pool().bytes_in_use(), 0u);
  }
}

class SimIoDeathTest : public SimIoTest {
 protected:
  void ChangeBytesWhileSending() {
    char data[] = "abc";
    Probe send;
    io().Send(client_.fd, data, 3, &send.completion);
    data[0] = 'x';
    Run();
  }
  void SendTwice() {
    Probe one, two;
    io().Send(client_.fd, "abc", 3, &one.completion);
    io().Send(client_.fd, "abc", 3, &two.completion);
  }
  void CloseWhileReceiving() {
    Probe receive;
    io().Receive(client_.fd, &receive.completion);
    io().Close(client_.fd);
  }

  SimIo::Client client_ = io().NewClient();
};

TEST_F(SimIoDeathTest, MisuseIsCaught) {
  EXPECT_DEATH(ChangeBytesWhileSending(), "bytes changed");
  EXPECT_DEATH(SendTwice(), "the same operation twice");
  EXPECT_DEATH(CloseWhileReceiving(), "operation in flight");
  io().Close(client_.fd);
  EXPECT_DEATH(io().Close(client_.fd), "is not open");
}

}  // namespace
}  // namespace rcproxy::sim
