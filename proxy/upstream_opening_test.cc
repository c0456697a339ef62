// How a connection to a node comes to be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

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

class UpstreamOpeningTest : public testing::Test, public LinkForTest {
 protected:
  UpstreamOpeningTest() = default;
  explicit UpstreamOpeningTest(const sim::SimIoOptions& options) : LinkForTest(options) {}
  // Sends to a node that does not answer. Requires: connect_timeout is 300 ms.
  void ExpectGivenUpAfterTheConnectTimeout() {
    sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
    Send(kGetA);
    sim.RunFor(299 * kMillisecond);
    EXPECT_EQ(link().state(), State::kConnecting);
    sim.RunFor(3 * kMillisecond);
    EXPECT_EQ(link().state(), State::kIdle);
    EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
    EXPECT_THAT(observer.failures, ElementsAre("connect timeout"));
    EXPECT_EQ(sim.io.open_descriptors(), 0u);
  }
  uint64_t connect_failures() { return sim.stats.upstream_connect_failures.value(); }
};

TEST_F(UpstreamOpeningTest, ConnectsWhenItIsFirstNeeded) {
  EXPECT_EQ(link().state(), State::kIdle);
  Send(kGetA);
  EXPECT_EQ(link().state(), State::kConnecting);
  EXPECT_TRUE(link().HasRequests());
  Settle();
  EXPECT_EQ(link().state(), State::kReady);
  EXPECT_EQ(node.Take(), kGetA);
  link().CheckInvariants();
  Reply("$1\r\n1\r\n");
  EXPECT_EQ(client.Take(), "$1\r\n1\r\n");
  EXPECT_FALSE(link().HasRequests());
  EXPECT_EQ(sim.stats.upstream_connections.value(), 1u);
}

TEST_F(UpstreamOpeningTest, WhatWaitsForTheConnectionKeepsItsOrder) {
  for (int i = 0; i < 50; ++i) Send(Multibulk({"GET", std::to_string(i)}));
  std::string expected;
  for (int i = 0; i < 50; ++i) expected += Multibulk({"GET", std::to_string(i)});
  Settle();
  EXPECT_EQ(node.Take(), expected);
}

TEST_F(UpstreamOpeningTest, ARefusedConnectionLosesRequestsUnsentAndIsLeftAloneForAMoment) {
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kRefuse);
  Send(kGetA);
  Send(kGetB);
  Settle();
  EXPECT_EQ(link().state(), State::kIdle);
  EXPECT_THAT(observer.lost, ElementsAre("a unsent", "b unsent"));
  EXPECT_THAT(observer.failures, ElementsAre("Connection refused"));
  EXPECT_EQ(connect_failures(), 1u);
  EXPECT_FALSE(link().CanAccept());
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kAccept);
  sim.RunUntil([this] { return link().CanAccept(); });
  Open();
  EXPECT_EQ(link().state(), State::kReady);
}

TEST_F(UpstreamOpeningTest, ASilentNodeIsGivenUpAfterTheConnectTimeout) {
  sim.config.connect_timeout_ms = 300;
  ExpectGivenUpAfterTheConnectTimeout();
}

// As the kernel would not: it waits for a second before it asks again.
TEST_F(UpstreamOpeningTest, ANodeThatCanBeReachedAgainIsFoundSoon) {
  Open();
  link().CloseIdle();
  sim.RunUntil([this] { return link().state() == State::kIdle; });
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  Send(kGetA);
  sim.RunFor(330 * kMillisecond);
  EXPECT_EQ(link().state(), State::kConnecting);
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kAccept);
  sim.RunFor(70 * kMillisecond);
  EXPECT_EQ(link().state(), State::kReady);
  EXPECT_EQ(node.Take(), kGetA);
  EXPECT_EQ(sim.io.open_descriptors(), 1u);
  EXPECT_EQ(connect_failures(), 0u);
}

TEST_F(UpstreamOpeningTest, ConnectsThatAreBegunAnewEndAfterTheConnectTimeoutAllTheSame) {
  sim.config.connect_timeout_ms = 300;
  Open();
  link().CloseIdle();
  sim.RunUntil([this] { return link().state() == State::kIdle; });
  ExpectGivenUpAfterTheConnectTimeout();
}

TEST_F(UpstreamOpeningTest, ANodeThatWasNeverReachedIsGivenMoreTimeAtEachConnect) {
  sim.config.connect_timeout_ms = 2000;
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  Send(kGetA);
  sim.RunFor(370 * kMillisecond);  // 50, 100 and 200 ms are over, the fourth has 400.
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kAccept);
  sim.RunFor(370 * kMillisecond);
  EXPECT_EQ(link().state(), State::kConnecting);
  sim.RunFor(20 * kMillisecond);
  EXPECT_EQ(link().state(), State::kReady);
}

TEST_F(UpstreamOpeningTest, ClosingWhileConnectingLeavesNothingBehind) {
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  Send(kGetA);
  sim.RunFor(10 * kMillisecond);
  link().Fail("no longer wanted");
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_EQ(link().state(), State::kClosing);
  EXPECT_FALSE(link().CanAccept());
  Settle();
  EXPECT_EQ(link().state(), State::kIdle);
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
  EXPECT_EQ(sim.stats.upstream_connections.value(), 0u);
}

// The connection may stand at the very moment at which it is given up.
TEST_F(UpstreamOpeningTest, ClosingWhileTheConnectionIsAcceptedLeavesNothingBehind) {
  for (int64_t after_ns = 0; after_ns < 200'000; after_ns += 7'000) {
    sim.RunUntil([this] { return link().CanAccept(); });
    Send(kGetA);
    if (after_ns > 0) sim.RunFor(after_ns);
    link().Fail("no longer wanted");
    sim.RunUntil([this] { return link().state() == State::kIdle; });
    EXPECT_EQ(sim.io.open_descriptors(), 0u) << after_ns;
    EXPECT_FALSE(link().HasRequests());
    client.Take();
  }
}

