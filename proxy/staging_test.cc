#include "proxy/staging.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

using uring::ChunkPool;

class StagingTest : public testing::Test {
 protected:
  static constexpr size_t kChunkBytes = 4096;
  ~StagingTest() override {
    for (const Staging::Block& block : blocks_) ChunkPool::Unref(block.chunk);
  }
  Staging::Block Take(size_t minimum, size_t wanted) {
    blocks_.push_back(staging_.Take(minimum, wanted));
    return blocks_.back();
  }
  static size_t Size(const Staging::Block& block) { return block.end - block.begin; }
  void ReleaseAll() {
    for (const Staging::Block& block : blocks_) ChunkPool::Unref(block.chunk);
    blocks_.clear();
  }

  ChunkPool pool_{kChunkBytes, SIZE_MAX};
  Staging staging_{pool_};
  std::vector<Staging::Block> blocks_;
};

TEST_F(StagingTest, BlocksOfOneChunkFollowOneAnother) {
  const Staging::Block first = Take(10, 10);
  const Staging::Block second = Take(20, 20);
  EXPECT_EQ(Size(first), 10u);
  EXPECT_EQ(Size(second), 20u);
  EXPECT_EQ(first.chunk, second.chunk);
  EXPECT_EQ(first.end, second.begin);
}

TEST_F(StagingTest, GivesWhatIsWantedOnlyAsFarAsItIsThere) {
  Take(4000, 4000);
  const Staging::Block rest = Take(10, 500);
  EXPECT_EQ(Size(rest), 96u);
  EXPECT_EQ(rest.chunk, blocks_.front().chunk);
}

TEST_F(StagingTest, TakesTheNextChunkWhenTheMinimumDoesNotFit) {
  Take(4000, 4000);
  const Staging::Block next = Take(97, 500);
  EXPECT_EQ(Size(next), 500u);
  EXPECT_NE(next.chunk, blocks_.front().chunk);
}

TEST_F(StagingTest, ABlockMayBeAWholeChunk) {
  EXPECT_EQ(Size(Take(kChunkBytes, kChunkBytes)), kChunkBytes);
  EXPECT_FALSE(blocks_.back().chunk->from_heap);
}

TEST_F(StagingTest, MoreThanAChunkComesFromTheHeapAndGoesBackToIt) {
  const Staging::Block large = Take(kChunkBytes + 1, 10 * kChunkBytes);
  EXPECT_EQ(Size(large), kChunkBytes + 1);
  EXPECT_TRUE(large.chunk->from_heap);
  std::memset(large.begin, 'x', Size(large));
  ReleaseAll();
  EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(StagingTest, StartsOverInAChunkThatNobodyElseHolds) {
  const char* const begin = Take(100, 100).begin;
  Take(100, 100);
  ReleaseAll();
  EXPECT_EQ(Take(50, 50).begin, begin);
}

TEST_F(StagingTest, DoesNotStartOverWhileSomebodyHoldsABlock) {
  const Staging::Block held = Take(100, 100);
  Take(100, 100);
  ChunkPool::Unref(blocks_.back().chunk);
  blocks_.pop_back();
  EXPECT_EQ(Take(50, 50).begin, held.end + 100);
}

TEST_F(StagingTest, AChunkIsFreeWhenItsLastBlockIsAndAnotherIsInUse) {
  Take(kChunkBytes, kChunkBytes);
  Take(10, 10);
  EXPECT_EQ(pool_.bytes_in_use(), 2 * kChunkBytes);
  ChunkPool::Unref(blocks_.front().chunk);
  blocks_.erase(blocks_.begin());
  EXPECT_EQ(pool_.bytes_in_use(), kChunkBytes);
}

TEST(StagingLifeTest, KeepsNothingAfterItsEnd) {
  ChunkPool pool(4096, SIZE_MAX);
  {
    Staging staging(pool);
    ChunkPool::Unref(staging.Take(1, 1).chunk);
    EXPECT_EQ(pool.bytes_in_use(), 4096u);
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
