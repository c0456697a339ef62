#include "proxy/client_connection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/errors.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;
using sim::SimPeer;

std::string Set(const std::string& key, const std::string& value) {
  return Multibulk({"SET", key, value});
}
std::string Get(const std::string& key) { return Multibulk({"GET", key}); }
const std::string kPing = "*1\r\n$4\r\nPING\r\n";
const std::string kOk = "+OK\r\n";
const std::string kPong = "+PONG\r\n";

class ClientConnectionTest : public testing::Test, public WorkerForTest {
 protected:
  ClientConnectionTest() { config.request_timeout_ms = 2000; }
  ~ClientConnectionTest() override {
    Stop();
    EXPECT_EQ(stats.requests_in_flight.value(), 0u);
    EXPECT_EQ(stats.clients_connected.value(), 0u);
  }
};

// ---- pipelines in pieces

struct Conversation {
  const char* name;
  std::string input;
  std::string output;
};

std::vector<Conversation> Conversations() {
  return {
      {"keyed", Set("a", "1") + Get("a") + Set("b", "22") + Get("b") + Get("none"),
       kOk + Bulk("1") + kOk + Bulk("22") + "$-1\r\n"},
      {"inline", "SET a 1\r\nGET a\r\n\r\nping\r\nset b \"x y\"\nGET b\r\n",
       kOk + Bulk("1") + kPong + kOk + Bulk("x y")},
      {"local between nodes", Get("a") + kPing + Get("b") + kPing + Multibulk({"ECHO", "e"}),
       "$-1\r\n" + kPong + "$-1\r\n" + kPong + Bulk("e")},
      {"split",
       Multibulk({"MSET", "a", "1", "b", "2", "c", "3"}) + Multibulk({"MGET", "c", "x", "a", "b"}) +
           Multibulk({"DEL", "a", "b", "x"}),
       kOk + "*4\r\n" + Bulk("3") + "$-1\r\n" + Bulk("1") + Bulk("2") + ":2\r\n"},
      {"empty commands", "*0\r\n" + kPing + "*-1\r\n\r\n" + kPing, kPong + kPong},
      {"refused commands",
       Multibulk({"NOSUCH", "x"}) + Multibulk({"GET"}) + Multibulk({"SINTER", "a", "b"}) + kPing,
       "-ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n"
       "-ERR wrong number of arguments for 'get' command\r\n" +
           std::string(kErrorCrossSlot) + kPong},
      {"values of many sizes",
       Set("a", std::string(600, 'v')) + Get("a") + Set("b", "\r\n*1\r\n$4\r\n") + Get("b"),
       kOk + Bulk(std::string(600, 'v')) + kOk + Bulk("\r\n*1\r\n$4\r\n")},
      {"end of protocol", kPing + "*1\r\n$x\r\nPING\r\n" + kPing,
       kPong + "-ERR Protocol error: invalid bulk length\r\n"},
      {"quit", Get("a") + Multibulk({"QUIT"}) + kPing, "$-1\r\n" + kOk},
  };
}

class PipelineTest : public ClientConnectionTest, public testing::WithParamInterface<Conversation> {
 protected:
  void ForgetData() {
    for (const char* name : {"A", "B", "C"}) cluster.node(name).store().Clear();
  }
};

TEST_P(PipelineTest, GivesTheSameRepliesWhereverItIsCut) {
  Start();
  const std::string& input = GetParam().input;
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    ForgetData();
    SimPeer* peer = Connect();
    peer->Write(std::string_view(input).substr(0, cut));
    RunFor(kMillisecond);
    peer->Write(std::string_view(input).substr(cut));
    ASSERT_EQ(Await(peer, GetParam().output.size()), GetParam().output) << "cut at " << cut;
    peer->Close();
  }
}

