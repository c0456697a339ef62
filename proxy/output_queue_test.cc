#include "proxy/output_queue.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proxy/staging.h"
#include "uring/chunk.h"
#include "uring/object_pool.h"

namespace rcproxy::proxy {
namespace {

using uring::Chunk;
using uring::ChunkPool;

constexpr size_t kChunkBytes = 8192;

std::string Contents(const OutputQueue& queue) {
  std::vector<iovec> pieces(10000);
  pieces.resize(queue.Gather(pieces.data(), static_cast<int>(pieces.size())));
  std::string bytes;
  for (const iovec& piece : pieces) bytes.append(static_cast<char*>(piece.iov_base), piece.iov_len);
  return bytes;
}

class OutputQueueTest : public testing::Test {
 protected:
  // A chunk that holds `bytes`; the caller's reference.
  Chunk* ChunkOf(std::string_view bytes) {
    Chunk* chunk = pool_.TakeLarge(bytes.size());
    std::memcpy(chunk->data, bytes.data(), bytes.size());
    return chunk;
  }
  int Pieces(const OutputQueue& queue) {
    iovec pieces[100];
    return queue.Gather(pieces, 100);
  }

  ChunkPool pool_{kChunkBytes, SIZE_MAX};
  std::unique_ptr<Staging> staging_ = std::make_unique<Staging>(pool_);
  ObjectPool<Segment> segments_;
  QueueMemory memory_{segments_, *staging_};
};

TEST_F(OutputQueueTest, SmallPiecesBecomeOneSegment) {
  OutputQueue queue(memory_);
  for (int i = 0; i < 100; ++i) queue.Append("+OK\r\n");
  EXPECT_TRUE(queue.HasOneSegment());
  EXPECT_EQ(queue.bytes(), 500u);
  EXPECT_EQ(queue.FirstSegment().substr(0, 10), "+OK\r\n+OK\r\n");
}

TEST_F(OutputQueueTest, CopiesUpToTheThresholdAndReferencesBeyondIt) {
  const std::string bytes(OutputQueue::kCopyBytesMax + 1, 'x');
  Chunk* chunk = ChunkOf(bytes);
  OutputQueue queue(memory_);
  queue.AppendFrom(chunk, {chunk->data, OutputQueue::kCopyBytesMax});
  EXPECT_EQ(chunk->refs, 1u);
  queue.AppendFrom(chunk, {chunk->data, bytes.size()});
  EXPECT_EQ(chunk->refs, 2u);
  EXPECT_EQ(queue.bytes(), 2 * bytes.size() - 1);
  queue.Clear();
  EXPECT_EQ(chunk->refs, 1u);
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, NeighbouringReferencesBecomeOneSegment) {
  Chunk* chunk = ChunkOf(std::string(6000, 'y'));
  OutputQueue queue(memory_);
  queue.AppendReference(chunk, {chunk->data, 2000});
  queue.AppendReference(chunk, {chunk->data + 2000, 2000});
  EXPECT_EQ(Pieces(queue), 1);
  queue.AppendReference(chunk, {chunk->data + 4500, 1500});
  EXPECT_EQ(Pieces(queue), 2);
  EXPECT_EQ(queue.bytes(), 5500u);
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, CopyingGoesOnBehindAReferenceInTheSameBlock) {
  Chunk* chunk = ChunkOf(std::string(2000, 'y'));
  OutputQueue queue(memory_);
  queue.Append("a");
  queue.AppendReference(chunk, {chunk->data, 2000});
  queue.Append("b");
  queue.Append("c");
  EXPECT_EQ(Pieces(queue), 3);
  EXPECT_EQ(Contents(queue), "a" + std::string(2000, 'y') + "bc");
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, AReferenceRightBehindOurOwnBlockDoesNotSwallowWhatIsCopiedNext) {
  OutputQueue queue(memory_);
  queue.Append("12345");
  // Bytes of the same chunk, beginning where our copied bytes end: taken by somebody else.
  const OutputQueue::Space space = queue.Extend(3);
  std::memcpy(space.data, "abc", 3);
  queue.AppendReference(space.chunk, {space.data, 3});
  queue.Append("z");
  queue.CheckInvariants();
  EXPECT_EQ(Contents(queue), "12345abcabcz");
}

TEST_F(OutputQueueTest, ExtendGivesRoomThatIsPartOfTheQueueAtOnce) {
  OutputQueue queue(memory_);
  const OutputQueue::Space space = queue.Extend(5);
  EXPECT_EQ(queue.bytes(), 5u);
  std::memcpy(space.data, "hello", 5);
  EXPECT_EQ(Contents(queue), "hello");
  const OutputQueue::Space large = queue.Extend(3 * kChunkBytes);
  std::memset(large.data, 'L', 3 * kChunkBytes);
  EXPECT_EQ(Contents(queue), "hello" + std::string(3 * kChunkBytes, 'L'));
}

TEST_F(OutputQueueTest, BytesStayWhereTheyAreWhileTheBackGrows) {
  OutputQueue queue(memory_);
  queue.Append("front");
  const char* const front = queue.FirstSegment().data();
  for (int i = 0; i < 3000; ++i) queue.Append("0123456789");
  EXPECT_EQ(queue.FirstSegment().data(), front);
}

TEST_F(OutputQueueTest, GatherStopsAtItsLimit) {
  Chunk* chunk = ChunkOf(std::string(5000, 'y'));
  OutputQueue queue(memory_);
  for (int i = 0; i < 5; ++i) queue.AppendReference(chunk, {chunk->data + i, 1});
  for (int i = 0; i < 5; ++i) queue.AppendReference(chunk, {chunk->data, 7});
  iovec pieces[3];
  EXPECT_EQ(queue.Gather(pieces, 3), 3);
  EXPECT_EQ(pieces[0].iov_len, 5u);
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, ConsumesAcrossSegmentsAndInTheirMiddle) {
  Chunk* chunk = ChunkOf(std::string(2000, 'y'));
  OutputQueue queue(memory_);
  queue.Append("abc");
  queue.AppendReference(chunk, {chunk->data, 2000});
  queue.Append("def");
  queue.Consume(0);
  queue.Consume(2);
  EXPECT_EQ(queue.FirstSegment(), "c");
  queue.Consume(1 + 1999);
  EXPECT_EQ(Contents(queue), "ydef");
  queue.Consume(4);
  EXPECT_TRUE(queue.empty());
  queue.CheckInvariants();
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, LosesItsEndInTheMiddleOfSegments) {
  const std::string letters = "abcdefghij";
  const std::string whole = letters + std::string(2000, 'x') + letters;
  Chunk* chunk = ChunkOf(std::string(2000, 'x'));
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{10}, size_t{11}, size_t{2010}, size_t{2011}, whole.size()}) {
    OutputQueue queue(memory_);
    queue.Append(letters);
    queue.AppendFrom(chunk, {chunk->data, 2000});
    queue.Append(letters);
    queue.Truncate(size);
    queue.CheckInvariants();
    EXPECT_EQ(Contents(queue), whole.substr(0, size));
    queue.Append("end");
    EXPECT_EQ(Contents(queue), whole.substr(0, size) + "end");
    queue.Consume(size + 3);
    EXPECT_TRUE(queue.empty());
  }
  ChunkPool::Unref(chunk);
}

