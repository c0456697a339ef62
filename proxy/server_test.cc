// The whole process but main(): threads, listeners, one real node.
#include "proxy/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/config.h"
#include "proxy/config_parser.h"
#include "proxy/errors.h"
#include "proxy/loopback_for_test.h"

namespace rcproxy::proxy {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kPing = "*1\r\n$4\r\nPING\r\n";

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    config_.listen.resize(1);
    config_.listen[0].unix_path = path_;
    config_.startup_nodes = {{"127.0.0.1", node_.port()}};
    config_.workers = 2;
    config_.drain_timeout_s = 2;
    config_.maxclients = 100;
    config_.memory_limit_bytes = 16 << 20;
  }
  void Start() {
    ASSERT_TRUE(server_.Start().ok());
    ASSERT_TRUE(server_.WaitUntilReady().ok());
  }
  LoopbackClient Connect() { return LoopbackClient::Unix(path_); }
  uint64_t ClientsOf(int worker) {
    return server_.facts().workers[worker]->clients_connected.value();
  }
  static bool Eventually(const std::function<bool()>& condition) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(10);
    while (Clock::now() < end) {
      if (condition()) return true;
      usleep(1000);
    }
    return false;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("socket");
  LoopbackNode node_;
  Config config_;
  Server server_{config_};
};

TEST_F(ServerTest, ServesClients) {
  Start();
  LoopbackClient client = Connect();
  EXPECT_EQ(client.Ask(kPing, 7), "+PONG\r\n");
  EXPECT_EQ(client.Ask("SET k value\r\nGET k\r\n", 16), "+OK\r\n$5\r\nvalue\r\n");
}

TEST_F(ServerTest, ListensOnSeveralAddresses) {
  config_.listen.resize(2);
  config_.listen[0] = *ParseListenAddress("127.0.0.1:0");
  config_.listen[1].unix_path = path_;
  Start();
  ASSERT_NE(server_.facts().tcp_port, 0);
  EXPECT_EQ(LoopbackClient::Tcp(server_.facts().tcp_port).Ask(kPing, 7), "+PONG\r\n");
  EXPECT_EQ(Connect().Ask(kPing, 7), "+PONG\r\n");
}

TEST_F(ServerTest, ClientsAreSpreadOverWorkers) {
  Start();
  std::vector<LoopbackClient> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(Connect());
    EXPECT_EQ(clients.back().Ask("GET k\r\n", 5), "$-1\r\n");
  }
  EXPECT_EQ(ClientsOf(0), 5u);
  EXPECT_EQ(ClientsOf(1), 5u);
  // Those of one worker leave: the next ones are its.
  for (size_t i = 0; i < clients.size(); i += 2) clients[i].Close();
  EXPECT_TRUE(Eventually([this] { return ClientsOf(0) + ClientsOf(1) == 5; }));
  std::vector<LoopbackClient> next;
  for (int i = 0; i < 5; ++i) {
    next.push_back(Connect());
    EXPECT_EQ(next.back().Ask(kPing, 7), "+PONG\r\n");
  }
  EXPECT_EQ(ClientsOf(0), 5u);
  EXPECT_EQ(ClientsOf(1), 5u);
}

TEST_F(ServerTest, OneClientTooManyIsTold) {
  config_.maxclients = 2;
  Start();
  LoopbackClient one = Connect();
  LoopbackClient two = Connect();
  EXPECT_EQ(one.Ask(kPing, 7), "+PONG\r\n");
  EXPECT_EQ(two.Ask(kPing, 7), "+PONG\r\n");
  LoopbackClient three = Connect();
  EXPECT_EQ(three.Read(kErrorMaxClients.size()), kErrorMaxClients);
  EXPECT_TRUE(three.ReadsEnd());
  EXPECT_EQ(server_.facts().workers[0]->clients_rejected.value(), 1u);
  one.Close();
  EXPECT_TRUE(Eventually([this] { return ClientsOf(0) + ClientsOf(1) == 1; }));
  usleep(1000);
  EXPECT_TRUE(Eventually([this] { return Connect().Ask(kPing, 7) == "+PONG\r\n"; }));
}

