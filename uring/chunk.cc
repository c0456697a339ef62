#include "uring/chunk.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define RCPROXY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RCPROXY_ASAN 1
#endif
#endif
#ifdef RCPROXY_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace rcproxy::uring {
namespace {

// A slab is one huge page on common machines, so that the kernel can back it by one.
constexpr size_t kSlabBytes = 2 << 20;

// Under AddressSanitizer the bytes of a free chunk are out of bounds: a stale view is found at its
// first use. The kernel's own writes are not checked.
void Poison([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#ifdef RCPROXY_ASAN
  __asan_poison_memory_region(data, bytes);
#endif
}

void Unpoison([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#ifdef RCPROXY_ASAN
  __asan_unpoison_memory_region(data, bytes);
#endif
}

size_t RoundUp(size_t value, size_t step) { return (value + step - 1) / step * step; }

// Maps `bytes` at an address that is a multiple of kSlabBytes when they fill whole slabs (a huge
// page needs that). Returns nullptr when the system has no memory.
char* MapSlab(size_t bytes) {
  const bool align = bytes % kSlabBytes == 0;
  const size_t extra = align ? kSlabBytes : 0;
  void* const mapped =
      mmap(nullptr, bytes + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* data = static_cast<char*>(mapped);
  if (!align) return data;
  const size_t head =
      RoundUp(reinterpret_cast<uintptr_t>(data), kSlabBytes) - reinterpret_cast<uintptr_t>(data);
  if (head > 0) munmap(data, head);
  data += head;
  if (extra > head) munmap(data + bytes, extra - head);
  madvise(data, bytes, MADV_HUGEPAGE);  // Advice only: without huge pages it costs time, no more.
  return data;
}

void FreeLarge(Chunk* chunk) {
  Unpoison(chunk->data, chunk->capacity);
  std::free(chunk);
}

}  // namespace

struct ChunkPool::Slab {
  Slab(char* mapped, size_t mapped_bytes) : data(mapped), bytes(mapped_bytes) {}
  ~Slab() {
    Unpoison(data, bytes);
    munmap(data, bytes);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  char* const data;
  const size_t bytes;
  std::unique_ptr<Chunk[]> chunks;
};

ChunkPool::ChunkPool(size_t chunk_bytes, size_t limit_bytes)
    : chunk_bytes_(chunk_bytes), limit_bytes_(limit_bytes) {
  CHECK_GT(chunk_bytes, 0u);
  CHECK_LE(chunk_bytes, size_t{std::numeric_limits<uint32_t>::max()});
}

ChunkPool::~ChunkPool() {
  CHECK_EQ(bytes_in_use_, 0u) << "chunks outlive their pool";
  for (Chunk* chunk : kept_) FreeLarge(chunk);
}

Chunk* ChunkPool::Take() {
  if (bytes_in_use_ + chunk_bytes_ > limit_bytes_) return nullptr;
  if (free_ == nullptr && !Grow()) return nullptr;
  Chunk* const chunk = std::exchange(free_, free_->next_free);
  DCHECK_EQ(chunk->refs, 0u);
  chunk->next_free = nullptr;
  chunk->refs = 1;
  bytes_in_use_ += chunk_bytes_;
  Unpoison(chunk->data, chunk->capacity);
  return chunk;
}

Chunk* ChunkPool::TakeLarge(size_t bytes) {
  DCHECK_GT(bytes, 0u);
  if (bytes > std::numeric_limits<uint32_t>::max()) return nullptr;
  if (bytes > limit_bytes_ || bytes_in_use_ > limit_bytes_ - bytes) return nullptr;
  if (Chunk* const kept = TakeKept(bytes)) return kept;
  // Description and bytes in one block: one allocation, and gone together.
  void* const block = std::malloc(sizeof(Chunk) + bytes);
  if (block == nullptr) return nullptr;
  Chunk* const chunk = new (block) Chunk;
  chunk->data = static_cast<char*>(block) + sizeof(Chunk);
  chunk->capacity = static_cast<uint32_t>(bytes);
  chunk->refs = 1;
  chunk->pool = this;
  chunk->from_heap = true;
  bytes_in_use_ += bytes;
  return chunk;
}

// One that is not much too large, the most recently returned first.
Chunk* ChunkPool::TakeKept(size_t bytes) {
  for (size_t i = kept_.size(); i-- > 0;) {
    Chunk* const chunk = kept_[i];
    if (chunk->capacity < bytes || chunk->capacity / 2 > bytes) continue;
    if (bytes_in_use_ + chunk->capacity > limit_bytes_) continue;
    kept_.erase(kept_.begin() + static_cast<ptrdiff_t>(i));
    kept_bytes_ -= chunk->capacity;
    bytes_in_use_ += chunk->capacity;
    chunk->refs = 1;
    Unpoison(chunk->data, chunk->capacity);
    return chunk;
  }
  return nullptr;
}

void ChunkPool::Return(Chunk* chunk) {
  DCHECK_GE(bytes_in_use_, chunk->capacity);
  bytes_in_use_ -= chunk->capacity;
  Poison(chunk->data, chunk->capacity);
  if (chunk->from_heap) {
    if (kept_.size() == kKeptMax || kept_bytes_ + chunk->capacity > kKeptBytesMax)
      return FreeLarge(chunk);
    kept_bytes_ += chunk->capacity;
    kept_.push_back(chunk);
    return;
  }
  chunk->next_free = std::exchange(free_, chunk);
}

bool ChunkPool::Grow() {
  const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // Not more than the limit allows to hand out: small pools (tests, small machines) stay small.
  const size_t wanted = std::max(chunk_bytes_, std::min(kSlabBytes, limit_bytes_ - bytes_in_use_));
  const size_t bytes = RoundUp(wanted, page_bytes);
  char* const data = MapSlab(bytes);
  if (data == nullptr) return false;
  auto slab = std::make_unique<Slab>(data, bytes);
  const size_t count = bytes / chunk_bytes_;
  slab->chunks = std::make_unique<Chunk[]>(count);
  for (size_t i = count; i-- > 0;) {  // Backwards: the lowest address is handed out first.
    Chunk& chunk = slab->chunks[i];
    chunk.data = data + i * chunk_bytes_;
    chunk.capacity = static_cast<uint32_t>(chunk_bytes_);
    chunk.pool = this;
    chunk.next_free = std::exchange(free_, &chunk);
  }
  Poison(data, bytes);
  bytes_reserved_ += bytes;
  slabs_.push_back(std::move(slab));
  return true;
}

void ChunkPool::CheckInvariants() const {
  size_t chunks = 0;
  for (const auto& slab : slabs_) chunks += slab->bytes / chunk_bytes_;
  size_t free_chunks = 0;
  for (const Chunk* chunk = free_; chunk != nullptr; chunk = chunk->next_free) {
    CHECK_EQ(chunk->refs, 0u);
    CHECK(chunk->pool == this);
    CHECK_LT(free_chunks, chunks) << "the free list is circular";
    ++free_chunks;
  }
  CHECK_LE((chunks - free_chunks) * chunk_bytes_, bytes_in_use_);
  CHECK_LE(bytes_in_use_, limit_bytes_);
}

}  // namespace rcproxy::uring
