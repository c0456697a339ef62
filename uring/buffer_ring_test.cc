// Against the real kernel: bytes of several connections, cut by buffers in every possible place,
// come out complete and in order.
#include "uring/buffer_ring.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr uint32_t kChunk = 4096;

struct Mode {
  bool incremental;
  bool multishot;
  TaskWork task_work;
};

class BufferRingTest : public ::testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    auto kernel = KernelRing::Create(
        {.sq_entries = 64, .cq_entries = 256, .task_work = GetParam().task_work});
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    kernel_ = *std::move(kernel);
  }
  void TearDown() override {
    sockets_.clear();
    slices_.clear();
  }

  void Make(uint32_t count, size_t limit_chunks) {
    pool_ = std::make_unique<ChunkPool>(kChunk, limit_chunks * kChunk);
    auto buffers = BufferRing::Create(*kernel_, *pool_,
                                      {.count = count, .incremental = GetParam().incremental});
    ASSERT_TRUE(buffers.ok()) << buffers.status();
    buffers_ = *std::move(buffers);
  }
  void Connect(size_t count, bool tcp) {
    for (size_t i = 0; i < count; ++i) {
      sockets_.push_back(tcp ? TestPair::Tcp() : TestPair::Local());
      Arm(i);
    }
    received_.resize(count);
    last_result_.resize(count, 0);
  }
  void Arm(size_t index) {
    io_uring_sqe* const sqe = kernel_->NextSqe();
    io_uring_prep_recv(sqe, sockets_[index].ours.get(), nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    if (GetParam().multishot) sqe->ioprio |= IORING_RECV_MULTISHOT;
    sqe->user_data = index;
  }
  // Takes in what there is; receives that ended with bytes go on, -ENOBUFS is for the test.
  int Reap(int64_t timeout_ns) {
    buffers_->Refill();
    kernel_->Enter({.events = timeout_ns > 0 ? 1u : 0u, .timeout_ns = timeout_ns});
    int reaped = 0;
    for (; kernel_->ready() > 0; ++reaped) {
      const io_uring_cqe cqe = kernel_->Pop();
      last_result_[cqe.user_data] = cqe.res;
      if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
        Slice slice = buffers_->Take(cqe);
        received_[cqe.user_data].append(slice.view());
        if (keep_) slices_.push_back(std::move(slice));
      }
      if (cqe.res > 0 && (cqe.flags & IORING_CQE_F_MORE) == 0) Arm(cqe.user_data);
    }
    buffers_->CheckInvariants();
    return reaped;
  }
  // Until connection `index` has `bytes` or ends.
  void ReapUntil(size_t index, size_t bytes) {
    for (int turn = 0; turn < 100'000 && received_[index].size() < bytes; ++turn) {
      if (last_result_[index] == -ENOBUFS) Arm(index);
      if (Reap(2'000'000'000) == 0 || last_result_[index] == 0) break;
    }
  }

  std::unique_ptr<KernelRing> kernel_;
  std::unique_ptr<ChunkPool> pool_;
  std::vector<Slice> slices_;
  std::unique_ptr<BufferRing> buffers_;
  std::vector<TestPair> sockets_;
  std::vector<std::string> received_;
  std::vector<int> last_result_;
  bool keep_ = false;
};

std::string Pattern(size_t size, uint32_t seed) {
  std::string text(size, 0);
  uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

TEST_P(BufferRingTest, SizesAroundABuffersEnd) {
  ASSERT_NO_FATAL_FAILURE(Make(4, 8));
  Connect(1, false);
  std::string sent;
  for (const int base : {1, 2047, 2048, 4096, 8192, 12288, 16384}) {
    for (int size = std::max(1, base - 2); size <= base + 2; ++size) {
      const std::string message = Pattern(static_cast<size_t>(size), static_cast<uint32_t>(size));
      ASSERT_EQ(sockets_[0].PeerWrite(message), message.size());
      sent += message;
      ReapUntil(0, sent.size());
      ASSERT_EQ(received_[0].size(), sent.size()) << "after a message of " << size;
    }
  }
  EXPECT_TRUE(received_[0] == sent);
}

TEST_P(BufferRingTest, EveryFillLevelOfABufferFollowedByEverything) {
  ASSERT_NO_FATAL_FAILURE(Make(2, 4));
  Connect(1, true);
  std::string sent;
  for (size_t step = 1; step < 300; ++step) {
    const std::string message = Pattern((step * 37) % 4099 + 1, static_cast<uint32_t>(step));
    ASSERT_EQ(sockets_[0].PeerWrite(message), message.size());
    sent += message;
    ReapUntil(0, sent.size());
    ASSERT_EQ(received_[0].size(), sent.size());
  }
  EXPECT_TRUE(received_[0] == sent);
}

TEST_P(BufferRingTest, ManyConnectionsShareTheBuffers) {
  const uint32_t seed = 99;
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  ASSERT_NO_FATAL_FAILURE(Make(8, 64));
  constexpr size_t kConnections = 20;
  Connect(kConnections, true);
  std::vector<std::string> sent(kConnections);
  for (int round = 0; round < 300; ++round) {
    for (uint32_t writes = random() % 6; writes > 0; --writes) {
      const size_t index = random() % kConnections;
      const std::string message = Pattern(1 + random() % 3000, random());
      sent[index].append(message, 0, sockets_[index].PeerWrite(message));
    }
    Reap(0);
    for (size_t i = 0; i < kConnections; ++i) {
      if (last_result_[i] == -ENOBUFS) {
        Arm(i);
        last_result_[i] = 0;
      }
    }
  }
  for (size_t i = 0; i < kConnections; ++i) {
    while (received_[i].size() < sent[i].size() && Reap(1'000'000'000) > 0) {
      for (size_t j = 0; j < kConnections; ++j) {
        if (last_result_[j] == -ENOBUFS) Arm(j);
        last_result_[j] = 0;
      }
    }
    ASSERT_TRUE(received_[i] == sent[i]) << "connection " << i;
  }
}

TEST_P(BufferRingTest, SlicesKeepTheirBytesWhileTheRingGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Make(2, 1000));
  Connect(1, false);
  keep_ = true;
  std::string sent;
  for (uint32_t i = 0; i < 100; ++i) {
    const std::string message = Pattern(1000 + i * 13, i);
    ASSERT_EQ(sockets_[0].PeerWrite(message), message.size());
    sent += message;
    ReapUntil(0, sent.size());
  }
  std::string kept;
  for (const Slice& slice : slices_) kept.append(slice.view());
  EXPECT_TRUE(kept == sent);
}

TEST_P(BufferRingTest, HungryIdsAreFilledWhenChunksReturn) {
  ASSERT_NO_FATAL_FAILURE(Make(4, 4));
  Connect(1, false);
  EXPECT_EQ(buffers_->filled(), 4u);
  keep_ = true;
  const std::string message = Pattern(6 * kChunk, 5);
  ASSERT_EQ(sockets_[0].PeerWrite(message), message.size());
  for (int turn = 0; turn < 20 && last_result_[0] != -ENOBUFS; ++turn) Reap(1'000'000'000);
  ASSERT_EQ(last_result_[0], -ENOBUFS);
  ASSERT_EQ(buffers_->filled(), 0u);
  EXPECT_FALSE(buffers_->IsHalfFilled());
  EXPECT_EQ(received_[0].size(), 4 * kChunk);
  buffers_->Refill();
  EXPECT_EQ(buffers_->filled(), 0u);
  slices_.erase(slices_.begin());
  buffers_->Refill();
  EXPECT_EQ(buffers_->filled(), 1u);
  slices_.clear();
  buffers_->Refill();
  EXPECT_EQ(buffers_->filled(), 4u);
  keep_ = false;
  last_result_[0] = 1;
  Arm(0);
  ReapUntil(0, message.size());
  EXPECT_TRUE(received_[0] == message);
}

TEST_P(BufferRingTest, TheEndOfAStreamUsesUpNothing) {
  ASSERT_NO_FATAL_FAILURE(Make(2, 2));
  Connect(64, false);
  for (size_t i = 0; i < 64; ++i) {
    if (i % 2 == 0) {
      ASSERT_EQ(sockets_[i].PeerWrite("abc"), 3u);
    }
    sockets_[i].peer.Reset();
    last_result_[i] = 1;
    for (int turn = 0; turn < 10 && last_result_[i] > 0; ++turn) Reap(1'000'000'000);
    ASSERT_EQ(last_result_[i], 0);
    ASSERT_EQ(received_[i], i % 2 == 0 ? "abc" : "");
    buffers_->Refill();
    ASSERT_EQ(buffers_->filled(), 2u);
  }
}

TEST_P(BufferRingTest, CountsNeedNotBePowersOfTwo) {
  ASSERT_NO_FATAL_FAILURE(Make(5, 16));
  Connect(1, false);
  std::string sent;
  for (uint32_t i = 0; i < 40; ++i) {
    const std::string message = Pattern(kChunk, i);
    ASSERT_EQ(sockets_[0].PeerWrite(message), message.size());
    sent += message;
    ReapUntil(0, sent.size());
  }
  EXPECT_TRUE(received_[0] == sent);
}

INSTANTIATE_TEST_SUITE_P(Modes, BufferRingTest,
                         ::testing::Values(Mode{true, true, TaskWork::kDeferred},
                                           Mode{true, false, TaskWork::kDeferred},
                                           Mode{false, true, TaskWork::kDeferred},
                                           Mode{false, false, TaskWork::kDeferred},
                                           Mode{true, true, TaskWork::kCooperative},
                                           Mode{false, false, TaskWork::kCooperative}),
                         [](const auto& info) {
                           return std::string(info.param.incremental ? "Incremental" : "Whole") +
                                  (info.param.multishot ? "Multishot" : "Single") +
                                  (info.param.task_work == TaskWork::kDeferred ? "Deferred"
                                                                               : "Cooperative");
                         });

TEST(BufferRingCreateTest, FailsWithoutASingleBuffer) {
  auto kernel = KernelRing::Create({});
  ASSERT_TRUE(kernel.ok());
  ChunkPool pool(kChunk, kChunk - 1);
  EXPECT_EQ(BufferRing::Create(**kernel, pool, {.count = 2}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace rcproxy::uring
