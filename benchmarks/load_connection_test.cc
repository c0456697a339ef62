#include "benchmarks/load_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

// A connection and the server's end of it.
class LoadConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listener = ListenTcp(0);
    ASSERT_TRUE(listener.ok()) << listener.status();
    ASSERT_TRUE(
        connection_.Connect("127.0.0.1:" + std::to_string(LocalPort(listener->get()))).ok());
    server_ = AcceptTcp(listener->get());
    ASSERT_TRUE(server_.valid());
  }

  void Ask(uint32_t key) {
    connection_.output()->append("ask");
    connection_.Queue({.key = key});
  }
  // Lets the server send `text` and the connection read it.
  absl::Status Answer(std::string_view text) {
    send(server_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    pollfd readable = {.fd = connection_.fd(), .events = POLLIN, .revents = 0};
    poll(&readable, 1, 5000);
    return connection_.Receive(/*ending=*/false,
                               [this](const LoadRequest& request, std::string_view reply) {
                                 replies_.emplace_back(request.key, std::string(reply));
                               });
  }

  using Replies = std::vector<std::pair<uint32_t, std::string>>;
  LoadConnection connection_;
  OwnedFd server_;
  Replies replies_;
};

TEST_F(LoadConnectionTest, RepliesBelongToRequestsInTheirOrder) {
  Ask(1);
  Ask(2);
  connection_.Flush();
  char text[7] = {};
  EXPECT_EQ(recv(server_.get(), text, 6, 0), 6);
  EXPECT_STREQ(text, "askask");
  EXPECT_TRUE(Answer("+A\r\n$1\r\nB\r\n").ok());
  EXPECT_EQ(replies_, (Replies{{1, "+A\r\n"}, {2, "$1\r\nB\r\n"}}));
  EXPECT_TRUE(connection_.pending().empty());
}

TEST_F(LoadConnectionTest, AReplyMayComeByteByByte) {
  Ask(1);
  Ask(2);
  for (char byte : std::string("$4\r\n\r\n\r\n\r\n:5\r\n")) {
    EXPECT_TRUE(Answer(std::string_view(&byte, 1)).ok());
  }
  EXPECT_EQ(replies_, (Replies{{1, "$4\r\n\r\n\r\n\r\n"}, {2, ":5\r\n"}}));
}

TEST_F(LoadConnectionTest, AReplyNobodyAskedForIsAnError) {
  EXPECT_EQ(Answer("+OK\r\n").code(), absl::StatusCode::kDataLoss);
}

TEST_F(LoadConnectionTest, WhatIsNoReplyIsAnError) {
  Ask(1);
  EXPECT_EQ(Answer("GET x\r\n").code(), absl::StatusCode::kDataLoss);
}

TEST_F(LoadConnectionTest, AnEndBehindTheLastReplyIsNotMissed) {
  Ask(1);
  send(server_.get(), "+OK\r\n", 5, MSG_NOSIGNAL);
  server_.Close();
  pollfd closed = {.fd = connection_.fd(), .events = POLLRDHUP, .revents = 0};
  poll(&closed, 1, 5000);
  int replies = 0;
  absl::Status status = connection_.Receive(
      /*ending=*/true, [&replies](const LoadRequest&, std::string_view) { ++replies; });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(replies, 1);
}

TEST_F(LoadConnectionTest, ClosingTellsWhichRequestsAreLost) {
  Ask(1);
  Ask(2);
  EXPECT_TRUE(Answer("+OK\r\n").ok());
  server_.Close();
  EXPECT_EQ(Answer("").code(), absl::StatusCode::kUnavailable);
  std::deque<LoadRequest> lost = connection_.Close();
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].key, 2u);
  EXPECT_FALSE(connection_.connected());
}

}  // namespace
}  // namespace rcproxy::benchmarks
