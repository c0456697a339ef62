// Counted blocks of memory for bytes on the way through, and slices of them.
//
// A Chunk is one block. It lives as long as some Slice (or the buffer ring, or a staging area)
// holds a reference, then goes back to its pool, which hands the most recently returned one out
// first because it is still in the cache.
//
// Owner: ChunkPool; each Slice holds one reference. Thread: one worker; counts are plain integers,
// so a chunk never leaves its worker. Invariants: 1. refs > 0 while any Slice names the chunk; 2. a
// chunk on the free list has refs == 0; 3. bytes_in_use() is the sum of the capacities of all
// chunks that are not free.
#pragma once

#include <glog/logging.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace rcproxy::uring {

class ChunkPool;

struct Chunk {
  char* data = nullptr;
  uint32_t capacity = 0;
  uint32_t refs = 0;
  ChunkPool* pool = nullptr;
  Chunk* next_free = nullptr;
  bool from_heap = false;  // TakeLarge.
};

class ChunkPool {
 public:
  // Chunks of `chunk_bytes`, allocated in slabs when needed, never more than `limit_bytes` in use
  // at a time (large chunks included).
  ChunkPool(size_t chunk_bytes, size_t limit_bytes);
  ~ChunkPool();  // Requires: every chunk has been returned.
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // A chunk of chunk_bytes() with refs == 1, or nullptr at the limit.
  Chunk* Take();
  // A chunk of at least `bytes` (> 0) from the heap with refs == 1, or nullptr at the limit. For
  // single large commands. A few of them are kept when they are returned, as the pages of a new
  // one cost more than what is copied into them.
  Chunk* TakeLarge(size_t bytes);

  static void Ref(Chunk* chunk) { ++chunk->refs; }
  static void Unref(Chunk* chunk) {
    DCHECK_GT(chunk->refs, 0u);
    if (--chunk->refs == 0) chunk->pool->Return(chunk);
  }

  size_t chunk_bytes() const { return chunk_bytes_; }
  size_t limit_bytes() const { return limit_bytes_; }
  size_t bytes_in_use() const { return bytes_in_use_; }
  size_t bytes_reserved() const { return bytes_reserved_; }  // slabs, whether in use or not
  void CheckInvariants() const;

 private:
  // Of the large chunks that are kept.
  static constexpr size_t kKeptBytesMax = 16 << 20;
  static constexpr size_t kKeptMax = 32;

  void Return(Chunk* chunk);
  bool Grow();
  Chunk* TakeKept(size_t bytes);

  const size_t chunk_bytes_;
  const size_t limit_bytes_;
  size_t bytes_in_use_ = 0;
  size_t bytes_reserved_ = 0;
  Chunk* free_ = nullptr;
  std::vector<Chunk*> kept_;  // Large ones, the last returned at the end.
  size_t kept_bytes_ = 0;
  struct Slab;
  std::vector<std::unique_ptr<Slab>> slabs_;
};

// A counted view of bytes in a chunk; a value. An empty slice names no chunk.
class Slice {
 public:
  Slice() = default;
  // Takes over one reference that the caller holds.
  static Slice Adopt(Chunk* chunk, const char* data, uint32_t size) {
    return Slice(chunk, data, size);
  }
  // Adds a reference of its own.
  static Slice Share(Chunk* chunk, const char* data, uint32_t size) {
    ChunkPool::Ref(chunk);
    return Slice(chunk, data, size);
  }
  Slice(const Slice& other) : Slice(other.chunk_, other.data_, other.size_) {
    if (chunk_ != nullptr) ChunkPool::Ref(chunk_);
  }
  Slice(Slice&& other) noexcept
      : chunk_(std::exchange(other.chunk_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(chunk_, other.chunk_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() {
    if (chunk_ != nullptr) ChunkPool::Unref(chunk_);
  }

  const char* data() const { return data_; }
  uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  Chunk* chunk() const { return chunk_; }

  // A slice of `size` bytes from `offset`; shares the chunk.
  Slice Sub(uint32_t offset, uint32_t size) const {
    DCHECK_LE(offset + size, size_);
    return Share(chunk_, data_ + offset, size);
  }
  void RemovePrefix(uint32_t bytes) {
    DCHECK_LE(bytes, size_);
    data_ += bytes;
    size_ -= bytes;
  }
  void Clear() { *this = Slice(); }

 private:
  Slice(Chunk* chunk, const char* data, uint32_t size) : chunk_(chunk), data_(data), size_(size) {}

  Chunk* chunk_ = nullptr;
  const char* data_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace rcproxy::uring
