// Sockets on the real ring: an echo server under random traffic, pauses and closes. Whatever the
// order, each connection gets back exactly the bytes it sent, in order, and nothing is left in
// flight in the end. Repeat a failure with --test_env=RCPROXY_TEST_SEED=<the printed seed>.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "uring/ring.h"
#include "uring/ring_test_options.h"
#include "uring/socket.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

// Sends back what it receives, from where it lies.
class EchoConnection final : public SocketListener {
 public:
  EchoConnection(Io& io, int fd) : socket_(io, *this) {
    socket_.Adopt(fd);
    socket_.StartReceive();
  }
  Socket& socket() { return socket_; }
  bool closed() const { return closed_; }
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  void OnReceived(Slice data) override {
    ASSERT_FALSE(closing());
    queued_bytes_ += data.size();
    output_.push_back(std::move(data));
    if (queued_bytes_ > kQueueMax) socket_.PauseReceive();  // A peer that does not read.
    Flush();
  }
  void OnReceiveEnded(int) override {
    ASSERT_FALSE(closing());
    ended_ = true;
    Flush();
  }
  void OnSent(size_t bytes, int error) override {
    ASSERT_FALSE(closing());
    if (error != 0) return socket_.Close();
    queued_bytes_ -= bytes;
    while (bytes > 0) {
      const uint32_t step = static_cast<uint32_t>(std::min<size_t>(bytes, output_.front().size()));
      output_.front().RemovePrefix(step);
      bytes -= step;
      if (output_.front().empty()) output_.pop_front();
    }
    if (queued_bytes_ < kQueueMax / 2) socket_.StartReceive();
    Flush();
  }
  void OnSocketClosed() override { closed_ = true; }

  bool closing() const { return !socket_.is_open(); }
  void Flush() {
    if (socket_.sending()) return;
    if (output_.empty()) {
      if (ended_) socket_.Close();
      return;
    }
    const size_t count = std::min<size_t>(output_.size(), 8);
    for (size_t i = 0; i < count; ++i) {
      vector_[i] = {const_cast<char*>(output_[i].data()), output_[i].size()};
    }
    message_ = {};
    message_.msg_iov = vector_;
    message_.msg_iovlen = count;
    if (count == 1) {
      socket_.Send(output_[0].data(), output_[0].size());
    } else {
      socket_.SendMessage(&message_);
    }
  }

  static constexpr size_t kQueueMax = 64 << 10;
  Socket socket_;
  std::deque<Slice> output_;
  size_t queued_bytes_ = 0;
  iovec vector_[8];
  msghdr message_ = {};
  bool ended_ = false;
  bool closed_ = false;
};

struct Client {
  TestPair pair;
  std::unique_ptr<EchoConnection> connection;
  std::string sent;
  std::string got;
  bool reads = true;
};

