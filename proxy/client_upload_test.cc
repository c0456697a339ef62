#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::SimPeer;

const std::string kOk = "+OK\r\n";
const std::string kPing = "*1\r\n$4\r\nPING\r\n";
const std::string kPong = "+PONG\r\n";

std::string Set(const std::string& key, const std::string& value) {
  return Multibulk({"SET", key, value});
}
std::string Get(const std::string& key) { return Multibulk({"GET", key}); }
std::string Value(size_t bytes) {
  std::string value;
  while (value.size() < bytes) value += std::to_string(value.size()) + "\r\n$";
  value.resize(bytes);
  return value;
}

class ClientUploadTest : public testing::Test, public WorkerForTest {
 protected:
  ClientUploadTest() {
    config.request_timeout_ms = 2000;
    config.stream_command_bytes_min = 1000;
  }
  ~ClientUploadTest() override {
    Stop();
    EXPECT_EQ(stats.requests_in_flight.value(), 0u);
    EXPECT_EQ(stats.own_connections.value(), 0u);
    EXPECT_EQ(stats.clients_connected.value(), 0u);
  }

  // Gives `bytes` in pieces of `piece`, each received for itself.
  void WriteInPieces(SimPeer* peer, const std::string& bytes, size_t piece) {
    for (size_t at = 0; at < bytes.size(); at += piece) {
      peer->Write(bytes.substr(at, piece));
      Settle();
    }
  }
  // A client that has sent the first `bytes` of SET a, of which some have been passed on.
  SimPeer* BeginSet(const std::string& value, size_t bytes) {
    SimPeer* peer = Connect();
    WriteInPieces(peer, Set("a", value).substr(0, bytes), 3000);
    EXPECT_EQ(stats.uploads.value(), 1u);
    return peer;
  }
};

TEST_F(ClientUploadTest, ALargeCommandArrivesAsItWasSentHoweverItIsCut) {
  Start();
  const std::string value = Value(20'000);
  uint64_t uploads = 0;
  for (const size_t piece : {100, 999, 4096, 19'990}) {
    SimPeer* peer = Connect();
    WriteInPieces(peer, Set("a", value), piece);
    EXPECT_EQ(Await(peer, kOk.size()), kOk);
    EXPECT_EQ(stats.uploads.value(), ++uploads) << piece;
    EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), value);
    cluster.OwnerOf("a").store().Put("a", std::nullopt);
  }
}

TEST_F(ClientUploadTest, TheNodeIsAskedInTheClientsDatabase) {
  cluster.set_databases(4);
  Start();
  SimPeer* peer = Connect();
  peer->Write(Set("a", "zero") + Multibulk({"SELECT", "3"}) + Set("a", "three"));
  EXPECT_EQ(Await(peer, 3 * kOk.size()), kOk + kOk + kOk);
  const std::string value = Value(5000);
  WriteInPieces(peer, Set("a", value), 3000);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(stats.uploads.value(), 1u);
  sim::FakeNode& from = cluster.OwnerOf("a");
  EXPECT_EQ(from.store().Get("a"), "zero");
  EXPECT_EQ(from.store().Get(sim::StoredKey(3, "a")), value);
  // The key that has left is that of database 3.
  cluster.StartMigration(cluster::HashSlot("a"), cluster.node("A"));
  cluster.MoveKey(sim::StoredKey(3, "a"));
  WriteInPieces(peer, Set("a", value + "2"), 3000);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(stats.uploads.value(), 1u);
  EXPECT_EQ(cluster.node("A").store().Get(sim::StoredKey(3, "a")), value + "2");
  EXPECT_EQ(from.store().Get("a"), "zero");
}

TEST_F(ClientUploadTest, RepliesKeepTheirOrder) {
  Start();
  const std::string value = Value(5000);
  SimPeer* peer = Connect();
  const std::string input = Set("a", "old") + Get("b") + Set("a", value) + Get("a") + kPing +
                            Multibulk({"APPEND", "a", value}) + Get("b") +
                            Multibulk({"STRLEN", "a"});
  const std::string expected =
      kOk + "$-1\r\n" + kOk + Bulk(value) + kPong + ":10000\r\n$-1\r\n:10000\r\n";
  for (const size_t piece : {700, 1500, 5100, 6000}) {
    WriteInPieces(peer, input, piece);
    EXPECT_EQ(Await(peer, expected.size()), expected) << piece;
  }
  EXPECT_GE(stats.uploads.value(), 4u);  // The others came whole.
}

