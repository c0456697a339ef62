#include "proxy/debug_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {
namespace {

// The whole answer to one request on a connection of its own; empty when there is none.
std::string Request(uint16_t port, const std::string& text) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) answer.append(buffer, got);
  }
  close(fd);
  return answer;
}

std::string Get(uint16_t port, const std::string& path) {
  return Request(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

std::unique_ptr<DebugServer> StartOrFail(const std::string& address, const Stats& stats) {
  auto server = DebugServer::Start(address, {&stats});
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

TEST(DebugServerTest, ServesCountersInPrometheusFormat) {
  Stats stats;
  stats.commands.Add(42);
  const auto server = StartOrFail("127.0.0.1:0", stats);
  ASSERT_NE(server, nullptr);
  ASSERT_NE(server->port(), 0);
  const std::string page = Get(server->port(), "/metrics");
  EXPECT_EQ(page.find("HTTP/1.1 200 OK\r\n"), 0u) << page.substr(0, 200);
  EXPECT_NE(page.find("# TYPE rcproxy_commands_total counter\n"), std::string::npos) << page;
  EXPECT_NE(page.find("rcproxy_commands_total{worker=\"0\"} 42\n"), std::string::npos) << page;
  EXPECT_NE(page.find("# TYPE rcproxy_clients_connected gauge\n"), std::string::npos) << page;

  stats.commands.Add();
  EXPECT_NE(Get(server->port(), "/metrics").find("rcproxy_commands_total{worker=\"0\"} 43\n"),
            std::string::npos);
}

TEST(DebugServerTest, SaysThatItIsThere) {
  Stats stats;
  const auto server = StartOrFail("127.0.0.1:0", stats);
  ASSERT_NE(server, nullptr);
  const std::string page = Get(server->port(), "/healthz");
  EXPECT_EQ(page.find("HTTP/1.1 200 OK\r\n"), 0u) << page;
  EXPECT_NE(page.find("\nrcproxy_up{"), std::string::npos) << page;
  EXPECT_EQ(Get(server->port(), "/nosuch").find("HTTP/1.1 404"), 0u);
  EXPECT_EQ(Request(server->port(), "nonsense\r\n\r\n").find("HTTP/1.1 200"), std::string::npos);
}

TEST(DebugServerTest, AnAddressInUseIsAnErrorThatNamesIt) {
  Stats stats;
  const auto first = StartOrFail("127.0.0.1:0", stats);
  ASSERT_NE(first, nullptr);
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const auto second = DebugServer::Start(address, {&stats});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(second.status().message()).find("\"" + address + "\""), std::string::npos)
      << second.status();
}

TEST(DebugServerTest, NonsenseIsAnError) {
  Stats stats;
  for (const char* address : {"nonsense", "127.0.0.1:99999", "", "203.0.113.1:0"}) {
    EXPECT_FALSE(DebugServer::Start(address, {&stats}).ok()) << address;
  }
}

TEST(DebugServerTest, APortAloneIsAllAddresses) {
  Stats stats;
  const auto server = StartOrFail(":0", stats);
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(Get(server->port(), "/healthz").find("HTTP/1.1 200 OK\r\n"), 0u);
}

TEST(DebugServerTest, ThePortIsFreeAgainAfterwards) {
  Stats stats;
  auto server = StartOrFail("127.0.0.1:0", stats);
  ASSERT_NE(server, nullptr);
  const std::string address = "127.0.0.1:" + std::to_string(server->port());
  server.reset();
  EXPECT_NE(StartOrFail(address, stats), nullptr);
}

}  // namespace
}  // namespace rcproxy::proxy
