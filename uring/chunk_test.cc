#include "uring/chunk.h"

#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::uring {
namespace {

constexpr size_t kChunk = 4096;

TEST(ChunkPoolTest, GivesWritableChunksUpToTheLimit) {
  ChunkPool pool(kChunk, 3 * kChunk);
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 3; ++i) {
    chunks.push_back(pool.Take());
    ASSERT_NE(chunks.back(), nullptr);
    EXPECT_EQ(chunks.back()->capacity, kChunk);
    EXPECT_EQ(chunks.back()->refs, 1u);
    std::memset(chunks.back()->data, 'a' + i, kChunk);
  }
  EXPECT_EQ(pool.Take(), nullptr);
  EXPECT_EQ(pool.bytes_in_use(), 3 * kChunk);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(chunks[i]->data[kChunk - 1], 'a' + i);
  pool.CheckInvariants();
  for (Chunk* chunk : chunks) ChunkPool::Unref(chunk);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_GE(pool.bytes_reserved(), 3 * kChunk);
  pool.CheckInvariants();
}

TEST(ChunkPoolTest, ReusesTheMostRecentlyReturnedFirst) {
  ChunkPool pool(kChunk, 8 * kChunk);
  Chunk* const first = pool.Take();
  Chunk* const second = pool.Take();
  ChunkPool::Unref(first);
  ChunkPool::Unref(second);
  EXPECT_EQ(pool.Take(), second);
  EXPECT_EQ(pool.Take(), first);
  ChunkPool::Unref(first);
  ChunkPool::Unref(second);
}

TEST(ChunkPoolTest, GrowsBySlabsAndKeepsThem) {
  ChunkPool pool(64 << 10, 16 << 20);
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 256; ++i) chunks.push_back(pool.Take());
  EXPECT_EQ(pool.bytes_in_use(), size_t{16} << 20);
  EXPECT_EQ(pool.bytes_reserved(), size_t{16} << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(chunks[0]->data) % (2 << 20), 0u) << "no huge page";
  for (Chunk* chunk : chunks) ChunkPool::Unref(chunk);
  EXPECT_EQ(pool.bytes_reserved(), size_t{16} << 20);
}

TEST(ChunkPoolTest, ReservesLittleForALittleLimit) {
  ChunkPool pool(kChunk, 2 * kChunk);
  ChunkPool::Unref(pool.Take());
  EXPECT_EQ(pool.bytes_reserved(), 2 * kChunk);
}

TEST(ChunkPoolTest, LargeChunksCountAgainstTheLimitAndAreFreed) {
  ChunkPool pool(kChunk, 100'000);
  Chunk* const large = pool.TakeLarge(90'001);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->capacity, 90'001u);
  std::memset(large->data, 'x', large->capacity);
  EXPECT_EQ(pool.TakeLarge(10'000), nullptr);
  Chunk* const small = pool.Take();
  EXPECT_NE(small, nullptr);
  EXPECT_EQ(pool.bytes_in_use(), 90'001 + kChunk);
  pool.CheckInvariants();
  ChunkPool::Unref(large);
  EXPECT_EQ(pool.bytes_in_use(), kChunk);
  ChunkPool::Unref(small);
}

TEST(ChunkPoolTest, ALargeChunkIsUsedAgainForWhatFillsHalfOfIt) {
  ChunkPool pool(kChunk, SIZE_MAX);
  Chunk* const first = pool.TakeLarge(1 << 20);
  ChunkPool::Unref(first);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  Chunk* const small = pool.TakeLarge((1 << 19) - 1);
  EXPECT_NE(small, first);
  Chunk* const again = pool.TakeLarge(1 << 19);
  EXPECT_EQ(again, first);
  EXPECT_EQ(again->capacity, 1u << 20);
  EXPECT_EQ(pool.bytes_in_use(), (1u << 20) + (1u << 19) - 1);
  ChunkPool::Unref(again);
  ChunkPool::Unref(small);
}

TEST(ChunkPoolTest, FewLargeChunksAreKept) {
  ChunkPool pool(kChunk, SIZE_MAX);
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 40; ++i) chunks.push_back(pool.TakeLarge(1 << 20));
  for (Chunk* const chunk : chunks) ChunkPool::Unref(chunk);  // Beyond 16 MiB they are freed.
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  Chunk* const huge = pool.TakeLarge(32 << 20);
  ChunkPool::Unref(huge);
  EXPECT_EQ(pool.TakeLarge(1 << 20)->refs, 1u);
  ChunkPool::Unref(chunks[15]);  // The last that was kept came first.
}

TEST(ChunkPoolTest, RefusesWhatNoSizeCanHold) {
  ChunkPool pool(kChunk, SIZE_MAX);
  EXPECT_EQ(pool.TakeLarge(size_t{1} << 32), nullptr);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(ChunkPoolDeathTest, AChunkMustNotOutliveItsPool) {
  EXPECT_DEATH(
      {
        ChunkPool pool(kChunk, kChunk);
        pool.Take();
      },
      "outlive");
}

TEST(SliceTest, HoldsItsChunkUntilTheLastOneGoes) {
  ChunkPool pool(kChunk, kChunk);
  Chunk* const chunk = pool.Take();
  std::memcpy(chunk->data, "hello world", 11);
  Slice all = Slice::Adopt(chunk, chunk->data, 11);
  EXPECT_EQ(chunk->refs, 1u);
  Slice world = all.Sub(6, 5);
  EXPECT_EQ(chunk->refs, 2u);
  EXPECT_EQ(world.view(), "world");
  Slice copy = world;
  EXPECT_EQ(chunk->refs, 3u);
  Slice moved = std::move(world);
  EXPECT_EQ(chunk->refs, 3u);
  EXPECT_TRUE(world.empty());  // NOLINT: what a moved-from slice is, is the point.
  EXPECT_EQ(world.chunk(), nullptr);
  all.Clear();
  copy = Slice();
  EXPECT_EQ(chunk->refs, 1u);
  EXPECT_EQ(pool.Take(), nullptr);
  moved.RemovePrefix(3);
  EXPECT_EQ(moved.view(), "ld");
  moved.Clear();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(SliceTest, SelfAssignmentKeepsIt) {
  ChunkPool pool(kChunk, kChunk);
  Chunk* const chunk = pool.Take();
  Slice slice = Slice::Adopt(chunk, chunk->data, 1);
  Slice& alias = slice;
  slice = alias;
  EXPECT_EQ(chunk->refs, 1u);
  EXPECT_EQ(slice.size(), 1u);
}

// Any mixture of takes, copies and drops leaves the accounts balanced.
TEST(SliceTest, RandomUseBalances) {
  const uint32_t seed = 20240607;
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  ChunkPool pool(kChunk, 64 * kChunk);
  std::vector<Slice> slices;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t choice = random() % 4;
    if (choice == 0) {
      const size_t bytes = random() % 2 == 0 ? 0 : 1 + random() % 20'000;
      Chunk* const chunk = bytes == 0 ? pool.Take() : pool.TakeLarge(bytes);
      if (chunk != nullptr) slices.push_back(Slice::Adopt(chunk, chunk->data, chunk->capacity));
    } else if (!slices.empty()) {
      const size_t index = random() % slices.size();
      if (choice == 1) slices.push_back(slices[index].Sub(0, slices[index].size() / 2));
      std::swap(slices[index], slices.back());
      if (choice != 1) slices.pop_back();
    }
    if (step % 100 == 0) pool.CheckInvariants();
  }
  slices.clear();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  pool.CheckInvariants();
}

}  // namespace
}  // namespace rcproxy::uring
