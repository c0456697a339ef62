#include "proxy/upstream_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"

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

class UpstreamConnectionTest : public testing::Test, public LinkForTest {
 protected:
  uint64_t failures() { return sim.stats.upstream_failures.value(); }
};

// ---- requests and replies

TEST_F(UpstreamConnectionTest, RequestsOfOneTurnLeaveInOneSendAndAreAnsweredInOrder) {
  Open();
  std::string expected_commands;
  std::string replies;
  for (int i = 0; i < 200; ++i) {
    const std::string key = "key" + std::to_string(i);
    Send(Multibulk({"GET", key}));
    expected_commands += Multibulk({"GET", key});
    replies += Bulk(key);
  }
  Settle();
  EXPECT_EQ(node.Take(), expected_commands);
  link().CheckInvariants();
  Reply(replies);
  EXPECT_EQ(client.Take(), replies);
}

TEST_F(UpstreamConnectionTest, SeveralClientsGetTheirOwnReplies) {
  Open();
  ClientForTest other(sim.resources);
  Send(link(), kGetA, &client);
  Send(link(), kGetB, &other);
  Send(link(), kGetC, &client);
  Settle();
  Reply("+a\r\n+b\r\n+c\r\n");
  EXPECT_EQ(client.Take(), "+a\r\n+c\r\n");
  EXPECT_EQ(other.Take(), "+b\r\n");
}

TEST_F(UpstreamConnectionTest, RepliesMayBeCutAnywhere) {
  const std::vector<std::string> replies{
      "+OK\r\n",     ":12\r\n", "$5\r\nhello\r\n", "$-1\r\n", "*2\r\n$1\r\na\r\n:1\r\n",
      "-ERR no\r\n", "*0\r\n",  "$0\r\n\r\n"};
  std::string all;
  for (const std::string& reply : replies) all += reply;
  Open();
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    for (size_t i = 0; i < replies.size(); ++i) Send(kGetA);
    Settle();
    Reply(all.substr(0, cut));
    Reply(all.substr(cut));
    ASSERT_EQ(client.Take(), all) << "cut at " << cut;
    ASSERT_FALSE(link().HasRequests());
  }
  for (size_t i = 0; i < replies.size(); ++i) Send(kGetA);
  Settle();
  for (const char byte : all) Reply({&byte, 1});
  EXPECT_EQ(client.Take(), all);
  EXPECT_EQ(failures(), 0u);
}

