#include "proxy/listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config.h"
#include "proxy/loopback_for_test.h"
#include "uring/ring.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {
namespace {

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    auto ring = uring::Ring::Create({.receive_limit_bytes = 8 << 20});
    CHECK(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  ~ListenerTest() override {
    if (listener_ != nullptr) Stop();
    for (const int fd : accepted_) close(fd);
  }
  static ListenAddress Tcp(const std::string& host, uint16_t port) {
    ListenAddress address;
    address.host = host;
    address.port = port;
    return address;
  }
  static ListenAddress Path(const std::string& path) {
    ListenAddress address;
    address.unix_path = path;
    return address;
  }
  static std::string Error(const ListenAddress& address) {
    const auto listener = Listener::Open(address);
    return listener.ok() ? "" : std::string(listener.status().message());
  }
  // Opens and starts; the test fails when it cannot.
  void Listen(const ListenAddress& address) {
    auto listener = Listener::Open(address);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    const absl::Status status =
        listener_->Start(*ring_, timers_, [this](int fd) { accepted_.push_back(fd); });
    ASSERT_TRUE(status.ok()) << status;
    ring_->Poll(0);
  }
  void Stop() {
    listener_->Stop();
    RunUntil([this] { return listener_->IsStopped(); });
    listener_.reset();
  }
  bool RunUntil(const std::function<bool()>& done) {
    const int64_t end_ns = ring_->NowNs() + 10'000'000'000;
    while (!done() && ring_->NowNs() < end_ns) {
      ring_->Poll(ring_->NowNs() + 10'000'000);
      timers_.RunExpired(ring_->NowNs());
    }
    return done();
  }

  std::unique_ptr<uring::Ring> ring_;
  uring::TimerQueue timers_;
  std::vector<int> accepted_;
  std::unique_ptr<Listener> listener_;
  TemporaryDirectory directory_;
};

TEST_F(ListenerTest, AcceptsClients) {
  Listen(Tcp("127.0.0.1", 0));
  ASSERT_NE(listener_->port(), 0);
  std::vector<LoopbackClient> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(LoopbackClient::Tcp(listener_->port()));
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 5; }));
}

TEST_F(ListenerTest, IsHeardOnlyAfterItHasStarted) {
  auto listener = Listener::Open(Tcp("127.0.0.1", 0));
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_FALSE(LoopbackClient::Tcp((*listener)->port()).connected());
}

TEST_F(ListenerTest, APortInUseIsNamed) {
  Listen(Tcp("127.0.0.1", 0));
  const std::string where = "127.0.0.1:" + std::to_string(listener_->port());
  EXPECT_EQ(Error(Tcp("127.0.0.1", listener_->port())),
            "cannot listen on " + where +
                ": Address already in use (is another rcproxy running? see --addr)");
}

TEST_F(ListenerTest, AnAddressIsTakenBeforeItIsListenedOn) {
  auto first = Listener::Open(Tcp("127.0.0.1", 0));
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string port = std::to_string((*first)->port());
  for (const char* host : {"127.0.0.1", "0.0.0.0"}) {
    EXPECT_EQ(Error(Tcp(host, (*first)->port())),
              std::string("cannot listen on ") + host + ":" + port +
                  ": Address already in use (is another rcproxy running? see --addr)");
  }
}

TEST_F(ListenerTest, APathIsTakenBeforeItIsListenedOn) {
  const std::string path = directory_.File("socket");
  auto first = Listener::Open(Path(path));
  ASSERT_TRUE(first.ok()) << first.status();
  for (const std::string& same : {path, directory_.File("./socket")}) {
    EXPECT_EQ(Error(Path(same)),
              "cannot listen on " + same +
                  ": Address already in use (is another rcproxy running? see --addr)");
  }
  EXPECT_EQ(access(path.c_str(), F_OK), 0) << "and stays the first one's";
  first->reset();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  EXPECT_EQ(Error(Path(path)), "");
}

TEST_F(ListenerTest, AFileThatIsAnothersStays) {
  const std::string path = directory_.File("socket");
  Listen(Path(path));
  ASSERT_EQ(rename(path.c_str(), directory_.File("moved").c_str()), 0);
  std::ofstream(path) << "another's";
  Stop();
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

// The port is free again although connections of the former listener have not come to their end.
TEST_F(ListenerTest, APortOfClosedConnectionsIsFree) {
  Listen(Tcp("127.0.0.1", 0));
  const uint16_t port = listener_->port();
  LoopbackClient client = LoopbackClient::Tcp(port);
  ASSERT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
  Stop();
  shutdown(accepted_[0], SHUT_RDWR);  // Closes first: it has to wait.
  Listen(Tcp("127.0.0.1", port));
  LoopbackClient next = LoopbackClient::Tcp(port);
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 2; }));
}

