// Replies that are passed on while they arrive, and clients that do not read them.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

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

struct Question final : InternalReply {
  explicit Question(bool yields) : yields_(yields) {}
  void OnReply(std::string_view) override { ++replies; }
  void OnLost() override { ++losses; }
  bool yields() const override { return yields_; }

  const bool yields_;
  int replies = 0;
  int losses = 0;
};

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
    while (sent < long_reply_.size() && !first_.stalled()) {
      Reply(long_reply_.substr(sent, 20'000));
      sent += 20'000;
    }
    return sent;
  }
  void Ask(Question& question) {
    Request* request = sim.resources.NewRequest();
    request->sink = Request::Sink::kInternal;
    request->internal = &question;
    std::memcpy(link().Accept(request, kGetB.size()), kGetB.data(), kGetB.size());
  }
  // Reads until it has all of the long reply.
  void TakeLongReply() {
    std::string got;
    for (int i = 0; i < 1000 && got.size() < long_reply_.size(); ++i) {
      got += client.Take();
      Settle();
    }
    EXPECT_TRUE(got == long_reply_);
  }
  UpstreamConnection& first_ = link();
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
  ClientForTest next(sim.resources);
  Send(link(), kGetB, &next);
  Settle();
  const size_t sent = ReplyUntilStalled();
  ASSERT_TRUE(first_.stalled());
  EXPECT_EQ(&first_, &link()) << "it is shared";
  Reply(long_reply_.substr(sent) + "+b\r\n");
  sim.RunFor(100 * kMillisecond);
  EXPECT_GE(client.replies.output().bytes(), 100'000u);
  EXPECT_LT(client.replies.output().bytes(), 200'000u);
  first_.CheckTimeout(sim.io.NowNs() + 3600 * kSecond);
  EXPECT_EQ(first_.state(), State::kReady) << "the node is not to blame";
  EXPECT_EQ(next.Take(), "-lost\r\n") << "nor may others wait for as long as that client likes";
  TakeLongReply();
  EXPECT_FALSE(first_.stalled());
  EXPECT_EQ(next.Take(), "");
}

TEST_F(StreamingTest, ASlowClientBehindWhichNobodyWaitsGetsTheConnectionForItself) {
  sim.config.client_stall_timeout_ms = 200;
  Send(kGetA);
  Settle();
  const size_t sent = ReplyUntilStalled();
  ASSERT_TRUE(first_.stalled());
  EXPECT_NE(&first_, &link());
  EXPECT_EQ(sim.stats.connections_set_aside.value(), 1u);
  EXPECT_LE(client.replies.output().bytes(), 70'000u);
  first_.CheckStall(sim.io.NowNs() + 3600 * kSecond);
  EXPECT_FALSE(client.replies.broken()) << "nobody waits behind it";
  Send(kGetB);
  Settle();
  ASSERT_EQ(node.connections(), 2u);
  node.peer(0).Write(long_reply_.substr(sent));
  TakeLongReply();
  Reply("+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
  Settle();
  EXPECT_EQ(first_.state(), State::kIdle) << "it closes after its reply";
}

// Who asks what another node can tell as well is not in the way.
TEST_F(StreamingTest, AQuestionThatYieldsIsGivenUpForAClient) {
  Question other(true);
  Question first(true);
  Question second(true);
  Ask(other);
  Send(kGetA);
  Ask(first);
  Ask(second);
  Settle();
  Reply("+other\r\n");
  const size_t sent = ReplyUntilStalled();
  ASSERT_TRUE(first_.stalled());
  EXPECT_NE(&first_, &link());
  EXPECT_EQ(other.replies, 1);
  EXPECT_EQ(first.losses, 1);
  EXPECT_EQ(second.losses, 1);
  Reply(long_reply_.substr(sent) + "+first\r\n+second\r\n");
  TakeLongReply();
  Settle();
  EXPECT_EQ(first.replies + second.replies, 0);
  EXPECT_EQ(first_.state(), State::kIdle) << "all that it owed has come";
}

TEST_F(StreamingTest, AQuestionThatDoesNotYieldIsAsGoodAsAClient) {
  Question question(false);
  Send(kGetA);
  Ask(question);
  Settle();
  const size_t sent = ReplyUntilStalled();
  EXPECT_EQ(&first_, &link()) << "it is shared";
  Reply(long_reply_.substr(sent) + "+b\r\n");
  TakeLongReply();
  EXPECT_EQ(question.replies, 1);
}

TEST_F(StreamingTest, AtTheLimitOfConnectionsNoneIsSetAside) {
  sim.config.own_connections_max = 0;
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  EXPECT_EQ(&first_, &link());
  EXPECT_GE(client.replies.output().bytes(), 100'000u);
}

TEST_F(StreamingTest, AConnectionThatWasSetAsideClosesWhenItsClientLeaves) {
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  client.Leave();
  Settle();
  EXPECT_EQ(first_.state(), State::kIdle);
  EXPECT_EQ(sim.stats.upstream_failures.value(), 0u);
  upstream.SweepLinks(0);
  EXPECT_FALSE(upstream.NeedsSweep());
}

TEST_F(StreamingTest, AClientThatMakesNoProgressWhileOthersWaitIsBroken) {
  sim.config.client_stall_timeout_ms = 200;
  Send(kGetA);
  Send(kGetB);
  Settle();
  ReplyUntilStalled();
  link().CheckStall(link().stalled_since_ns + 199 * kMillisecond);
  EXPECT_FALSE(client.replies.broken());
  link().CheckStall(link().stalled_since_ns + 200 * kMillisecond);
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
  ASSERT_TRUE(first_.stalled());
  node.peer(0).Close();
  for (int i = 0; i < 100 && observer.lost.empty(); ++i) {
    client.Take();
    Settle();
  }
  EXPECT_EQ(observer.lost.size(), 1u);
  EXPECT_FALSE(first_.stalled());
}

TEST_F(StreamingTest, FailingWhileStalledLetsGoOfTheClient) {
  Send(kGetA);
  Settle();
  ReplyUntilStalled();
  ASSERT_TRUE(first_.stalled());
  first_.Fail("test");
  EXPECT_FALSE(first_.stalled());
  EXPECT_FALSE(client.replies.stalled());
  EXPECT_TRUE(client.replies.broken());
}

}  // namespace
}  // namespace rcproxy::proxy
