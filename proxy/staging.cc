#include "proxy/staging.h"

#include <glog/logging.h>

#include <algorithm>

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

Staging::Block Staging::Take(size_t bytes_min, size_t bytes_wanted) {
  if (bytes_min > pool_.chunk_bytes()) {
    Chunk* large = pool_.TakeLarge(bytes_min);
    CHECK(large != nullptr) << "admission control must keep staging below its limit";
    return {large, large->data, large->data + large->capacity};
  }
  // Nobody but us holds the chunk: start over at its beginning, which is still in the cache.
  if (chunk_ != nullptr && chunk_->refs == 1) cursor_ = chunk_->data;
  if (chunk_ == nullptr ||
      static_cast<size_t>(chunk_->data + chunk_->capacity - cursor_) < bytes_min) {
    if (chunk_ != nullptr) ChunkPool::Unref(chunk_);
    chunk_ = pool_.Take();
    CHECK(chunk_ != nullptr) << "admission control must keep staging below its limit";
    cursor_ = chunk_->data;
  }
  const size_t room = static_cast<size_t>(chunk_->data + chunk_->capacity - cursor_);
  const size_t size = std::min(room, std::max(bytes_min, bytes_wanted));
  ChunkPool::Ref(chunk_);
  Block block{chunk_, cursor_, cursor_ + size};
  cursor_ += size;
  return block;
}

}  // namespace rcproxy::proxy