// While such connections are there, a port can be bound twice.
TEST_F(ListenerTest, APortThatIsTakenBeforeTheStartIsNamed) {
  Listen(Tcp("127.0.0.1", 0));
  const uint16_t port = listener_->port();
  LoopbackClient client = LoopbackClient::Tcp(port);
  ASSERT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
  Stop();
  shutdown(accepted_[0], SHUT_RDWR);
  auto late = Listener::Open(Tcp("127.0.0.1", port));
  ASSERT_TRUE(late.ok()) << late.status();
  Listen(Tcp("127.0.0.1", port));
  const absl::Status status = (*late)->Start(*ring_, timers_, [](int) {});
  EXPECT_EQ(std::string(status.message()),
            "cannot listen on 127.0.0.1:" + std::to_string(port) +
                ": Address already in use (is another rcproxy running? see --addr)");
  (*late)->Stop();
  EXPECT_TRUE((*late)->IsStopped());
}

TEST_F(ListenerTest, AHostThatIsNoneIsNamed) {
  const std::string error = Error(Tcp("no host at all", 1));
  EXPECT_EQ(error.find("cannot listen on no host at all:1: "), 0u) << error;
  EXPECT_NE(Error(Tcp("192.0.2.1", 0)).find("192.0.2.1:0"), std::string::npos)
      << "not an address of this machine";
}

TEST_F(ListenerTest, AnEmptyHostIsEveryAddress) {
  Listen(Tcp("", 0));
  LoopbackClient client = LoopbackClient::Tcp(listener_->port());
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
}

TEST_F(ListenerTest, AfterStopNobodyIsAccepted) {
  Listen(Tcp("127.0.0.1", 0));
  const uint16_t port = listener_->port();
  Stop();
  EXPECT_FALSE(LoopbackClient::Tcp(port).connected());
  EXPECT_EQ(ring_->operations_in_flight(), 0u);
}

TEST_F(ListenerTest, CanBeStoppedBeforeItStarts) {
  auto listener = Listener::Open(Tcp("127.0.0.1", 0));
  ASSERT_TRUE(listener.ok());
  (*listener)->Stop();
  EXPECT_TRUE((*listener)->IsStopped());
}

TEST_F(ListenerTest, GoesOnWhenDescriptorsAreBack) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t before = std::exchange(limit.rlim_cur, 64);
  setrlimit(RLIMIT_NOFILE, &limit);
  Listen(Tcp("127.0.0.1", 0));
  std::vector<int> taken;
  for (int fd = dup(0); fd >= 0; fd = dup(0)) taken.push_back(fd);
  ASSERT_FALSE(taken.empty());
  close(taken.back());  // For the client's own end.
  taken.pop_back();
  LoopbackClient waiting = LoopbackClient::Tcp(listener_->port());
  ASSERT_TRUE(waiting.connected());
  for (int i = 0; i < 5; ++i) {
    ring_->Poll(ring_->NowNs() + 10'000'000);
    timers_.RunExpired(ring_->NowNs());
  }
  EXPECT_TRUE(accepted_.empty());
  for (const int fd : taken) close(fd);
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
  limit.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// ---- Unix sockets

TEST_F(ListenerTest, AcceptsOnAPathAndRemovesItInTheEnd) {
  const std::string path = directory_.File("socket");
  Listen(Path(path));
  EXPECT_EQ(listener_->port(), 0);
  LoopbackClient client = LoopbackClient::Unix(path);
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
  Stop();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(ListenerTest, TakesOverAPathThatNobodyListensOn) {
  const std::string path = directory_.File("socket");
  {
    // A process that was killed leaves its socket's file.
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    close(fd);
  }
  ASSERT_EQ(access(path.c_str(), F_OK), 0);
  Listen(Path(path));
  LoopbackClient client = LoopbackClient::Unix(path);
  EXPECT_TRUE(RunUntil([this] { return accepted_.size() == 1; }));
}

TEST_F(ListenerTest, LeavesAPathInUseToItsOwner) {
  const std::string path = directory_.File("socket");
  Listen(Path(path));
  EXPECT_EQ(Error(Path(path)),
            "cannot listen on " + path +
                ": Address already in use (is another rcproxy running? see --addr)");
  LoopbackClient client = LoopbackClient::Unix(path);
  EXPECT_TRUE(client.connected());
}

TEST_F(ListenerTest, NeverRemovesAFileThatIsNoSocket) {
  const std::string path = directory_.File("precious");
  std::ofstream(path) << "data";
  EXPECT_NE(Error(Path(path)), "");
  struct stat status = {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 4);
}

TEST_F(ListenerTest, APathThatIsTooLongOrNowhereIsNamed) {
  const std::string path = directory_.File(std::string(200, 'x'));
  EXPECT_EQ(Error(Path(path)), "cannot listen on " + path + ": File name too long");
  EXPECT_EQ(Error(Path("/nowhere/at/all")),
            "cannot listen on /nowhere/at/all: No such file or directory");
}

}  // namespace
}  // namespace rcproxy::proxy
