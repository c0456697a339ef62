#include "benchmarks/load_runner.h"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/tcp.h"
#include "gtest/gtest.h"
#include "resp/request_scanner.h"

namespace rcproxy::benchmarks {
namespace {

constexpr resp::RequestLimits kLimits = {.args_max = 10,
                                         .bulk_bytes_max = 1 << 20,
                                         .inline_bytes_max = 1 << 10,
                                         .command_bytes_max = 1 << 21};

std::string Bulk(const std::string& text) {
  return absl::StrCat("$", text.size(), "\r\n", text, "\r\n");
}

// A server in a thread that stores values. `reply` may change its answer, and an empty one closes
// the connection.
class TestServer {
 public:
  using Change = std::function<std::string(bool read, int number, std::string reply)>;

  explicit TestServer(Change change = nullptr) : change_(std::move(change)) {
    auto listener = ListenTcp(0);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = std::move(*listener);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TestServer() {
    stop_ = true;
    thread_.join();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", LocalPort(listener_.get())); }

 private:
  struct Connection {
    OwnedFd fd;
    std::string input;
  };

  void Serve() {
    while (!stop_) {
      std::vector<pollfd> fds = {{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
      for (Connection& connection : connections_) {
        fds.push_back({.fd = connection.fd.get(), .events = POLLIN, .revents = 0});
      }
      poll(fds.data(), fds.size(), 5);
      for (size_t i = 1; i < fds.size(); ++i) {
        if (fds[i].revents != 0) Read(&connections_[i - 1]);
      }
      std::erase_if(connections_, [](const Connection& c) { return !c.fd.valid(); });
      while (true) {
        OwnedFd fd = AcceptTcp(listener_.get());
        if (!fd.valid()) break;
        connections_.push_back({std::move(fd), ""});
      }
    }
  }

  void Read(Connection* connection) {
    char buffer[4096];
    ssize_t size = recv(connection->fd.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return connection->fd.Close();
    connection->input.append(buffer, static_cast<size_t>(size));
    resp::RequestScanner scanner;
    while (scanner.Scan(connection->input, kLimits) == resp::ScanStatus::kCommand) {
      std::string reply = Execute(scanner.command());
      if (reply.empty()) return connection->fd.Close();
      send(connection->fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      connection->input.erase(0, scanner.consumed());
      scanner.Reset();
    }
  }

  std::string Execute(const resp::CommandView& command) {
    bool read = command[0] == "GET";
    std::string key(command[1]);
    std::string reply = "+OK\r\n";
    if (read) {
      reply = values_.count(key) ? Bulk(values_[key]) : "$-1\r\n";
    } else {
      values_[key] = std::string(command[2]);
    }
    return change_ ? change_(read, ++number_, std::move(reply)) : reply;
  }

  const Change change_;
  OwnedFd listener_;
  std::vector<Connection> connections_;
  std::map<std::string, std::string> values_;
  int number_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

LoadOptions ShortRun(const TestServer& server) {
  LoadOptions options;
  options.address = server.address();
  options.clients = 4;
  options.keys = 50;
  options.seconds = 0.2;
  options.read_ratio = 0.5;
  return options;
}

LoadReport RunLoad(const LoadOptions& options) {
  LoadRunner runner(options);
  absl::StatusOr<LoadReport> report = runner.Run();
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : LoadReport();
}

uint64_t Count(const LoadReport& report, Verdict verdict) {
  return report.verdicts[static_cast<size_t>(verdict)];
}

TEST(LoadRunnerTest, AnHonestServerGivesNoWrongReplies) {
  TestServer server;
  for (uint32_t pipeline : {1, 20}) {
    LoadOptions options = ShortRun(server);
    options.pipeline = pipeline;
    LoadReport report = RunLoad(options);
    EXPECT_GT(report.reads, 50u);
    EXPECT_GT(report.writes, 50u);
    EXPECT_EQ(report.wrong(), 0u) << report.ToJson();
    EXPECT_EQ(report.errors + report.lost + report.unanswered + report.disconnects, 0u);
    EXPECT_EQ(report.latency.count(), report.requests());
    EXPECT_EQ(report.requests(), Count(report, Verdict::kRight));
  }
}

TEST(LoadRunnerTest, TheOpenLoopKeepsItsRate) {
  TestServer server;
  LoadOptions options = ShortRun(server);
  options.rate = 1000;
  options.seconds = 0.5;
  LoadReport report = RunLoad(options);
  EXPECT_GE(report.requests(), 400u);
  EXPECT_LE(report.requests(), 510u);
  EXPECT_EQ(report.wrong(), 0u);
}

TEST(LoadRunnerTest, TheOpenLoopCountsAStallForAllThatWereDue) {
  TestServer server([](bool, int number, std::string reply) {
    if (number == 150) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return reply;
  });
  LoadOptions options = ShortRun(server);
  options.rate = 1000;
  options.seconds = 0.4;
  LoadReport report = RunLoad(options);
  // About 100 of 400 requests were due during the stall, and waited for 50 ms on average.
  EXPECT_GT(report.latency.Percentile(0.9), 20'000'000u);
  EXPECT_GT(report.longest_silence_seconds, 0.05);
}

TEST(LoadRunnerTest, SwappedRepliesAreNoticed) {
  std::string held;
  TestServer server([&held](bool read, int, std::string reply) {
    if (read) std::swap(held, reply);
    return reply.empty() ? std::string("$-1\r\n") : reply;
  });
  LoadReport report = RunLoad(ShortRun(server));
  EXPECT_GT(Count(report, Verdict::kOtherKey), 20u) << report.ToJson();
  EXPECT_EQ(Count(report, Verdict::kMissing), 1u);
}

TEST(LoadRunnerTest, ErrorRepliesAreCountedAndTheFirstIsKept) {
  TestServer server([](bool read, int number, std::string reply) {
    return read && number % 3 == 0 ? std::string("-LOADING later\r\n") : reply;
  });
  LoadReport report = RunLoad(ShortRun(server));
  EXPECT_GT(report.errors, 10u);
  EXPECT_EQ(report.wrong(), 0u);
  EXPECT_EQ(report.first_error, "LOADING later\r\n");
  EXPECT_NE(report.ToJson().find("\"first_error\": \"LOADING later??\""), std::string::npos);
}

TEST(LoadRunnerTest, ABrokenConnectionIsReplacedAndItsRequestsAreLost) {
  TestServer server(
      [](bool, int number, std::string reply) { return number == 200 ? std::string() : reply; });
  LoadOptions options = ShortRun(server);
  options.pipeline = 5;
  LoadReport report = RunLoad(options);
  EXPECT_EQ(report.disconnects, 1u);
  EXPECT_EQ(report.connections, 5u);
  EXPECT_GE(report.lost, 1u);
  EXPECT_LE(report.lost, 5u);
  EXPECT_EQ(report.wrong(), 0u) << report.ToJson();
}

TEST(LoadRunnerTest, ConnectionsCanBeUsedOnce) {
  TestServer server;
  LoadOptions options = ShortRun(server);
  options.requests_per_connection = 1;
  LoadReport report = RunLoad(options);
  EXPECT_GT(report.requests(), 10u);
  EXPECT_GE(report.connections, report.requests());
  EXPECT_EQ(report.disconnects, 0u);
  EXPECT_EQ(report.wrong(), 0u);
}

TEST(LoadRunnerTest, WithoutVerifyingOnlyErrorsAreNoticed) {
  TestServer server([](bool read, int, std::string reply) {
    return read ? std::string("$5\r\nwrong\r\n") : reply;
  });
  LoadOptions options = ShortRun(server);
  EXPECT_GT(Count(RunLoad(options), Verdict::kMalformed), 0u);
  options.verify = false;
  EXPECT_EQ(RunLoad(options).wrong(), 0u);
}

TEST(LoadRunnerTest, FailsWhenTheAddressCannotBeReachedOrWritten) {
  LoadOptions options;
  {
    TestServer server;
    options = ShortRun(server);
  }
  EXPECT_FALSE(LoadRunner(options).Run().ok());

  TestServer read_only([](bool, int, std::string) { return std::string("-READONLY no\r\n"); });
  absl::StatusOr<LoadReport> report = LoadRunner(ShortRun(read_only)).Run();
  EXPECT_EQ(report.status().message(), "writing the keys: READONLY no\r\n");
}

}  // namespace
}  // namespace rcproxy::benchmarks