TEST_F(OutputQueueTest, AnEmptyQueueHoldsNoMemory) {
  OutputQueue queue(memory_);
  queue.Append(std::string(3 * kChunkBytes, 'x'));
  queue.Append("tail");
  queue.Consume(queue.bytes());
  EXPECT_EQ(segments_.live(), 0u);
  staging_.reset();
  EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(OutputQueueTest, ManyQueuesWithOneSmallReplyEachShareChunks) {
  std::vector<std::unique_ptr<OutputQueue>> queues;
  for (int i = 0; i < 160; ++i) {
    queues.push_back(std::make_unique<OutputQueue>(memory_));
    queues.back()->Append("reply " + std::to_string(i));
  }
  EXPECT_LE(pool_.bytes_in_use(), 160 * OutputQueue::kBlockBytesMin + kChunkBytes);
  for (int i = 0; i < 160; ++i) EXPECT_EQ(Contents(*queues[i]), "reply " + std::to_string(i));
}

TEST_F(OutputQueueTest, TakesAListOverAndLeavesItEmpty) {
  OutputQueue queue(memory_);
  queue.Append("first ");
  SegmentList list;
  list.Add(segments_, ChunkOf("short "), {});
  list.Clear(segments_);
  Chunk* small = ChunkOf("short ");
  list.Add(segments_, small, {small->data, 6});
  Chunk* large = ChunkOf(std::string(5000, 'L'));
  list.Add(segments_, large, {large->data, 5000});
  EXPECT_EQ(list.bytes(), 5006u);
  queue.TakeAll(&list);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.bytes(), 0u);
  EXPECT_EQ(Contents(queue), "first short " + std::string(5000, 'L'));
  queue.TakeAll(&list);
  EXPECT_EQ(queue.bytes(), 5012u);
}

