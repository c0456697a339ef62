// Replies that are passed on while they arrive, and clients that do not read them.
#include <gtest/gtest.h>

#include <string>

#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using State = UpstreamConnection::State;

const std::string kGetA = Multibulk({"GET", "a"});
const std::string kGetB = Multibulk({"GET", "b"});

class StreamingTest : public testing::Test, public LinkForTest {
 protected:
  StreamingTest() {
    sim.config.stream_reply_bytes_min = 10'000;
    sim.config.client_output_soft_bytes = 50'000;
    sim.config.client_output_hard_bytes = 200'000;
    Open();
  }
  // The node sends the long reply as fast as it is read, until nobody reads. Returns how far.
  size_t ReplyUntilStalled(size_t from = 0) {
    size_t sent = from;
    while (sent < long_reply_.size() && !link().stalled()) {
      Reply(long_reply_.substr(sent, 20'000));
      sent += 20'000;
    }
    return sent;
  }
  const std::string long_reply_ = Bulk(std::string(1'000'000, 'v'));
};

TEST_F(StreamingTest, ALongReplyIsPassedOnWhileItArrives) {
  Send(kGetA);
  Settle();
  Reply(long_reply_.substr(0, 9'000));
  EXPECT_FALSE(client.HasOutput()) << "not long yet";
  Reply(long_reply_.substr(9'000, 20'000));
  EXPECT_EQ(client.Take(), long_reply_.substr(0, 29'000));
  Reply(long_reply_.substr(29'000, 100));
  EXPECT_EQ(client.Take(), long_reply_.substr(29'000, 100));
  Reply(long_reply_.substr(29'100));
  std::string rest;
  while (rest.size() < long_reply_.size() - 29'100) {
    rest += client.Take();
    Settle();
  }
  EXPECT_EQ(rest, long_reply_.substr(29'100));
}

TEST_F(StreamingTest, AReplyWhoseTurnHasNotComeIsNotPassedOn) {
  SimForTest* const loop = &sim;
  NodeForTest other_node(loop->network, "10.0.0.2:7000");
  UpstreamNode other(sim.resources, observer, resolver, {"10.0.0.2", 7000});
  Send(other.primary_link(), kGetA, &client);
  Send(link(), kGetB, &client);
  Settle();
  Reply(long_reply_.substr(0, 50'000));
  EXPECT_FALSE(client.HasOutput());
  other_node.Reply("+first\r\n");
  Settle();
  Reply(long_reply_.substr(50'000, 1));
  EXPECT_EQ(client.Take(), "+first\r\n" + long_reply_.substr(0, 50'001));
  other.primary_link().Fail("over");
  sim.RunUntil([&] { return other.IsQuiet(); });
}

TEST_F(StreamingTest, ASlowClientStopsTheNodeAndNotTheMemory) {
  Send(kGetA);
  Settle();
  const size_t sent = ReplyUntilStalled();
  ASSERT_TRUE(link().stalled());
  Reply(long_reply_.substr(sent));
  sim.RunFor(100 * kMillisecond);
  EXPECT_LT(client.replies.output().bytes(), 200'000u);
  link().CheckTimeout(sim.io.NowNs() + 3600 * kSecond);
  EXPECT_EQ(link().state(), State::kReady) << "the node is not to blame";
  std::string got;
  for (int i = 0; i < 1000 && got.size() < long_reply_.size(); ++i) {
    got += client.Take();
    Settle();
  }
  EXPECT_TRUE(got == long_reply_);
  EXPECT_FALSE(link().stalled());
}

TEST_F(StreamingTest, AClientThatMakesNoProgressIsBroken) {
  sim.config.client_stall_timeout_ms = 200;
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  link().CheckStall(client.replies.stalled_since_ns() + 199 * kMillisecond);
  EXPECT_FALSE(client.replies.broken());
  link().CheckStall(client.replies.stalled_since_ns() + 200 * kMillisecond);
  EXPECT_TRUE(client.replies.broken());
  EXPECT_EQ(sim.stats.clients_closed_output_limit.value(), 1u);
}

TEST_F(StreamingTest, WhenASlowClientLeavesTheNextOneIsServed) {
  ClientForTest next(sim.resources);
  Send(link(), kGetA, &client);
  Send(link(), kGetB, &next);
  Settle();
  const size_t sent = ReplyUntilStalled();
  ASSERT_TRUE(link().stalled());
  Reply(long_reply_.substr(sent) + "+b\r\n");
  client.Leave();
  EXPECT_FALSE(link().stalled());
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(next.Take(), "+b\r\n");
  EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
}

TEST_F(StreamingTest, ANodeThatDiesInTheMiddleOfALongReplyBreaksTheClient) {
  Send(kGetA);
  Send(kGetB);
  Settle();
  Reply(long_reply_.substr(0, 50'000));
  client.Take();
  node.peer().Close();
  Settle();
  EXPECT_TRUE(client.replies.broken());
  EXPECT_EQ(sim.stats.clients_closed_partial_reply.value(), 1u);
  EXPECT_EQ(observer.lost.size(), 2u);
}

TEST_F(StreamingTest, ANodeThatDiesWhileWeAreStalledIsNoticedInTheEnd) {
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  ASSERT_TRUE(link().stalled());
  node.peer().Close();
  for (int i = 0; i < 100 && observer.lost.empty(); ++i) {
    client.Take();
    Settle();
  }
  EXPECT_EQ(observer.lost.size(), 1u);
  EXPECT_FALSE(link().stalled());
}

TEST_F(StreamingTest, FailingWhileStalledLetsGoOfTheClient) {
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  ASSERT_TRUE(link().stalled());
  link().Fail("test");
  EXPECT_FALSE(link().stalled());
  EXPECT_FALSE(client.replies.stalled());
  EXPECT_TRUE(client.replies.broken());
}

}  // namespace
}  // namespace rcproxy::proxy
