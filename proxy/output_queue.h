// Bytes on their way out of one socket, as a list of segments of counted chunks.
//
//   head_                                    tail_
//    [sent .. being sent .. ][ referenced ][ copied so far|room ]
//                                                         ^block_cursor_  ^block_end_
//
// Short pieces are copied together into a block of the staging area, so that replies of many nodes
// leave in one send without an iovec each; long ones are referenced where they lie until the kernel
// has taken them. The threshold is the one constant kCopyBytesMax: measured with six nodes, copying
// wins up to 256 to 1,024 bytes.
//
// Owner: a connection. Thread: the worker's.
// Invariants: 1. bytes() is the sum of the segments; 2. an empty queue holds no memory; 3. bytes of
// a segment never move, so the kernel may read the front while the back grows. Per small piece: one
// memcpy, no allocation.
#pragma once

#include <glog/logging.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/staging.h"
#include "uring/chunk.h"
#include "uring/object_pool.h"

namespace rcproxy::proxy {

// A run of bytes of one chunk in a singly linked list; holds one reference.
struct Segment {
  uring::Chunk* chunk = nullptr;
  const char* begin = nullptr;
  const char* end = nullptr;
  Segment* next = nullptr;

  size_t size() const { return static_cast<size_t>(end - begin); }
};

// Bytes that wait for their turn, by reference: a reply that came before its predecessor's, or the
// part of a reply that has arrived so far. A plain list without an owner's pointer, to keep
// requests small.
class SegmentList {
 public:
  SegmentList() = default;
  ~SegmentList() { DCHECK(head_ == nullptr); }  // Clear() or a queue's TakeAll() has to come first.
  SegmentList(const SegmentList&) = delete;
  SegmentList& operator=(const SegmentList&) = delete;

  bool empty() const { return head_ == nullptr; }
  size_t bytes() const { return bytes_; }
  const Segment* head() const { return head_; }
  // Takes over a reference to `chunk`.
  void Add(ObjectPool<Segment>& pool, uring::Chunk* chunk, std::string_view piece);
  // Requires: size <= bytes().
  void DropFront(ObjectPool<Segment>& pool, size_t size);
  void Clear(ObjectPool<Segment>& pool);
  void Swap(SegmentList* other);

 private:
  Segment* head_ = nullptr;
  Segment* tail_ = nullptr;
  size_t bytes_ = 0;
};

// What queues need from their worker.
struct QueueMemory {
  ObjectPool<Segment>& segments;
  Staging& staging;
};

class OutputQueue {
 public:
  static constexpr size_t kCopyBytesMax = 1024;
  static constexpr size_t kBlockBytesMin = 512;

  explicit OutputQueue(QueueMemory& memory) : memory_(memory) {}
  ~OutputQueue() { Clear(); }
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  bool empty() const { return head_ == nullptr; }
  size_t bytes() const { return bytes_; }

  // Copies.
  void Append(std::string_view piece);
  // Copies or references `piece`, which lies in `chunk`, by its length.
  void AppendFrom(uring::Chunk* chunk, std::string_view piece) {
    if (piece.size() <= kCopyBytesMax) {
      Append(piece);
    } else {
      AppendReference(chunk, piece);
    }
  }
  // References `piece`, which lies in `chunk`.
  void AppendReference(uring::Chunk* chunk, std::string_view piece);
  // Adds `size` contiguous bytes for the caller to write at once, before anything else happens to
  // the queue. Returns where, and the chunk they are in (no reference is added).
  struct Space {
    char* data;
    uring::Chunk* chunk;
  };
  Space Extend(size_t size);

  // Describes the first bytes as up to `max` pieces. Returns how many pieces.
  int Gather(iovec* pieces, int max) const;
  std::string_view FirstSegment() const {
    return {head_->begin, static_cast<size_t>(head_->end - head_->begin)};
  }
  bool HasOneSegment() const { return head_ != nullptr && head_ == tail_; }
  // Drops the first `size` bytes. Requires: size <= bytes().
  void Consume(size_t size);
  // Drops all but the first `size` bytes. Requires: size <= bytes().
  void Truncate(size_t size);
  void Clear();
  // Moves everything of `list` to the end of this queue; without copying what is long.
  void TakeAll(SegmentList* list);
  void CheckInvariants() const;

 private:
  void AddSegment(uring::Chunk* chunk, const char* begin,
                  const char* end);  // Takes over a reference.
  void PopSegment();
  void DropBlock();

  QueueMemory& memory_;
  Segment* head_ = nullptr;
  Segment* tail_ = nullptr;
  size_t bytes_ = 0;
  uring::Chunk* block_chunk_ = nullptr;  // One reference while not null.
  char* block_cursor_ = nullptr;
  char* block_end_ = nullptr;
};

}  // namespace rcproxy::proxy