TEST_F(OutputQueueTest, AListLosesItsFirstBytes) {
  SegmentList list;
  Chunk* chunk = ChunkOf("abcdef");
  for (int i = 0; i < 3; ++i) {
    ChunkPool::Ref(chunk);
    list.Add(segments_, chunk, {chunk->data + 2 * i, 2});
  }
  list.DropFront(segments_, 0);
  list.DropFront(segments_, 3);
  EXPECT_EQ(list.bytes(), 3u);
  EXPECT_EQ(*list.head()->begin, 'd');
  EXPECT_EQ(segments_.live(), 2u);
  list.DropFront(segments_, 3);
  EXPECT_TRUE(list.empty());
  list.Add(segments_, chunk, {chunk->data, 1});
  EXPECT_EQ(list.bytes(), 1u);
  list.Clear(segments_);
}

TEST_F(OutputQueueTest, ListsExchangeTheirContents) {
  SegmentList one;
  SegmentList two;
  Chunk* chunk = ChunkOf("abc");
  one.Add(segments_, chunk, {chunk->data, 3});
  one.Swap(&two);
  EXPECT_TRUE(one.empty());
  ASSERT_FALSE(two.empty());
  EXPECT_EQ(two.bytes(), 3u);
  two.Clear(segments_);
  EXPECT_EQ(segments_.live(), 0u);
}

// Random operations on a few queues that share everything, against plain strings.
class RandomQueues {
 public:
  explicit RandomQueues(uint64_t seed) : random_(seed) {
    for (int i = 0; i < kQueues; ++i) queues_.push_back(std::make_unique<OutputQueue>(memory_));
    models_.resize(kQueues);
    chunk_ = pool_.TakeLarge(100'000);
    for (uint32_t i = 0; i < chunk_->capacity; ++i) chunk_->data[i] = 'A' + i % 57;
  }
  ~RandomQueues() {
    queues_.clear();
    ChunkPool::Unref(chunk_);
    EXPECT_EQ(segments_.live(), 0u);
  }

  void Step() {
    const int index = Below(kQueues);
    OutputQueue& queue = *queues_[index];
    std::string& model = models_[index];
    switch (Below(7)) {
      case 0:
        return Append(&queue, &model, Below(40));
      case 1:
        return Append(&queue, &model, Below(2000));
      case 2: {
        const std::string_view piece = Piece();
        queue.AppendFrom(chunk_, piece);
        model.append(piece);
        return;
      }
      case 3: {
        const size_t size = 1 + Below(Below(20) == 0 ? 20000 : 300);
        std::memset(queue.Extend(size).data, 'e', size);
        model.append(size, 'e');
        return;
      }
      case 4:
        return TakeList(&queue, &model);
      default: {
        const size_t size = Below(4) == 0 ? model.size() : Below(model.size() + 1);
        queue.Consume(size);
        model.erase(0, size);
        return;
      }
    }
  }
  void Check() {
    for (int i = 0; i < kQueues; ++i) {
      queues_[i]->CheckInvariants();
      ASSERT_EQ(queues_[i]->bytes(), models_[i].size());
      ASSERT_EQ(Contents(*queues_[i]), models_[i]);
    }
  }

 private:
  static constexpr int kQueues = 3;

  size_t Below(size_t limit) { return random_() % limit; }
  std::string_view Piece() {
    const size_t begin = Below(90'000);
    return {chunk_->data + begin, Below(2) == 0 ? Below(100) : Below(9000)};
  }
  void Append(OutputQueue* queue, std::string* model, size_t size) {
    const std::string piece(size, static_cast<char>('a' + Below(26)));
    queue->Append(piece);
    *model += piece;
  }
  void TakeList(OutputQueue* queue, std::string* model) {
    SegmentList list;
    for (size_t i = Below(4); i > 0; --i) {
      const std::string_view piece = Piece();
      ChunkPool::Ref(chunk_);
      list.Add(segments_, chunk_, piece);
      model->append(piece);
    }
    queue->TakeAll(&list);
  }

  std::mt19937_64 random_;
  ChunkPool pool_{kChunkBytes, SIZE_MAX};
  Staging staging_{pool_};
  ObjectPool<Segment> segments_;
  QueueMemory memory_{segments_, staging_};
  Chunk* chunk_;
  std::vector<std::unique_ptr<OutputQueue>> queues_;
  std::vector<std::string> models_;
};

TEST(OutputQueueRandomTest, BehavesLikeAString) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomQueues queues(seed);
    for (int i = 0; i < 400; ++i) {
      queues.Step();
      if (i % 5 == 0) queues.Check();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace rcproxy::proxy
