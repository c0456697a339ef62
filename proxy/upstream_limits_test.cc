// For how long, and how much, waits for a node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using testing::ElementsAre;
using testing::IsEmpty;
using State = UpstreamConnection::State;

const std::string kGetA = Multibulk({"GET", "a"});
const std::string kGetB = Multibulk({"GET", "b"});
const std::string kGetC = Multibulk({"GET", "c"});
const std::string kAsking = Multibulk({"ASKING"});

class UpstreamLimitsTest : public testing::Test, public LinkForTest {
 protected:
  UpstreamLimitsTest() { sim.config.request_timeout_ms = 1000; }
  ~UpstreamLimitsTest() override { second.Leave(); }

  void Tick() {
    link().CheckTimeout(sim.io.NowNs());
    link().CheckInvariants();
  }
  uint64_t overdue() { return sim.stats.requests_overdue.value(); }
  uint64_t not_sent() { return sim.stats.requests_not_sent.value(); }

  ClientForTest second{sim.resources};
};

// ---- time

TEST_F(UpstreamLimitsTest, ANodeThatAnswersOthersDoesNotMakeAClientWaitLonger) {
  Open();
  Send(kGetA);
  Send(kGetB);
  sim.RunFor(600 * kMillisecond);
  Send(kGetC);
  sim.RunFor(300 * kMillisecond);
  Reply(Bulk("1"));
  sim.RunFor(80 * kMillisecond);
  Tick();
  EXPECT_THAT(observer.lost, IsEmpty());
  sim.RunFor(50 * kMillisecond);
  Tick();
  EXPECT_THAT(observer.fates, ElementsAre(Fate::kUnknown)) << "b; c has time left";
  EXPECT_EQ(overdue(), 1u);
  EXPECT_EQ(link().state(), State::kReady) << "the node is not silent";
  EXPECT_EQ(client.Take(), Bulk("1") + "-lost\r\n");
  Reply(Bulk("2") + Bulk("3"));
  EXPECT_EQ(client.Take(), Bulk("3")) << "the late reply goes nowhere";
}

TEST_F(UpstreamLimitsTest, ANodeThatSaysNothingIsGivenUpAsAWhole) {
  Open();
  Send(kGetA);
  sim.RunFor(500 * kMillisecond);
  Send(kGetB);
  sim.RunFor(501 * kMillisecond);
  Tick();
  EXPECT_THAT(observer.lost, ElementsAre("a sent", "b sent"));
  EXPECT_THAT(observer.failures, ElementsAre("no reply in time"));
  EXPECT_EQ(overdue(), 0u);
}

TEST_F(UpstreamLimitsTest, OneThatWasElsewhereBeforeIsOlderThanThoseBeforeIt) {
  Open();
  Request* old = NewRequest(&client);
  old->issued_ns = sim.io.NowNs();
  old->redirects = 1;
  sim.RunFor(900 * kMillisecond);
  Request* young = NewRequest(&second);
  young->issued_ns = sim.io.NowNs();
  std::memcpy(link().Accept(young, kGetA.size()), kGetA.data(), kGetA.size());
  const Staging::Block block = sim.resources.upstream_staging.Take(kGetB.size(), kGetB.size());
  std::memcpy(block.begin, kGetB.data(), kGetB.size());
  old->bytes = uring::Slice::Adopt(block.chunk, block.begin, kGetB.size());
  link().AcceptAgain(old);
  sim.RunFor(101 * kMillisecond);
  Tick();
  EXPECT_EQ(client.Take(), "-lost\r\n");
  Reply(Bulk("1") + Bulk("2"));
  EXPECT_EQ(second.Take(), Bulk("1"));
  EXPECT_EQ(client.Take(), "");
}

TEST_F(UpstreamLimitsTest, AllRepliesOfAnOverdueUnitGoNowhere) {
  Open();
  const std::string unit = Multibulk({"MULTI"}) + kGetA + Multibulk({"EXEC"});
  Send(unit)->is_unit = true;
  sim.RunFor(990 * kMillisecond);
  Reply("+OK\r\n");
  Send(kGetB);
  sim.RunFor(20 * kMillisecond);
  Tick();
  EXPECT_EQ(client.Take(), "-lost\r\n");
  Reply("+QUEUED\r\n*1\r\n" + Bulk("1") + Bulk("2"));
  EXPECT_EQ(client.Take(), Bulk("2"));
}

TEST_F(UpstreamLimitsTest, OneThatWaitsForTheConnectionIsNotSentAfterItsTime) {
  sim.config.connect_timeout_ms = 5000;
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  Send(kGetA);
  sim.RunFor(1001 * kMillisecond);
  Tick();
  EXPECT_THAT(observer.fates, ElementsAre(Fate::kUnsent));
  EXPECT_EQ(client.Take(), "-lost\r\n");
  EXPECT_EQ(link().state(), State::kConnecting);
  link().Fail("the test goes on");
  EXPECT_THAT(observer.fates, ElementsAre(Fate::kUnsent));
}

TEST_F(UpstreamLimitsTest, AReplyThatHasBegunToReachItsClientMayTakeLonger) {
  sim.config.stream_reply_bytes_min = 16;
  Open();
  Send(kGetA);
  Reply("$1000\r\n" + std::string(500, 'x'));
  EXPECT_NE(client.Take(), "");
  sim.RunFor(900 * kMillisecond);
  Reply(std::string(100, 'x'));
  sim.RunFor(900 * kMillisecond);
  Tick();
  EXPECT_THAT(observer.lost, IsEmpty());
  Reply(std::string(400, 'x') + "\r\n");
  client.Take();
  EXPECT_FALSE(link().HasRequests());
}