class WithoutDescriptorsTest : public UpstreamOpeningTest {
 protected:
  WithoutDescriptorsTest() : UpstreamOpeningTest({.open_failure_one_in = 1}) {}
};

TEST_F(WithoutDescriptorsTest, LosesTheRequestUnsent) {
  Send(kGetA);
  Settle();
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_THAT(observer.failures, ElementsAre("Too many open files"));
  EXPECT_EQ(link().state(), State::kIdle);
  EXPECT_FALSE(link().CanAccept());
}

TEST_F(UpstreamOpeningTest, WhatWaitsForTheConnectionCanBeTakenBack) {
  sim.network.SetConnectMode(kAddress, sim::ConnectMode::kSilent);
  Send(kGetA);
  Send(kGetB);
  Settle();
  link().ReleaseWaiting();
  EXPECT_THAT(observer.lost, ElementsAre("a unsent", "b unsent"));
  EXPECT_FALSE(link().HasRequests());
  EXPECT_EQ(link().state(), State::kConnecting);
  sim.RunFor(2 * kSecond);
  EXPECT_EQ(link().state(), State::kIdle);
}

TEST_F(UpstreamOpeningTest, WhatIsUnderWayIsNotTakenBack) {
  Open();
  Send(kGetA);
  link().ReleaseWaiting();
  EXPECT_THAT(observer.lost, IsEmpty());
}

// ---- the greeting

TEST_F(UpstreamOpeningTest, AuthenticatesBeforeTheFirstRequest) {
  sim.config.upstream_password = "secret";
  Send(kGetA);
  Settle();
  EXPECT_EQ(link().state(), State::kHandshaking);
  EXPECT_EQ(node.Take(), Multibulk({"AUTH", "secret"}));
  Reply("+O");
  Reply("K\r\n");
  EXPECT_EQ(link().state(), State::kReady);
  EXPECT_EQ(node.Take(), kGetA);
}

TEST_F(UpstreamOpeningTest, GreetsAReplicaWithUserPasswordAndReadOnly) {
  sim.config.upstream_username = "user";
  sim.config.upstream_password = "secret";
  Send(replica(), kGetA, &client);
  Settle();
  EXPECT_EQ(node.Take(), Multibulk({"AUTH", "user", "secret"}) + Multibulk({"READONLY"}));
  Reply("+OK\r\n");
  EXPECT_EQ(replica().state(), State::kHandshaking);
  Reply("+OK\r\n");
  EXPECT_EQ(replica().state(), State::kReady);
  EXPECT_EQ(node.Take(), kGetA);
}

TEST_F(UpstreamOpeningTest, ARefusedGreetingLosesRequestsUnsent) {
  sim.config.upstream_password = "wrong";
  Send(kGetA);
  Settle();
  Reply("-WRONGPASS invalid username-password pair\r\n");
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_THAT(
      observer.failures,
      ElementsAre("the node refused the greeting: -WRONGPASS invalid username-password pair"));
  EXPECT_EQ(connect_failures(), 1u);
  EXPECT_FALSE(link().CanAccept());
}

TEST_F(UpstreamOpeningTest, AGreetingWithoutAnswerIsGivenUpAfterTheConnectTimeout) {
  sim.config.upstream_password = "secret";
  Send(kGetA);
  sim.RunFor(kSecond + 2 * kMillisecond);
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_THAT(observer.failures, ElementsAre("connect timeout"));
}

// Whatever a node says too much, a client must not take it for the reply to its request.
// A process that has stopped is not seen to be gone: the kernel accepts for it.
TEST_F(UpstreamOpeningTest, ANodeThatHasBeenSilentGetsNothingBeforeItHasAnsweredAPing) {
  upstream.NoteSilence();
  Send(kGetA);
  Settle();
  EXPECT_EQ(node.Take(), Multibulk({"PING"}));
  EXPECT_EQ(link().state(), State::kHandshaking);
  EXPECT_EQ(sim.stats.upstream_probes.value(), 1u);
  Reply("-LOADING whatever it says, it lives\r\n");
  EXPECT_EQ(link().state(), State::kReady);
  EXPECT_EQ(node.Take(), kGetA);
  EXPECT_FALSE(upstream.is_silent());
}

TEST_F(UpstreamOpeningTest, ANodeThatStaysSilentLosesRequestsUnsent) {
  upstream.NoteSilence();
  Send(kGetA);
  sim.RunFor((sim.config.connect_timeout_ms + 10) * kMillisecond);
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_TRUE(upstream.is_silent());
}

TEST_F(UpstreamOpeningTest, TheSignOfLifeComesBeforeTheRestOfTheGreeting) {
  sim.config.upstream_password = "secret";
  upstream.NoteSilence();
  Send(kGetA);
  Settle();
  EXPECT_EQ(node.Take(), Multibulk({"PING"}) + Multibulk({"AUTH", "secret"}));
  Reply("-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(link().state(), State::kHandshaking);
  Reply("+OK\r\n");
  EXPECT_EQ(node.Take(), kGetA);
}

TEST_F(UpstreamOpeningTest, AReplyToWhatWasNotSentYetFailsTheConnection) {
  sim.config.upstream_password = "secret";
  Send(kGetA);
  Settle();
  Reply("+OK\r\n$5\r\nwrong\r\n");
  EXPECT_EQ(client.Take(), "-lost\r\n");
  EXPECT_THAT(observer.lost, ElementsAre("a unsent"));
  EXPECT_EQ(sim.stats.upstream_protocol_errors.value(), 1u);
}

}  // namespace
}  // namespace rcproxy::proxy
