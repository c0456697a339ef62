#include "proxy/joined_reply.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "proxy/operation.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class AskAll final : public Operation {
  void Next(std::span<const std::string_view>, Round* round) override {
    for (const uint16_t slot : {3300, 7365, 15495}) round->AskSlotJoined(slot, Wire("KEYS *"));
  }
};

class JoinedReplyTest : public testing::Test, public RouterForTest {
 protected:
  JoinedReplyTest() {
    sim.config.client_output_soft_bytes = 50'000;
    sim.config.client_output_hard_bytes = 400'000;
  }
  // Asks, and lets the nodes have the question.
  void Ask(ClientForTest* from) {
    router.Start(&from->replies, *cluster::FindCommand("keys"), std::make_unique<AskAll>());
    Settle();
    AnswerGreetings();
  }
  void Ask() { Ask(&client); }
  // A hundred bytes each.
  static std::string Body(size_t keys) {
    std::string body;
    for (size_t i = 0; i < keys; ++i) body += Bulk(std::string(93, 'k'));
    return body;
  }
  static std::string Header(size_t keys) { return "*" + std::to_string(keys) + "\r\n"; }
  // The node sends as fast as it is read, until nobody reads. Returns what it has not sent.
  std::string SendUntilUnread(NodeForTest& node, std::string bytes) {
    size_t before = 0;
    do {
      before = sim.stats.upstream_bytes_received.value();
      Reply(node, bytes.substr(0, 20'000));
      bytes.erase(0, 20'000);
    } while (!bytes.empty() && sim.stats.upstream_bytes_received.value() > before);
    return bytes;
  }
  // Reads as a client does that keeps up, until `size` bytes have come.
  std::string TakeAll(size_t size) {
    std::string got;
    for (int i = 0; i < 3000 && got.size() < size; ++i) {
      got += client.Take();
      Settle();
    }
    return got;
  }
  size_t open_connections() { return sim.stats.upstream_connections.value(); }
};

TEST_F(JoinedReplyTest, EveryCutGivesTheSame) {
  const std::string of_a = Header(3) + Bulk("-ERR") + Bulk("*1") + Bulk("c");
  for (size_t cut = 1; cut < of_a.size(); ++cut) {
    Ask();
    Reply(a, of_a.substr(0, cut));
    Reply(b, "*1\r\n");
    Reply(c, "*0\r\n");
    Reply(a, of_a.substr(cut));
    Reply(b, Bulk("d"));
    EXPECT_EQ(client.Take(), "*4\r\n" + of_a.substr(4) + Bulk("d")) << cut;
    EXPECT_EQ(client.replies.bytes(), 0u);
  }
}

TEST_F(JoinedReplyTest, WhatArrivesIsPassedOnWhenAllHeadersAreKnown) {
  Ask();
  Reply(a, Header(1000) + Body(500));
  Reply(c, Header(2) + Body(1));
  EXPECT_FALSE(client.HasOutput());
  Reply(b, Header(1));
  EXPECT_EQ(client.Take(), Header(1003) + Body(500));
  Reply(a, Body(300));
  EXPECT_EQ(client.Take(), Body(300));
  Reply(b, Body(1));
  Reply(c, Body(1));
  EXPECT_FALSE(client.HasOutput()) << "it is not their turn";
  Reply(a, Body(200));
  EXPECT_EQ(client.Take(), Body(203));
}

// However many keys a node has: it keeps them until they are wanted.
TEST_F(JoinedReplyTest, ANodeIsNotReadBeforeItsTurn) {
  Ask();
  const std::string rest_of_b = SendUntilUnread(b, Header(20'000) + Body(20'000));
  const std::string rest_of_c = SendUntilUnread(c, Header(20'000) + Body(20'000));
  EXPECT_GT(rest_of_b.size(), 1'800'000u);
  EXPECT_GT(rest_of_c.size(), 1'800'000u);
  Reply(a, Header(1) + Body(1));
  b.Reply(rest_of_b);
  c.Reply(rest_of_c);
  EXPECT_EQ(TakeAll(4'000'100 + 8), Header(40'001) + Body(40'001));
  EXPECT_EQ(client.replies.in_flight(), 0u);
}

TEST_F(JoinedReplyTest, AClientThatDoesNotReadStopsTheNodesAndNotTheMemory) {
  Ask();
  Reply(b, Header(1) + Body(1));
  Reply(c, Header(1) + Body(1));
  const std::string rest = SendUntilUnread(a, Header(20'000) + Body(20'000));
  EXPECT_GT(rest.size(), 1'800'000u);
  sim.RunFor(3600 * kSecond);
  table.ForEachNode([&](UpstreamNode& node) {
    node.ForEachLink([&](UpstreamConnection& link) {
      link.CheckTimeout(sim.io.NowNs());
      link.CheckStall(sim.io.NowNs());
    });
  });
  EXPECT_FALSE(client.replies.broken()) << "nobody else waits";
  a.Reply(rest);
  EXPECT_EQ(TakeAll(2'000'200 + 8), Header(20'002) + Body(20'002));
}

TEST_F(JoinedReplyTest, OthersAreServedMeanwhile) {
  OpenAll();
  Ask();
  Reply(a, Header(1000) + Body(1));
  ClientForTest other(sim.resources);
  Send(&other, "GET b");
  Settle();
  EXPECT_EQ(a.peer(0).Take(), Wire("GET b"));
  a.peer(0).Write("$1\r\nv\r\n");
  Settle();
  EXPECT_EQ(other.Take(), "$1\r\nv\r\n");
}

TEST_F(JoinedReplyTest, AnErrorIsTheReply) {
  Ask();
  Reply(b, Header(1000) + Body(1));
  Reply(a, "-NOPERM no\r\n");
  EXPECT_EQ(client.Take(), "-NOPERM no\r\n");
  EXPECT_EQ(client.replies.in_flight(), 0u);
  EXPECT_FALSE(b.peer().IsOpen()) << "nobody reads the rest";
  EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
  Ask();
  Reply(a, ":1\r\n");
  EXPECT_EQ(client.Take(), kErrorUnexpectedPart);
}

TEST_F(JoinedReplyTest, BeforeAnythingHasLeftALostNodeIsAskedAgain) {
  Ask();
  Reply(a, "*7\r");
  Reply(b, Header(1) + Body(1));
  a.peer().Close();
  sim.RunFor(sim.config.retry_delay_ms * kMillisecond + 50 * kMillisecond);
  AnswerGreetings();
  EXPECT_EQ(a.Take(), Wire("KEYS *"));
  Reply(c, Header(1) + Body(1));
  EXPECT_FALSE(client.HasOutput());
  Reply(a, Header(2) + Body(2));
  EXPECT_EQ(client.Take(), Header(4) + Body(4));
}

TEST_F(JoinedReplyTest, AfterwardsTheClientIsBroken) {
  Ask();
  Reply(b, Header(9) + Body(1));
  Reply(a, Header(1) + Body(1));
  Reply(c, Header(1) + Body(1));
  EXPECT_FALSE(client.replies.broken());
  b.peer().Close();
  Settle();
  EXPECT_TRUE(client.replies.broken());
  EXPECT_EQ(sim.stats.clients_closed_partial_reply.value(), 1u);
}

TEST_F(JoinedReplyTest, AClientThatLeavesEndsIt) {
  for (const size_t of_c : {0, 1}) {
    auto leaving = std::make_unique<ClientForTest>(sim.resources);
    Ask(leaving.get());
    Reply(a, Header(20'000) + Body(10'000));
    Reply(b, Header(20'000) + Body(10'000));
    if (of_c > 0) Reply(c, Header(1));
    leaving->Leave();
    Settle();
    EXPECT_EQ(open_connections(), 0u);
    EXPECT_EQ(sim.resources.requests.live(), 0u);
    EXPECT_EQ(sim.stats.own_connections.value(), 0u);
    EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
  }
}

TEST_F(JoinedReplyTest, WhoDoesNotWantTheReplyGetsNone) {
  client.replies.SetMode(ReplyMode::kSkipNext);
  client.replies.SetMode(ReplyMode::kSkipNext);
  Ask();
  Reply(a, Header(2000) + Body(1000));
  for (NodeForTest* node : {&b, &c}) Reply(*node, Header(1) + Body(1));
  Reply(a, Body(1000));
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(client.replies.in_flight(), 0u);
  EXPECT_EQ(client.replies.bytes(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