TEST_F(ClientUploadTest, ArgumentsMayFollow) {
  Start();
  SimPeer* peer = Connect();
  const std::string value = Value(5000);
  WriteInPieces(peer, Multibulk({"SET", "a", value, "EX", Value(3000)}) + kPing, 900);
  EXPECT_EQ(Await(peer, kOk.size() + kPong.size()), kOk + kPong);
  EXPECT_EQ(stats.uploads.value(), 1u);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), value);
}

TEST_F(ClientUploadTest, WhatCannotBePassedOnIsGathered) {
  Start();
  SimPeer* peer = Connect();
  const std::string value = Value(5000);
  WriteInPieces(peer, Multibulk({"MSET", "a", value, "b", value}), 2000);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  WriteInPieces(peer, Multibulk({"ECHO", value}), 2000);
  EXPECT_EQ(Await(peer, Bulk(value).size()), Bulk(value));
  WriteInPieces(peer, Multibulk({"NOSUCH", "a", value}), 2000);
  EXPECT_TRUE(Await(peer, 20).starts_with("-ERR unknown command 'NOSUCH'"));
  WriteInPieces(peer, Multibulk({"APPEND", "a", value, "more"}), 2000);
  EXPECT_EQ(Await(peer, 20), "-ERR wrong number of arguments for 'append' command\r\n");
  WriteInPieces(peer, Multibulk({"MULTI"}) + Set("a", value), 2000);
  EXPECT_EQ(Await(peer, 14), kOk + "+QUEUED\r\n");
  EXPECT_EQ(Ask(peer, Multibulk({"DISCARD"})), kOk);
  EXPECT_EQ(stats.uploads.value(), 0u);
}