class RingSocketTest : public ::testing::TestWithParam<RingMask> {
 protected:
  void Make(Ring::Options options) {
    options.allowed = GetParam().allowed;
    auto ring = Ring::Create(options);
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  Client NewClient(bool tcp) {
    Client client;
    client.pair = tcp ? TestPair::Tcp() : TestPair::Local();
    const int small = 8192;
    setsockopt(client.pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    client.connection = std::make_unique<EchoConnection>(*ring_, client.pair.ours.Release());
    return client;
  }
  void AwaitClosed(Client& client) {
    const int64_t give_up_ns = ring_->NowNs() + 5 * kSecondNs;
    while (!client.connection->closed() && ring_->NowNs() < give_up_ns) ring_->Poll(give_up_ns);
    ASSERT_TRUE(client.connection->closed());
  }
  void ExpectPrefix(const Client& client) {
    ASSERT_LE(client.got.size(), client.sent.size());
    ASSERT_TRUE(client.sent.compare(0, client.got.size(), client.got) == 0);
  }

  std::unique_ptr<Ring> ring_;
};

TEST_P(RingSocketTest, EchoesAndEnds) {
  Make({.receive_limit_bytes = 8 << 20});
  Client client = NewClient(true);
  ASSERT_EQ(client.pair.PeerWrite("hello"), 5u);
  while (client.got.size() < 5) {
    ring_->Poll(ring_->NowNs() + kSecondNs);
    client.pair.PeerRead(&client.got);
  }
  EXPECT_EQ(client.got, "hello");
  shutdown(client.pair.peer.get(), SHUT_WR);
  AwaitClosed(client);
  EXPECT_FALSE(client.pair.PeerRead(&client.got));
}

TEST_P(RingSocketTest, ClosesWhileReceiveAndSendAreInFlight) {
  Make({.receive_limit_bytes = 8 << 20});
  Client client = NewClient(true);
  const std::string data(1 << 20, 'x');
  size_t written = 0;
  // The peer never reads, so the echo gets stuck in its send.
  for (int i = 0; i < 200; ++i) {
    written += client.pair.PeerWrite(data);
    for (int j = 0; j < 3; ++j) ring_->Poll(0);
  }
  ASSERT_GT(written, 0u);
  ASSERT_TRUE(client.connection->socket().sending());
  client.connection->socket().StartReceive();
  client.connection->socket().Close();
  AwaitClosed(client);
  EXPECT_EQ(ring_->operations_in_flight(), 0u);
}

// A connection that does not read is stopped, and must not take the buffers from the others.
TEST_P(RingSocketTest, APeerThatDoesNotReadDoesNotStarveOthers) {
  Make({.chunk_bytes = 16 << 10, .provided_buffers = 4, .receive_limit_bytes = 1 << 20});
  Client stuck = NewClient(true);
  const std::string data(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    stuck.pair.PeerWrite(data);
    ring_->Poll(0);
  }
  Client lively = NewClient(true);
  for (size_t round = 1; round <= 50; ++round) {
    ASSERT_EQ(lively.pair.PeerWrite("ping"), 4u);
    const int64_t give_up_ns = ring_->NowNs() + 5 * kSecondNs;
    while (lively.got.size() < 4 * round && ring_->NowNs() < give_up_ns) {
      ring_->Poll(ring_->NowNs() + kSecondNs / 100);
      lively.pair.PeerRead(&lively.got);
    }
    ASSERT_EQ(lively.got.size(), 4 * round);
  }
  stuck.connection->socket().Close();
  lively.connection->socket().Close();
  AwaitClosed(stuck);
  AwaitClosed(lively);
}

uint32_t Seed() {
  const char* const given = std::getenv("RCPROXY_TEST_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10))
                          : std::random_device()();
}

// One random deed.
void Act(std::mt19937& random, Client& client) {
  Socket& socket = client.connection->socket();
  switch (random() % 16) {
    case 0:
      socket.PauseReceive();
      break;
    case 1:
      if (client.connection->queued_bytes() == 0) socket.StartReceive();
      break;
    case 2:
      socket.PauseReceive();
      socket.StartReceive();
      break;
    case 3:
      client.reads = !client.reads;
      break;
    default: {
      const size_t size = random() % 3 == 0 ? random() % 30'000 : random() % 100;
      const std::string text(size + 1, static_cast<char>('a' + random() % 26));
      client.sent.append(text, 0, client.pair.PeerWrite(text));
    }
  }
  if (client.reads) client.pair.PeerRead(&client.got);
}

TEST_P(RingSocketTest, RandomTrafficPausesAndCloses) {
  const uint32_t seed = Seed();
  SCOPED_TRACE(::testing::Message() << "RCPROXY_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  // Small everything: buffers run out and queues overflow.
  Make({.sq_entries = 8,
        .cq_entries = 16,
        .chunk_bytes = 8 << 10,
        .provided_buffers = 4,
        .receive_limit_bytes = 512 << 10});
  std::vector<Client> clients;
  for (int step = 0; step < 4000; ++step) {
    if (clients.size() < 20) clients.push_back(NewClient(random() % 2 == 0));
    Client& client = clients[random() % clients.size()];
    Act(random, client);
    ASSERT_NO_FATAL_FAILURE(ExpectPrefix(client));
    if (random() % 3 == 0) ring_->Poll(random() % 2 == 0 ? 0 : ring_->NowNs() + 100'000);
    if (random() % 150 == 0) {
      if (random() % 2 == 0) client.pair.peer.Reset();
      client.connection->socket().Close();
      ASSERT_NO_FATAL_FAILURE(AwaitClosed(client));
      std::swap(client, clients.back());
      clients.pop_back();
    }
    if (step % 100 == 0) ring_->CheckInvariants();
  }
  // Those left get everything back.
  for (Client& client : clients) {
    client.connection->socket().StartReceive();
    const int64_t give_up_ns = ring_->NowNs() + 10 * kSecondNs;
    while (client.got.size() < client.sent.size() && ring_->NowNs() < give_up_ns) {
      ring_->Poll(ring_->NowNs() + kSecondNs / 1000);
      for (Client& other : clients) {
        other.connection->socket().StartReceive();
        other.pair.PeerRead(&other.got);
      }
    }
    ASSERT_TRUE(client.got == client.sent);
  }
  for (Client& client : clients) client.connection->socket().Close();
  for (Client& client : clients) ASSERT_NO_FATAL_FAILURE(AwaitClosed(client));
  EXPECT_EQ(ring_->operations_in_flight(), 0u);
  ring_->CheckInvariants();
}

INSTANTIATE_TEST_SUITE_P(Masks, RingSocketTest, ::testing::ValuesIn(RingMasks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rcproxy::uring