TEST_P(PipelineTest, GivesTheSameRepliesByteByByte) {
  Start();
  SimPeer* peer = Connect();
  for (const char byte : GetParam().input) {
    peer->Write({&byte, 1});
    RunFor(100'000);
  }
  EXPECT_EQ(Await(peer, GetParam().output.size()), GetParam().output);
}

TEST_P(PipelineTest, GivesTheSameRepliesToAClientThatMayHaveOneInFlight) {
  config.client_pipeline_max = 1;
  Start();
  const std::string& input = GetParam().input;
  for (size_t piece : {input.size(), size_t{7}, size_t{31}}) {
    ForgetData();
    SimPeer* peer = Connect();
    for (size_t i = 0; i < input.size(); i += piece) {
      peer->Write(std::string_view(input).substr(i, piece));
      RunFor(20'000);
    }
    ASSERT_EQ(Await(peer, GetParam().output.size()), GetParam().output) << "pieces of " << piece;
    peer->Close();
  }
}

TEST_P(PipelineTest, GivesTheSameRepliesWhenTheClientHasClosedItsSide) {
  Start();
  SimPeer* peer = Connect();
  peer->Write(GetParam().input);
  peer->ShutdownWrite();
  EXPECT_EQ(Await(peer, GetParam().output.size()), GetParam().output);
  RunUntil([&] { return !peer->IsOpen(); }, kSecond);
  EXPECT_FALSE(peer->IsOpen()) << "all has been answered";
}

INSTANTIATE_TEST_SUITE_P(, PipelineTest, testing::ValuesIn(Conversations()),
                         [](const testing::TestParamInfo<Conversation>& info) {
                           std::string name = info.param.name;
                           for (char& c : name) c = c == ' ' ? '_' : c;
                           return name;
                         });

TEST_F(ClientConnectionTest, ALargeValueSurvivesAnyCut) {
  Start();
  const std::string value = [] {
    std::string bytes;
    while (bytes.size() < 100'000) bytes += std::to_string(bytes.size()) + "\r\n";
    return bytes;
  }();
  const std::string input = kPing + Set("a", value) + Get("a") + kPing;
  const std::string output = kPong + kOk + Bulk(value) + kPong;
  for (const size_t cut : {1, 14, 20, 40, 50, 51, 16'384, 16'500, 70'000, 100'020, 100'060}) {
    SimPeer* peer = Connect();
    peer->Write(input.substr(0, cut));
    RunFor(kMillisecond);
    peer->Write(input.substr(cut));
    ASSERT_TRUE(Await(peer, output.size()) == output) << "cut at " << cut;
    peer->Close();
  }
}

TEST_F(ClientConnectionTest, ManyLargeValuesInOnePipeline) {
  Start();
  std::string input;
  std::string output;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::string value(i * 2000, static_cast<char>('a' + i % 26));
    input += Set(key, value) + Get(key);
    output += kOk + Bulk(value);
  }
  SimPeer* peer = Connect();
  peer->Write(input);
  EXPECT_TRUE(Await(peer, output.size()) == output);
}

// A rewritten inline command lies in memory that the next one uses again.
TEST_F(ClientConnectionTest, LongInlineCommandsInOnePipelineKeepTheirBytes) {
  Start();
  const std::string one(3000, '1');
  const std::string two(5000, '2');
  SimPeer* peer = Connect();
  peer->Write("SET a " + one + "\r\nSET b " + two + "\r\nGET a\r\nGET b\r\n");
  const std::string output = kOk + kOk + Bulk(one) + Bulk(two);
  EXPECT_TRUE(Await(peer, output.size()) == output);
}

TEST_F(ClientConnectionTest, AnIdleClientHoldsNoMemory) {
  Start();
  const size_t before = resources().BytesInUse();
  std::vector<SimPeer*> peers;
  for (int i = 0; i < 100; ++i) peers.push_back(Connect());
  for (SimPeer* peer : peers) EXPECT_EQ(Ask(peer, kPing), kPong);
  EXPECT_LE(resources().BytesInUse(), before + Resources::kOutputChunkBytes);
  EXPECT_EQ(resources().segments.live(), 0u);
  EXPECT_EQ(resources().partials.live(), 0u);
}

// ---- limits

TEST_F(ClientConnectionTest, AClientAtItsPipelineLimitIsReadNoFurther) {
  config.client_pipeline_max = 10;
  config.request_timeout_ms = 60'000;
  Start();
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(true);
  SimPeer* peer = Connect();
  std::string input;
  for (int i = 0; i < 1000; ++i) input += Get("key" + std::to_string(i));
  peer->Write(input);
  RunFor(100 * kMillisecond);
  EXPECT_EQ(stats.requests_in_flight.value(), 10u);
  EXPECT_GE(stats.client_pauses.value(), 1u);
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(false);
  EXPECT_EQ(Await(peer, 5000).size(), 5000u);
}

TEST_F(ClientConnectionTest, AClientThatDoesNotReadIsReadNoFurther) {
  config.client_output_soft_bytes = 10'000;
  Start();
  SimPeer* peer = Connect();
  peer->SetReading(false);
  std::string input;
  for (int i = 0; i < 20'000; ++i) input += Multibulk({"ECHO", std::string(100, 'e')});
  peer->Write(input);
  RunFor(500 * kMillisecond);
  // The limit, what one turn can add, and what lies in the network.
  EXPECT_LT(resources().output_pool.bytes_in_use(), 500'000u);
  EXPECT_GE(stats.client_pauses.value(), 1u);
  peer->SetReading(true);
  const size_t expected = 20'000u * Bulk(std::string(100, 'e')).size();
  EXPECT_EQ(Await(peer, expected).size(), expected);
}

TEST_F(ClientConnectionTest, AClientWithTooMuchWaitingForItIsClosed) {
  config.client_output_soft_bytes = 50'000;
  config.client_output_hard_bytes = 300'000;
  config.stream_reply_bytes_min = 10'000'000;
  Start();
  cluster.OwnerOf("a").store().Put("a", std::string(2'000'000, 'v'));
  SimPeer* peer = Connect();
  peer->SetReading(false);
  peer->Write(Get("a"));
  RunUntil([this] { return gone == 1; });
  EXPECT_EQ(stats.clients_closed_output_limit.value(), 1u);
}

TEST_F(ClientConnectionTest, RequestsBeyondTheLimitsAreProtocolErrors) {
  config.request_args_max = 20;
  config.request_bulk_bytes_max = 2000;
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, kPing + "*21\r\n"),
            kPong + "-ERR Protocol error: invalid multibulk length\r\n");
  EXPECT_FALSE(peer->IsOpen());
  peer = Connect();
  EXPECT_EQ(Ask(peer, "*2\r\n$3\r\nGET\r\n$2001\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_FALSE(peer->IsOpen());
  EXPECT_EQ(stats.protocol_errors.value(), 2u);
}

// A client that announces much and sends little must not make the others wait.
TEST_F(ClientConnectionTest, WhatIsOnlyAnnouncedTakesNoMemory) {
  Start();
  const size_t before = resources().BytesInUse();
  std::vector<SimPeer*> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(Connect());
    peers.back()->Write("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nabc");
  }
  Settle();
  EXPECT_LT(resources().BytesInUse() - before, 20'000'000u);
  SimPeer* other = Connect();
  EXPECT_EQ(Ask(other, kPing), kPong);
}

// ---- the end of a client

TEST_F(ClientConnectionTest, AProtocolErrorIsAnsweredBehindEarlierReplies) {
  Start();
  cluster.OwnerOf("a").SetPaused(true);
  SimPeer* peer = Connect();
  peer->Write(Get("a") + "*1\r\n!\r\n");
  RunFor(10 * kMillisecond);
  EXPECT_EQ(peer->received(), "");
  cluster.OwnerOf("a").SetPaused(false);
  EXPECT_EQ(Await(peer, 6), "$-1\r\n-ERR Protocol error: expected '$', got '!'\r\n");
  EXPECT_FALSE(peer->IsOpen());
}

TEST_F(ClientConnectionTest, SomebodyWhoSpeaksHttpIsClosedWithoutAWord) {
  Start();
  SimPeer* peer = Connect();
  peer->Write("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
  RunUntil([this] { return gone == 1; });
  EXPECT_EQ(peer->received(), "");
}

TEST_F(ClientConnectionTest, QuitIsAnsweredBehindEarlierReplies) {
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Get("a") + Multibulk({"QUIT"}) + Get("b")), "$-1\r\n" + kOk);
  EXPECT_FALSE(peer->IsOpen());
  RunUntil([this] { return gone == 1; });
}

TEST_F(ClientConnectionTest, ADisconnectLeavesNothingBehind) {
  config.request_timeout_ms = 60'000;
  Start();
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(true);
  for (int i = 0; i < 4; ++i) {
    SimPeer* peer = Connect();
    peer->Write(Get("a") + Multibulk({"MGET", "a", "b", "c"}) + Set("b", std::string(5000, 'v')) +
                "*2\r\n$3\r\nGE");
    RunFor(i * kMillisecond);
    i % 2 == 0 ? peer->Close() : peer->Reset();
    RunFor(5 * kMillisecond);
  }
  // Those that closed in order are still answered; then they go too.
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(false);
  RunUntil([this] { return gone == 4; });
  Settle();
  EXPECT_EQ(worker().client_count(), 0u);
  EXPECT_EQ(resources().requests.live(), 0u);
  EXPECT_EQ(resources().splits.live(), 0u);
  EXPECT_EQ(resources().partials.live(), 0u);
  EXPECT_EQ(resources().segments.live(), 0u);
}

TEST_F(ClientConnectionTest, ABlockedClientThatClosesItsSideGetsAllReplies) {
  config.client_pipeline_max = 2;
  Start();
  SimPeer* peer = Connect();
  std::string input;
  std::string output;
  for (int i = 0; i < 50; ++i) {
    input += Set("k" + std::to_string(i), "v");
    output += kOk;
  }
  peer->Write(input);
  peer->ShutdownWrite();
  EXPECT_EQ(Await(peer, output.size()), output);
  RunUntil([this] { return gone == 1; });
}

// ---- passwords

class PasswordTest : public ClientConnectionTest {
 protected:
  PasswordTest() {
    config.requirepass = "secret";
    Start();
  }
};

TEST_F(PasswordTest, NothingIsServedBeforeAuth) {
  SimPeer* peer = Connect();
  const std::string no_auth = "-" + std::string(kNoAuthError) + "\r\n";
  EXPECT_EQ(Ask(peer, Get("a") + kPing + Multibulk({"MGET", "a", "b"})),
            no_auth + no_auth + no_auth);
  EXPECT_EQ(Ask(peer, Multibulk({"AUTH", "secret"}) + Get("a")), kOk + "$-1\r\n");
}

TEST_F(PasswordTest, QuitAndHelloAreServedBeforeAuth) {
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Multibulk({"QUIT"})), kOk);
}

TEST_F(PasswordTest, AStrangerMayNotSendMuch) {
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, "*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_FALSE(peer->IsOpen());
  peer = Connect();
  EXPECT_EQ(Ask(peer, "*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
            "-ERR Protocol error: unauthenticated bulk length\r\n");
  EXPECT_FALSE(peer->IsOpen());
}

TEST_F(PasswordTest, LimitsAreLiftedInTheMiddleOfAPipeline) {
  SimPeer* peer = Connect();
  const std::string value(50'000, 'v');
  const std::string input = Multibulk({"AUTH", "secret"}) + Set("a", value) + Get("a");
  const std::string output = kOk + kOk + Bulk(value);
  peer->Write(input);
  EXPECT_TRUE(Await(peer, output.size()) == output);
}

// ---- waiting

TEST_F(ClientConnectionTest, CommandsBehindAFenceKeepTheirOrder) {
  Start();
  cluster.set_gossip_max_ns(kSecond);
  SimPeer* peer = Connect();
  std::string output;
  // The slot moves again and again while the client sets and reads one key.
  for (int round = 0; round < 20; ++round) {
    sim::FakeNode& to = cluster.node(round % 2 == 0 ? "A" : "B");
    cluster.StartMigration(cluster::HashSlot("key"), to);
    std::string input;
    std::string expected;
    for (int i = 0; i < 10; ++i) {
      const std::string value = std::to_string(round * 10 + i);
      input += Set("key", value) + Get("key") + Get("other");
      expected += kOk + Bulk(value) + "$-1\r\n";
    }
    peer->Write(input);
    RunFor(100'000);
    cluster.FinishMigration(cluster::HashSlot("key"));
    ASSERT_EQ(Await(peer, expected.size()), expected) << "round " << round;
  }
}

TEST_F(ClientConnectionTest, TheServersMemoryIsNotUsedUpByAPipelineBehindAFence) {
  config.request_timeout_ms = 60'000;
  Start();
  cluster.OwnerOf("a").SetClusterDown(true);
  SimPeer* peer = Connect();
  std::string input = Set("a", "1");
  for (int i = 0; i < 5000; ++i) input += Set("b", std::string(100, 'v'));
  peer->Write(input);
  RunFor(500 * kMillisecond);
  // The client is not read while its first command waits; only what had arrived is kept.
  EXPECT_LE(stats.requests_in_flight.value(), 1024u);
  cluster.OwnerOf("a").SetClusterDown(false);
  EXPECT_EQ(Await(peer, 5001 * kOk.size()).size(), 5001 * kOk.size());
}

// Commands that are split into many parts, and replies that wait for a slow node, are limited like
// any others.
TEST_F(ClientConnectionTest, PartsCountAsRequestsInFlight) {
  config.client_pipeline_max = 100;
  config.request_timeout_ms = 60'000;
  Start();
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(true);
  std::vector<std::string> words{"MGET"};
  for (int i = 0; i < 50; ++i) words.push_back("key" + std::to_string(i));
  std::string input;
  for (int i = 0; i < 200; ++i) input += Multibulk(words);
  SimPeer* peer = Connect();
  peer->Write(input);
  RunFor(100 * kMillisecond);
  EXPECT_LE(stats.requests_in_flight.value(), 250u);
  for (sim::FakeNode* node : cluster.nodes()) node->SetPaused(false);
  const size_t expected = 200 * (std::string("*50\r\n").size() + 50 * 5);
  EXPECT_EQ(Await(peer, expected).size(), expected);
}

TEST_F(ClientConnectionTest, RepliesThatWaitForASlowNodeAreLimited) {
  config.client_output_soft_bytes = 100'000;
  config.request_timeout_ms = 60'000;
  Start();
  cluster.OwnerOf("a").SetPaused(true);
  cluster.OwnerOf("b").store().Put("b", std::string(50'000, 'v'));
  SimPeer* peer = Connect();
  std::string input = Get("a");
  for (int i = 0; i < 500; ++i) input += Get("b");
  for (size_t i = 0; i < input.size(); i += 100) {
    peer->Write(input.substr(i, 100));
    RunFor(kMillisecond);
  }
  EXPECT_LT(resources().BytesInUse(), 5'000'000u);
  cluster.OwnerOf("a").SetPaused(false);
  const size_t expected = 5 + 500 * Bulk(std::string(50'000, 'v')).size();
  EXPECT_EQ(Await(peer, expected).size(), expected);
}

// ---- draining

TEST_F(ClientConnectionTest, ADrainingClientGetsWhatIsUnderWay) {
  Start();
  cluster.OwnerOf("a").SetPaused(true);
  SimPeer* peer = Connect();
  peer->Write(Get("a"));
  RunFor(10 * kMillisecond);
  worker().BeginDrain(io.NowNs() + 10 * kSecond);
  RunFor(100 * kMillisecond);
  EXPECT_TRUE(peer->IsOpen());
  peer->Write(Get("b"));
  cluster.OwnerOf("a").SetPaused(false);
  EXPECT_EQ(Await(peer, 5), "$-1\r\n") << "and no reply to what came later";
  EXPECT_FALSE(peer->IsOpen());
  RunUntil([this] { return worker().stopped(); });
}

TEST_F(ClientConnectionTest, CommandsThatBlockAreRefusedForNow) {
  Start();
  SimPeer* peer = Connect();
  EXPECT_EQ(Ask(peer, Multibulk({"XREAD", "BLOCK", "0", "STREAMS", "a", "0"}))[0], '-');
  EXPECT_EQ(Ask(peer, Multibulk({"XREADGROUP", "GROUP", "block", "streams", "BLOCK", "0", "STREAMS",
                                 "a", ">"}))
                .find("-ERR"),
            0u);
  // The word may also be a key.
  EXPECT_EQ(Ask(peer, Multibulk({"XREAD", "STREAMS", "block", "0"}))
                .find("not available through rcproxy"),
            std::string::npos);
}

}  // namespace
}  // namespace rcproxy::proxy