TEST_F(ClientUploadTest, OffByFlag) {
  config.stream_command_bytes_min = 0;
  Start();
  SimPeer* peer = Connect();
  WriteInPieces(peer, Set("a", Value(50'000)), 5000);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(stats.uploads.value(), 0u);
}

TEST_F(ClientUploadTest, TheNodeThatDoesNotReadHoldsTheClientUp) {
  Start();
  const std::string value = Value(8'000'000);
  SimPeer* peer = BeginSet(value, 30'000);
  cluster.OwnerOf("a").SetPaused(true);
  peer->Write(Set("a", value).substr(30'000));
  RunFor(200 * kMillisecond);
  EXPECT_LT(resources().BytesInUse(), 4'000'000u);
  cluster.OwnerOf("a").SetPaused(false);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), value);
}

TEST_F(ClientUploadTest, AClientThatLeavesTakesItsConnectionAlong) {
  Start();
  for (const bool reset : {false, true}) {
    SimPeer* peer = Connect();
    WriteInPieces(peer, Set("a", Value(50'000)).substr(0, 20'000), 3000);
    reset ? peer->Reset() : peer->Close();
    RunFor(10 * kMillisecond);
    EXPECT_EQ(stats.own_connections.value(), 0u);
    EXPECT_EQ(resources().requests.live(), 0u);
    EXPECT_EQ(resources().splits.live(), 0u);
  }
  EXPECT_EQ(gone, 2);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), std::nullopt);
}

TEST_F(ClientUploadTest, AClientThatOnlyEndsItsInputStillGetsItsAnswer) {
  Start();
  SimPeer* peer = Connect();
  cluster.OwnerOf("a").SetPaused(true);
  peer->Write(Set("a", Value(50'000)));
  peer->Close();
  RunFor(10 * kMillisecond);
  cluster.OwnerOf("a").SetPaused(false);
  RunUntil([this] { return gone == 1; });
  EXPECT_TRUE(cluster.OwnerOf("a").store().Get("a").has_value());
}

TEST_F(ClientUploadTest, WhenTheNodeIsLostTheClientIsToldAndGoesOn) {
  Start();
  const std::string value = Value(50'000);
  SimPeer* peer = BeginSet(value, 20'000);
  cluster.OwnerOf("a").ResetConnections();
  Settle();
  EXPECT_EQ(Await(peer, 1), kErrorUploadLost);
  EXPECT_EQ(stats.errors_upload_lost.value(), 1u);
  WriteInPieces(peer, Set("a", value).substr(20'000) + kPing, 7000);
  EXPECT_EQ(Await(peer, kPong.size()), kPong);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), std::nullopt);
}

TEST_F(ClientUploadTest, AConnectionThatDoesNotOpenIsTriedAgain) {
  Start();
  sim::FakeNode& node = cluster.OwnerOf("a");
  const std::string value = Value(50'000);
  SimPeer* peer = Connect();
  peer->Write(Set("a", value).substr(0, 3000));
  Settle();  // The probe has been answered.
  node.Kill();
  peer->Write(Set("a", value).substr(3000));
  RunFor(100 * kMillisecond);
  EXPECT_EQ(peer->received(), "");
  node.Restart();
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(node.store().Get("a"), value);
}

TEST_F(ClientUploadTest, WhenTheNodeIsLostAfterTheEndTheOutcomeIsUnknown) {
  Start();
  const std::string value = Value(5000);
  SimPeer* peer = BeginSet(value, 4000);
  cluster.OwnerOf("a").LoseNextReply();
  peer->Write(Set("a", value).substr(4000));
  EXPECT_EQ(Await(peer, 1), kErrorOutcomeUnknown);
}

TEST_F(ClientUploadTest, ASlotThatHasMovedBeforeIsNotNoticed) {
  Start();
  sim::FakeNode& from = cluster.OwnerOf("a");
  sim::FakeNode& to = cluster.node(&from == &cluster.node("A") ? "B" : "A");
  const uint16_t slot = cluster::HashSlot("a");
  cluster.StartMigration(slot, to);
  SimPeer* peer = Connect();
  const std::string value = Value(5000);
  WriteInPieces(peer, Set("a", value), 2000);  // ASK
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(to.store().Get("a"), value);
  cluster.FinishMigration(slot);
  WriteInPieces(peer, Set("a", value + "2"), 2000);  // MOVED
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(to.store().Get("a"), value + "2");
  EXPECT_EQ(stats.uploads.value(), 0u);
}

TEST_F(ClientUploadTest, ASlotThatMovesMeanwhileIsAnErrorThatSaysSo) {
  Start();
  sim::FakeNode& from = cluster.OwnerOf("a");
  sim::FakeNode& to = cluster.node(&from == &cluster.node("A") ? "B" : "A");
  const uint16_t slot = cluster::HashSlot("a");
  const std::string value = Value(50'000);
  SimPeer* peer = BeginSet(value, 20'000);
  cluster.StartMigration(slot, to);
  cluster.FinishMigration(slot);
  WriteInPieces(peer, Set("a", value).substr(20'000), 5000);
  EXPECT_EQ(Await(peer, 1), kErrorUploadMoved);
  RunFor(100 * kMillisecond);
  WriteInPieces(peer, Set("a", value), 5000);
  EXPECT_EQ(Await(peer, kOk.size()), kOk);
  EXPECT_EQ(to.store().Get("a"), value);
}

TEST_F(ClientUploadTest, AMalformedRestIsAProtocolError) {
  Start();
  SimPeer* peer = Connect();
  WriteInPieces(peer, "*4\r\n$3\r\nSET\r\n$1\r\na\r\n$2000\r\n" + Value(2000) + "\r\n:3\r\n", 800);
  EXPECT_EQ(Await(peer, 1),
            std::string(kErrorUploadLost) + "-ERR Protocol error: expected '$'\r\n");
  EXPECT_FALSE(peer->IsOpen());
  EXPECT_EQ(stats.protocol_errors.value(), 1u);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), std::nullopt);
}

TEST_F(ClientUploadTest, WithoutAFreeConnectionItIsGathered) {
  config.own_connections_max = 1;
  Start();
  const std::string value = Value(50'000);
  SimPeer* first = BeginSet(value, 20'000);
  SimPeer* second = Connect();
  WriteInPieces(second, Set("a", "x" + value), 5000);
  EXPECT_EQ(Await(second, kOk.size()), kOk);
  EXPECT_EQ(stats.uploads.value(), 1u);
  WriteInPieces(first, Set("a", value).substr(20'000), 5000);
  EXPECT_EQ(Await(first, kOk.size()), kOk);
  EXPECT_EQ(cluster.OwnerOf("a").store().Get("a"), value);
}

}  // namespace
}  // namespace rcproxy::proxy