TEST_F(UpstreamConnectionTest, ALongCommandIsSentAsItIs) {
  Open();
  const std::string command = Multibulk({"SET", "k", std::string(100'000, 'v')});
  uring::Chunk* chunk = sim.resources.output_pool.TakeLarge(command.size());
  std::copy(command.begin(), command.end(), chunk->data);
  link().AcceptFrom(NewRequest(&client), chunk, {chunk->data, command.size()});
  uring::ChunkPool::Unref(chunk);
  Settle();
  EXPECT_EQ(node.Take(), command);
  Reply("+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  EXPECT_LT(sim.resources.output_pool.bytes_in_use(), 100'000u) << "the command is given back";
}

TEST_F(UpstreamConnectionTest, AReplyWithoutARequestFailsTheConnection) {
  Open();
  Reply("+surprise\r\n");
  EXPECT_EQ(link().state(), State::kIdle);
  EXPECT_THAT(observer.failures, ElementsAre("a reply without a request"));
  EXPECT_EQ(sim.stats.upstream_protocol_errors.value(), 1u);
  EXPECT_EQ(failures(), 1u);
}

TEST_F(UpstreamConnectionTest, AMalformedReplyFailsTheConnection) {
  for (const char* garbage : {"hello\r\n", "$x\r\n", "*1\r\nx", "$3\r\nabcdef", ":1x\r\n"}) {
    sim.RunUntil([this] { return link().CanAccept(); });
    Open();
    Send(kGetA);
    Send(kGetB);
    Settle();
    node.Take();
    Reply(garbage);
    EXPECT_EQ(client.Take(), "-lost\r\n-lost\r\n") << garbage;
    EXPECT_THAT(observer.lost, ElementsAre("a sent", "b sent")) << garbage;
    EXPECT_EQ(observer.failures.back().find("malformed reply: "), 0u) << observer.failures.back();
    observer.lost.clear();
    Settle();
  }
}

TEST_F(UpstreamConnectionTest, AfterAFailureANewConnectionStartsAfresh) {
  Open();
  Send(kGetA);
  Settle();
  Reply("*2\r\n$5\r\nhal");  // And there the node dies.
  node.peer().Close();
  Settle();
  EXPECT_EQ(client.Take(), "-lost\r\n");
  EXPECT_THAT(observer.failures, ElementsAre("closed by the node"));
  sim.RunUntil([this] { return link().CanAccept(); });
  Send(kGetB);
  sim.RunUntil([this] { return node.connections() == 2 && node.HasInput(); });
  Reply("+fresh\r\n");
  EXPECT_EQ(client.Take(), "+fresh\r\n");
}

TEST_F(UpstreamConnectionTest, APushIsNobodysReply) {
  Open();
  Send(kGetA);
  Settle();
  Reply(">2\r\n+invalidate\r\n*1\r\n+k\r\n+a\r\n>1\r\n+x");
  EXPECT_EQ(client.Take(), "+a\r\n");
  Send(kGetB);
  Settle();
  Reply("\r\n");
  Reply("+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
  EXPECT_EQ(failures(), 0u);
}

TEST_F(UpstreamConnectionTest, ALongPushIsNotStreamedToAClient) {
  Open();
  sim.config.stream_reply_bytes_min = 1000;
  Send(kGetA);
  Settle();
  const std::string push = ">2\r\n+message\r\n" + Bulk(std::string(5000, 'p'));
  Reply(push.substr(0, 3000));
  Reply(push.substr(3000) + "+a\r\n");
  EXPECT_EQ(client.Take(), "+a\r\n");
}

// ---- errors that say where to go

TEST_F(UpstreamConnectionTest, RedirectsAreOfferedWhereverTheyAreCut) {
  Open();
  observer.takes_errors = true;
  const std::string moved = "-MOVED 12182 10.0.0.2:7000\r\n";
  for (size_t cut = 0; cut < moved.size(); ++cut) {
    Send(kGetA);
    Settle();
    Reply(moved.substr(0, cut));
    Reply(moved.substr(cut));
    ASSERT_EQ(client.Take(), "+taken\r\n") << cut;
  }
  EXPECT_EQ(observer.errors,
            std::vector<cluster::ErrorKind>(moved.size(), cluster::ErrorKind::kMoved));
}

TEST_F(UpstreamConnectionTest, AnErrorThatNobodyTakesIsTheReply) {
  Open();
  const std::string error = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
  for (size_t cut = 0; cut < error.size(); ++cut) {
    Send(kGetA);
    Settle();
    Reply(error.substr(0, cut));
    Reply(error.substr(cut));
    ASSERT_EQ(client.Take(), error) << cut;
  }
}

TEST_F(UpstreamConnectionTest, OtherErrorsAndLongOnesAreTheReply) {
  Open();
  const std::string long_error = "-MOVED 1 10.0.0.2:7000 " + std::string(1000, 'x') + "\r\n";
  Send(kGetA);
  Send(kGetB);
  Settle();
  Reply("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
  for (size_t i = 0; i < long_error.size(); i += 100) Reply(long_error.substr(i, 100));
  EXPECT_EQ(client.Take(),
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n" + long_error);
  EXPECT_THAT(observer.errors, IsEmpty());
}

// ---- failures

TEST_F(UpstreamConnectionTest, WhatTheKernelNeverHadIsLostUnsent) {
  Open();
  Send(kGetA);
  sim.Turn(sim.io.NowNs() + 1);  // Hands GET a to the kernel.
  Send(kGetB);
  link().Fail("test");
  EXPECT_THAT(observer.lost, ElementsAre("a sent", "b unsent"));
}

// The node takes some bytes and stops reading: what lies in the kernel's hands may have arrived.
TEST_F(UpstreamConnectionTest, ARequestOfWhichAnyByteMayHaveArrivedIsNeverCalledUnsent) {
  sim::SimLink link_model;
  link_model.window_bytes = 700;
  link_model.short_send_one_in = 2;
  sim.network.default_link() = link_model;
  for (int round = 0; round < 30; ++round) {
    sim.RunUntil([this] { return link().CanAccept(); });
    Send(Multibulk({"GET", "open"}));
    sim.RunUntil([this] { return node.connected() && node.HasInput(); });
    node.Take();
    Reply("+OK\r\n");
    node.peer().SetReading(false);
    std::string all;
    std::vector<size_t> begins;
    for (int i = 0; i < 6; ++i) {
      begins.push_back(all.size());
      const std::string command = Multibulk({"SET", "k", std::string(300, '0' + i)});
      Send(command);
      all += command;
      sim.RunFor(round * 10'000);
    }
    sim.RunFor(round * 20'000);
    const size_t arrived = node.peer().end().unread_bytes();
    observer.lost.clear();
    link().Fail("test");
    ASSERT_EQ(observer.lost.size(), 6u);
    for (size_t i = 0; i < begins.size(); ++i) {
      const bool called_sent = observer.lost[i].ends_with(" sent");
      ASSERT_TRUE(called_sent || begins[i] >= arrived) << "request " << i << ", round " << round;
    }
    sim.RunUntil([this] { return link().state() == State::kIdle; });
    client.Take();
  }
}

TEST_F(UpstreamConnectionTest, ShortSendsArriveWhole) {
  sim::SimLink link_model;
  link_model.short_send_one_in = 1;
  sim.network.default_link() = link_model;
  Open();
  std::string all;
  for (int i = 0; i < 100; ++i) {
    all += Multibulk({"SET", std::to_string(i), std::string(i * 10, 'v')});
    Send(Multibulk({"SET", std::to_string(i), std::string(i * 10, 'v')}));
  }
  sim.RunFor(20 * kMillisecond);
  EXPECT_EQ(node.Take(), all);
}

TEST_F(UpstreamConnectionTest, AResetIsReported) {
  Open();
  Send(kGetA);
  Settle();
  node.peer().Reset();
  Settle();
  EXPECT_THAT(observer.lost, ElementsAre("a sent"));
  EXPECT_THAT(observer.failures, ElementsAre("Connection reset by peer"));
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
}

TEST_F(UpstreamConnectionTest, FailingTwiceIsFailingOnce) {
  Open();
  Send(kGetA);
  link().Fail("one");
  link().Fail("two");
  EXPECT_THAT(observer.failures, ElementsAre("one"));
  EXPECT_EQ(observer.lost.size(), 1u);
}

TEST_F(UpstreamConnectionTest, AnIdleConnectionCanBeClosedAndOpenedAgain) {
  Open();
  link().CloseIdle();
  Settle();
  EXPECT_EQ(link().state(), State::kIdle);
  EXPECT_EQ(sim.io.open_descriptors(), 0u);
  EXPECT_THAT(observer.failures, IsEmpty());
  EXPECT_TRUE(link().CanAccept()) << "nothing has failed";
  Open();
  EXPECT_EQ(node.connections(), 2u);
}

// ---- time

TEST_F(UpstreamConnectionTest, AnOverdueReplyClosesTheConnectionAndIsNeverMatched) {
  sim.config.request_timeout_ms = 500;
  Open();
  Send(kGetA);
  Settle();
  sim.RunFor(400 * kMillisecond);
  link().CheckTimeout(sim.io.NowNs());
  EXPECT_EQ(link().state(), State::kReady);
  node.Reply("+late\r\n");  // Under way when the time is up.
  link().CheckTimeout(sim.io.NowNs() + 100 * kMillisecond);
  EXPECT_THAT(observer.lost, ElementsAre("a sent"));
  EXPECT_THAT(observer.failures, ElementsAre("no reply in time"));
  EXPECT_EQ(sim.stats.upstream_timeouts.value(), 1u);
  sim.RunUntil([this] { return link().CanAccept(); });
  EXPECT_EQ(client.Take(), "-lost\r\n");
  Send(kGetB);
  sim.RunUntil([this] { return node.connections() == 2 && node.HasInput(); });
  EXPECT_EQ(node.Take(), Multibulk({"PING"})) << "it has to show that it lives";
  Reply("+PONG\r\n");
  EXPECT_EQ(node.Take(), kGetB);
  node.peer(0).Write("+later\r\n");
  Settle();
  EXPECT_FALSE(client.HasOutput());
  Reply("+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
}

TEST_F(UpstreamConnectionTest, OnAConnectionOfItsOwnOnlyWhatMayBlockIsNeverOverdue) {
  const auto is_ready_after_a_minute = [this](const char* command) {
    UpstreamConnection* const own = upstream.TakeOwnLink(/*resp3=*/false);
    Request* const request = NewRequest(&client);
    request->spec = &cluster::CommandNamed(command);
    request->is_private = true;
    std::memcpy(own->Accept(request, kGetA.size()), kGetA.data(), kGetA.size());
    sim.RunUntil([this] { return node.HasInput(); });
    node.Take();
    Reply(":77\r\n");  // CLIENT ID
    sim.RunFor(60 * kSecond);
    own->CheckTimeout(sim.io.NowNs());
    const bool is_ready = own->state() == State::kReady;
    own->Fail("the test is over");
    Settle();
    client.Take();
    return is_ready;
  };
  EXPECT_TRUE(is_ready_after_a_minute("blpop"));
  sim.RunFor(kSecond);
  EXPECT_FALSE(is_ready_after_a_minute("script|kill"));
}

TEST_F(UpstreamConnectionTest, AnIdleConnectionIsNeverOverdue) {
  Open();
  sim.RunFor(100 * kSecond);
  link().CheckTimeout(sim.io.NowNs());
  EXPECT_EQ(link().state(), State::kReady);
  Send(kGetA);  // Its time begins now.
  link().CheckTimeout(sim.io.NowNs());
  EXPECT_EQ(link().state(), State::kReady);
}

TEST_F(UpstreamConnectionTest, AReplyThatKeepsArrivingIsNotOverdue) {
  Open();
  Send(kGetA);
  Settle();
  Reply("$10\r\n");
  for (int i = 0; i < 10; ++i) {
    sim.RunFor(4 * kSecond);
    link().CheckTimeout(sim.io.NowNs());
    ASSERT_EQ(link().state(), State::kReady);
    Reply("x");
  }
  Reply("\r\n");
  EXPECT_EQ(client.Take(), "$10\r\nxxxxxxxxxx\r\n");
}

// ---- clients that go

TEST_F(UpstreamConnectionTest, NothingIsSentForAClientThatLeftWhileWeConnected) {
  ClientForTest leaving(sim.resources);
  Send(link(), kGetA, &leaving);
  Send(link(), kGetB, &client);
  leaving.Leave();
  Settle();
  EXPECT_EQ(node.Take(), kGetB);
  Reply("+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
}

TEST_F(UpstreamConnectionTest, AskingIsNotSentWithoutTheCommandItIsFor) {
  const std::string asking = Multibulk({"ASKING"});
  ClientForTest leaving(sim.resources);
  for (ClientForTest* asker : {&leaving, &client}) {
    Request* prefix = sim.resources.NewRequest();
    prefix->sink = Request::Sink::kIgnore;
    std::memcpy(link().Accept(prefix, asking.size()), asking.data(), asking.size());
    Send(link(), asker == &client ? kGetB : kGetA, asker);
  }
  leaving.Leave();
  Settle();
  EXPECT_EQ(node.Take(), asking + kGetB);
  Reply("+OK\r\n+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
}

TEST_F(UpstreamConnectionTest, TheReplyForAClientThatLeftGoesNowhere) {
  Open();
  ClientForTest leaving(sim.resources);
  Send(link(), kGetA, &leaving);
  Send(link(), kGetB, &client);
  Settle();
  leaving.Leave();
  Reply(Bulk(std::string(200'000, 'x')) + "+b\r\n");
  EXPECT_EQ(client.Take(), "+b\r\n");
  EXPECT_EQ(sim.stats.replies_discarded.value(), 1u);
  EXPECT_EQ(sim.io.receive_pool().bytes_in_use(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