// ---- what nobody waits for

TEST_F(UpstreamLimitsTest, WhatHasNotLeftWhenItsClientGoesIsNotSent) {
  Open();
  Send(link(), kGetA, &second);
  Send(kGetB);
  Send(link(), kGetC, &second);
  second.Leave();
  Settle();
  EXPECT_EQ(node.Take(), kGetB);
  EXPECT_EQ(not_sent(), 2u);
  EXPECT_EQ(link().in_flight(), 1u);
  link().CheckInvariants();
  Reply(Bulk("2"));
  EXPECT_EQ(client.Take(), Bulk("2"));
}

TEST_F(UpstreamLimitsTest, WhatHasLeftStaysWhereItIs) {
  Open();
  Send(link(), kGetA, &second);
  Settle();
  Send(kGetB);
  second.Leave();
  Settle();
  EXPECT_EQ(node.Take(), kGetA + kGetB);
  EXPECT_EQ(not_sent(), 0u);
  Reply(Bulk("1") + Bulk("2"));
  EXPECT_EQ(client.Take(), Bulk("2"));
}

TEST_F(UpstreamLimitsTest, AskingGoesWithWhatItWasFor) {
  Open();
  link().AcceptIgnored(kAsking);
  Send(link(), kGetA, &second);
  link().AcceptIgnored(kAsking);
  Send(kGetB);
  second.Leave();
  Settle();
  EXPECT_EQ(node.Take(), kAsking + kGetB);
  EXPECT_EQ(not_sent(), 2u);
  Reply("+OK\r\n" + Bulk("2"));
  EXPECT_EQ(client.Take(), Bulk("2"));
}

TEST_F(UpstreamLimitsTest, WhatTheNodeHasHeardAskingForIsSent) {
  Open();
  link().AcceptIgnored(kAsking);
  Settle();
  Send(link(), kGetA, &second);
  Send(link(), kGetC, &second);
  Send(kGetB);
  second.Leave();
  Settle();
  EXPECT_EQ(node.Take(), kAsking + kGetA + kGetB);
  EXPECT_EQ(not_sent(), 1u);
  Reply("+OK\r\n" + Bulk("1") + Bulk("2"));
  EXPECT_EQ(client.Take(), Bulk("2"));
}

// Long commands are not copied: they lie in several segments, of which the kernel has the first.
TEST_F(UpstreamLimitsTest, TheRestMovesUpWhateverItsLength) {
  Open();
  node.peer().SetReading(false);
  const std::string long_b = Multibulk({"SET", "b", std::string(400 << 10, 'b')});
  const std::string long_c = Multibulk({"SET", "c", std::string(5000, 'c')});
  Send(long_b);
  Settle();  // A part of it is in the kernel.
  Send(link(), long_c, &second);
  Send(kGetA);
  Send(link(), long_c, &second);
  second.Leave();
  Settle();
  node.peer().SetReading(true);
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(node.Take(), long_b + kGetA);
  EXPECT_EQ(not_sent(), 2u);
  link().CheckInvariants();
  Reply("+OK\r\n" + Bulk("1"));
  EXPECT_EQ(client.Take(), "+OK\r\n" + Bulk("1"));
}

// ---- space

TEST_F(UpstreamLimitsTest, ItIsFullUntilHalfHasBeenAnswered) {
  sim.config.upstream_queue_bytes_max = 12 * sizeof(Request);
  Open();
  for (int i = 0; i < 10; ++i) Send(kGetA);
  Settle();
  EXPECT_FALSE(link().is_full());
  for (int i = 0; i < 3; ++i) Send(kGetA);
  Settle();
  EXPECT_TRUE(link().is_full());
  EXPECT_TRUE(upstream.is_full());
  EXPECT_EQ(sim.resources.full_links, 1u);
  for (int i = 0; i < 6; ++i) Reply(Bulk("1"));
  Settle();
  EXPECT_TRUE(link().is_full()) << "or clients would come and go at each reply";
  Reply(Bulk("1"));
  Settle();
  EXPECT_FALSE(link().is_full());
  EXPECT_EQ(sim.resources.full_links, 0u);
}

TEST_F(UpstreamLimitsTest, WhatTheNodeDoesNotTakeCountsByItsBytes) {
  sim.config.upstream_queue_bytes_max = 64 << 10;
  Open();
  node.peer().SetReading(false);
  Send(Multibulk({"SET", "b", std::string(200 << 10, 'b')}));
  Settle();
  EXPECT_FALSE(upstream.is_full()) << "the kernel has them";
  for (int i = 0; i < 30; ++i) Send(Multibulk({"SET", "b", std::string(5000, 'b')}));
  Settle();
  EXPECT_TRUE(upstream.is_full());
  link().Fail("the test goes on");
  sim.RunUntil([this] { return link().state() == State::kIdle; });
  EXPECT_FALSE(upstream.is_full());
}

TEST_F(UpstreamLimitsTest, ItIsFullWhenManyWaitForItToOpen) {
  sim.config.hold_requests_max = 8;
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  for (int i = 0; i < 4; ++i) Send(kGetA);
  EXPECT_FALSE(upstream.is_full());
  EXPECT_EQ(upstream.waiting().requests, 4u);
  EXPECT_EQ(upstream.waiting().bytes, 4 * kGetA.size());
  Send(kGetA);
  EXPECT_TRUE(upstream.is_full());
  link().Fail("the test goes on");
  sim.RunUntil([this] { return link().state() == State::kIdle; });
  EXPECT_FALSE(upstream.is_full());
  EXPECT_EQ(upstream.waiting().requests, 0u);
  EXPECT_EQ(upstream.waiting().bytes, 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
