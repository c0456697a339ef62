#include "proxy/socket_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/sim_for_test.h"
#include "uring/socket.h"

namespace rcproxy::proxy {
namespace {

// A connection that does nothing but send what is queued.
class SocketWriterTest : public testing::Test, private uring::SocketListener {
 protected:
  SocketWriterTest() {
    const sim::SimIo::Client pair = sim_.io.NewClient();
    socket_.Adopt(pair.fd);
    peer_ = pair.peer;
  }
  ~SocketWriterTest() override {
    socket_.Close();
    sim_.RunUntil([this] { return socket_.is_closed(); });
  }
  void OnReceived(uring::Slice) override {}
  void OnReceiveEnded(int) override {}
  void OnSent(size_t bytes, int error) override {
    writer_.OnSent(sim_.resources, bytes, &queue_);
    sent_ += bytes;
    error_ = error;
    ++sends_;
    if (error == 0 && go_on_) writer_.Flush(sim_.resources, &socket_, queue_);
  }
  void OnSocketClosed() override { writer_.Reset(sim_.resources); }

  // Queues as many segments as there are numbers.
  std::string QueuePieces(int count) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      const std::string piece(2000, static_cast<char>('a' + i % 26));
      uring::Chunk* chunk = sim_.resources.output_pool.TakeLarge(piece.size());
      std::copy(piece.begin(), piece.end(), chunk->data);
      queue_.AppendReference(chunk, {chunk->data, piece.size()});
      uring::ChunkPool::Unref(chunk);
      all += piece;
    }
    return all;
  }

  SimForTest sim_;
  OutputQueue queue_{sim_.resources.client_memory};
  uring::Socket socket_{sim_.io, *this};
  SocketWriter writer_;
  sim::SimPeer* peer_ = nullptr;
  size_t sent_ = 0;
  int error_ = 0;
  int sends_ = 0;
  bool go_on_ = false;
};

TEST_F(SocketWriterTest, SendsOnePiece) {
  queue_.Append("hello");
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 5u);
  EXPECT_EQ(sim_.resources.batches.live(), 0u) << "one piece needs no batch";
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), "hello");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(SocketWriterTest, SendsManyPiecesAtOnce) {
  const std::string all = QueuePieces(5);
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), all.size());
  EXPECT_EQ(sim_.resources.batches.live(), 1u);
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), all);
  EXPECT_EQ(sends_, 1);
  EXPECT_EQ(sim_.resources.batches.live(), 0u);
}

TEST_F(SocketWriterTest, SendsNothingWhenThereIsNothing) {
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 0u);
  EXPECT_FALSE(socket_.sending());
}

TEST_F(SocketWriterTest, WhatComesWhileASendIsUnderWayGoesWithTheNext) {
  queue_.Append("first ");
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 6u);
  queue_.Append("second");
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 0u);
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), "first ");
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 6u);
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), "first second");
}

TEST_F(SocketWriterTest, MoreThanABatchGoesInSeveralSends) {
  go_on_ = true;
  const std::string all = QueuePieces(3 * SendBatch::kPiecesMax + 1);
  EXPECT_EQ(writer_.Flush(sim_.resources, &socket_, queue_), 2000u * SendBatch::kPiecesMax);
  sim_.RunUntil([this] { return queue_.empty(); });
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), all);
  EXPECT_EQ(sends_, 4);
}

TEST_F(SocketWriterTest, ShortSendsLoseNothing) {
  go_on_ = true;
  sim::SimLink link;
  link.short_send_one_in = 1;
  sim_.network.SetAllLinks(link);
  const std::string all = QueuePieces(100);
  writer_.Flush(sim_.resources, &socket_, queue_);
  sim_.RunUntil([this] { return queue_.empty(); });
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), all);
  EXPECT_GT(sends_, 3);
}

TEST_F(SocketWriterTest, ASlowReaderGetsEverythingInTheEnd) {
  go_on_ = true;
  peer_->SetReading(false);
  const std::string all = QueuePieces(300);
  writer_.Flush(sim_.resources, &socket_, queue_);
  sim_.RunFor(sim::kSecond);
  EXPECT_FALSE(queue_.empty());
  peer_->SetReading(true);
  sim_.RunUntil([this] { return queue_.empty(); });
  sim_.RunFor(sim::kMillisecond);
  EXPECT_EQ(peer_->received(), all);
}

TEST_F(SocketWriterTest, AFailedSendConsumesNothing) {
  const std::string all = QueuePieces(3);
  peer_->Reset();
  sim_.RunFor(sim::kMillisecond);
  writer_.Flush(sim_.resources, &socket_, queue_);
  sim_.RunFor(sim::kMillisecond);
  EXPECT_NE(error_, 0);
  EXPECT_EQ(queue_.bytes(), all.size());
  EXPECT_EQ(sim_.resources.batches.live(), 0u);
}

TEST_F(SocketWriterTest, ClosingDuringASendReturnsTheBatch) {
  QueuePieces(3);
  writer_.Flush(sim_.resources, &socket_, queue_);
  socket_.Close();
  EXPECT_EQ(sim_.resources.batches.live(), 1u) << "the kernel still looks at it";
  sim_.RunUntil([this] { return socket_.is_closed(); });
  EXPECT_EQ(sim_.resources.batches.live(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