TEST_F(ServerTest, AnAddressInUseIsAnErrorBeforeAnythingStarts) {
  Start();
  Server second(config_);
  const absl::Status status = second.Start();
  EXPECT_EQ(std::string(status.message()),
            "cannot listen on " + path_ +
                ": Address already in use (is another rcproxy running? see --addr)");
}

TEST_F(ServerTest, AnAddressThatAWaitingOneHasTakenIsAnError) {
  config_.startup_nodes = {{"127.0.0.1", 1}};
  ASSERT_TRUE(server_.Start().ok());
  Server second(config_);
  EXPECT_EQ(std::string(second.Start().message()),
            "cannot listen on " + path_ +
                ": Address already in use (is another rcproxy running? see --addr)");
}

TEST_F(ServerTest, WithoutANodeItSaysSoInTime) {
  config_.startup_nodes = {{"127.0.0.1", 1}};
  config_.startup_timeout_s = 1;
  ASSERT_TRUE(server_.Start().ok());
  EXPECT_FALSE(Connect().connected()) << "nobody is served yet";
  const absl::Status status = server_.WaitUntilReady();
  EXPECT_EQ(std::string(status.message()),
            "no node of --startup_nodes described the cluster within --startup_timeout_s=1; see "
            "the log for each node's error");
}

TEST_F(ServerTest, ASignalEndsTheWaitForNodes) {
  config_.startup_nodes = {{"127.0.0.1", 1}};
  ASSERT_TRUE(server_.Start().ok());
  std::thread signal([this] {
    usleep(20'000);
    server_.Interrupt();
  });
  EXPECT_TRUE(absl::IsCancelled(server_.WaitUntilReady()));
  signal.join();
}

TEST_F(ServerTest, NamesAreLookedUp) {
  config_.startup_nodes = {{"no-such-host.invalid", 1}, {"localhost", node_.port()}};
  Start();
  EXPECT_EQ(Connect().Ask("GET k\r\n", 5), "$-1\r\n");
}

TEST_F(ServerTest, StopsWhileANameIsLookedUp) {
  config_.startup_nodes = {{"no-such-host.invalid", 1}, {"neither-this.invalid", 1}};
  for (int i = 0; i < 5; ++i) {
    Server server(config_);
    ASSERT_TRUE(server.Start().ok());
    usleep(i * 500);
    server.Stop();
  }
}

TEST_F(ServerTest, StopsAtOnceWithIdleClients) {
  config_.drain_timeout_s = 100;
  Start();
  LoopbackClient client = Connect();
  EXPECT_EQ(client.Ask("GET k\r\n", 5), "$-1\r\n");
  const Clock::time_point begin = Clock::now();
  server_.Stop();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  EXPECT_TRUE(client.ReadsEnd());
  EXPECT_FALSE(Connect().connected());
}

TEST_F(ServerTest, WhatIsUnderWayIsAnsweredBeforeItStops) {
  Start();
  std::vector<LoopbackClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(Connect());
    ASSERT_EQ(clients.back().Ask(kPing, 7), "+PONG\r\n");
  }
  node_.set_delay_ms(100);
  for (LoopbackClient& client : clients) client.Write("GET k\r\n");
  EXPECT_TRUE(Eventually([this] {
    return server_.facts().workers[0]->requests_in_flight.value() +
               server_.facts().workers[1]->requests_in_flight.value() ==
           4;
  }));
  server_.Stop();
  for (LoopbackClient& client : clients) {
    EXPECT_EQ(client.Read(5), "$-1\r\n");
    EXPECT_TRUE(client.ReadsEnd());
  }
}

TEST_F(ServerTest, StoppingTwiceOrWithoutAStartIsFine) {
  server_.Stop();
  Start();
  server_.Stop();
  server_.Stop();
}

TEST_F(ServerTest, ManyStartsAndStops) {
  for (int i = 0; i < 10; ++i) {
    Server server(config_);
    ASSERT_TRUE(server.Start().ok());
    if (i % 2 == 0) {
      ASSERT_TRUE(server.WaitUntilReady().ok());
      LoopbackClient client = Connect();
      client.Write("GET k\r\nSET k v\r\n");
      server.Stop();
    }
  }
}

}  // namespace
}  // namespace rcproxy::proxy
