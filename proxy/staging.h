// Where small pieces of bytes are copied together: blocks cut from one chunk after another.
//
// Many queues of a worker share one staging area, so that ten thousand clients with one small reply
// each need a few chunks, not ten thousand. A block belongs to the queue that took it; the chunk
// returns to the pool when the last slice of any of its blocks has gone.
//
// Owner: Worker (one for what goes to clients, one for what goes to nodes). Thread: the worker's.
// Invariant: [cursor_, end of chunk_) is not handed out yet.
#pragma once

#include <cstddef>

#include "uring/chunk.h"

namespace rcproxy::proxy {

class Staging {
 public:
  explicit Staging(uring::ChunkPool& pool) : pool_(pool) {}
  ~Staging() {
    if (chunk_ != nullptr) uring::ChunkPool::Unref(chunk_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  struct Block {
    uring::Chunk* chunk;  // One reference, the taker's.
    char* begin;
    char* end;
  };
  // A block of at least `bytes_min` and, when it costs nothing, `bytes_wanted` bytes. More than a
  // pool chunk comes from the heap as a chunk of its own.
  Block Take(size_t bytes_min, size_t bytes_wanted);

 private:
  uring::ChunkPool& pool_;
  uring::Chunk* chunk_ = nullptr;
  char* cursor_ = nullptr;
};

}  // namespace rcproxy::proxy
