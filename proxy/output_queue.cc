#include "proxy/output_queue.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

void SegmentList::Add(ObjectPool<Segment>& pool, Chunk* chunk, std::string_view piece) {
  Segment* segment = pool.New();
  segment->chunk = chunk;
  segment->begin = piece.data();
  segment->end = piece.data() + piece.size();
  (tail_ == nullptr ? head_ : tail_->next) = segment;
  tail_ = segment;
  bytes_ += piece.size();
}

void SegmentList::DropFront(ObjectPool<Segment>& pool, size_t size) {
  DCHECK_LE(size, bytes_);
  bytes_ -= size;
  while (size > 0 && size >= head_->size()) {
    Segment* segment = std::exchange(head_, head_->next);
    size -= segment->size();
    ChunkPool::Unref(segment->chunk);
    pool.Delete(segment);
  }
  if (size > 0) head_->begin += size;
  if (head_ == nullptr) tail_ = nullptr;
}

void SegmentList::Clear(ObjectPool<Segment>& pool) {
  while (head_ != nullptr) {
    Segment* segment = head_;
    head_ = segment->next;
    ChunkPool::Unref(segment->chunk);
    pool.Delete(segment);
  }
  tail_ = nullptr;
  bytes_ = 0;
}

void SegmentList::Swap(SegmentList* other) {
  std::swap(head_, other->head_);
  std::swap(tail_, other->tail_);
  std::swap(bytes_, other->bytes_);
}

void OutputQueue::Append(std::string_view piece) {
  if (piece.empty()) return;
  std::memcpy(Extend(piece.size()).data, piece.data(), piece.size());
}

OutputQueue::Space OutputQueue::Extend(size_t size) {
  DCHECK_GT(size, 0u);
  if (static_cast<size_t>(block_end_ - block_cursor_) < size) {
    DropBlock();
    // Grows with what is waiting: an idle client costs half a KiB, a busy one gets a whole chunk.
    Staging::Block block = memory_.staging.Take(size, std::max(bytes_, kBlockBytesMin));
    block_chunk_ = block.chunk;
    block_cursor_ = block.begin;
    block_end_ = block.end;
  }
  char* to = block_cursor_;
  block_cursor_ += size;
  if (tail_ != nullptr && tail_->end == to && tail_->chunk == block_chunk_) {
    tail_->end += size;
    bytes_ += size;
  } else {
    ChunkPool::Ref(block_chunk_);
    AddSegment(block_chunk_, to, to + size);
  }
  return {to, block_chunk_};
}

void OutputQueue::AppendReference(Chunk* chunk, std::string_view piece) {
  if (piece.empty()) return;
  if (tail_ != nullptr && tail_->chunk == chunk && tail_->end == piece.data() &&
      tail_->end != block_cursor_) {
    tail_->end += piece.size();
    bytes_ += piece.size();
    return;
  }
  ChunkPool::Ref(chunk);
  AddSegment(chunk, piece.data(), piece.data() + piece.size());
}

void OutputQueue::AddSegment(Chunk* chunk, const char* begin, const char* end) {
  Segment* segment = memory_.segments.New();
  segment->chunk = chunk;
  segment->begin = begin;
  segment->end = end;
  if (tail_ == nullptr) {
    head_ = segment;
  } else {
    tail_->next = segment;
  }
  tail_ = segment;
  bytes_ += segment->size();
}

int OutputQueue::Gather(iovec* pieces, int max) const {
  int count = 0;
  for (const Segment* s = head_; s != nullptr && count < max; s = s->next, ++count) {
    pieces[count] = {const_cast<char*>(s->begin), s->size()};
  }
  return count;
}

void OutputQueue::PopSegment() {
  Segment* segment = head_;
  head_ = segment->next;
  if (head_ == nullptr) tail_ = nullptr;
  ChunkPool::Unref(segment->chunk);
  memory_.segments.Delete(segment);
}

void OutputQueue::Consume(size_t size) {
  CHECK_LE(size, bytes_);
  bytes_ -= size;
  while (size > 0) {
    const size_t first = head_->size();
    if (size < first) {
      head_->begin += size;
      return;
    }
    size -= first;
    PopSegment();
  }
  if (head_ == nullptr) DropBlock();
}

void OutputQueue::Truncate(size_t size) {
  DCHECK_LE(size, bytes_);
  if (size == 0) return Clear();
  bytes_ = size;
  tail_ = head_;
  while (size > tail_->size()) {
    size -= tail_->size();
    tail_ = tail_->next;
  }
  tail_->end = tail_->begin + size;
  Segment* rest = std::exchange(tail_->next, nullptr);
  while (rest != nullptr) {
    Segment* segment = std::exchange(rest, rest->next);
    ChunkPool::Unref(segment->chunk);
    memory_.segments.Delete(segment);
  }
  DropBlock();
}

void OutputQueue::DropBlock() {
  if (block_chunk_ != nullptr) ChunkPool::Unref(block_chunk_);
  block_chunk_ = nullptr;
  block_cursor_ = block_end_ = nullptr;
}

void OutputQueue::Clear() {
  while (head_ != nullptr) PopSegment();
  bytes_ = 0;
  DropBlock();
}

void OutputQueue::TakeAll(SegmentList* list) {
  for (const Segment* s = list->head(); s != nullptr; s = s->next) {
    AppendFrom(s->chunk, {s->begin, s->size()});
  }
  list->Clear(memory_.segments);
}

void OutputQueue::CheckInvariants() const {
  size_t sum = 0;
  for (const Segment* s = head_; s != nullptr; s = s->next) {
    CHECK_LT(s->begin, s->end);
    CHECK(s->next != nullptr || s == tail_);
    sum += s->size();
  }
  CHECK_EQ(sum, bytes_);
  CHECK(head_ != nullptr || block_chunk_ == nullptr);
}

}  // namespace rcproxy::proxy
