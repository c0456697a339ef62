#include "uring/buffer_ring.h"

#include <glog/logging.h>
#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "uring/kernel_abi.h"

namespace rcproxy::uring {

absl::StatusOr<std::unique_ptr<BufferRing>> BufferRing::Create(KernelRing& kernel, ChunkPool& pool,
                                                               const Options& options) {
  CHECK_GT(options.count, 0u);
  CHECK_LE(options.count, kMaxCount);
  auto ring = std::unique_ptr<BufferRing>(new BufferRing(kernel, pool, options));
  if (absl::Status status = ring->Register(); !status.ok()) return status;
  ring->Refill();
  if (ring->filled() == 0) {
    return absl::ResourceExhaustedError("the receive pool's limit is below one buffer");
  }
  return ring;
}

BufferRing::BufferRing(KernelRing& kernel, ChunkPool& pool, const Options& options)
    : kernel_(kernel),
      pool_(pool),
      group_(options.group),
      incremental_(options.incremental),
      entries_(std::bit_ceil(options.count)),
      buffers_(options.count) {
  hungry_.reserve(options.count);
  for (uint32_t id = options.count; id-- > 0;) hungry_.push_back(static_cast<uint16_t>(id));
}

absl::Status BufferRing::Register() {
  void* const memory = mmap(nullptr, entries_ * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return SetupError(errno, "memory for the buffer ring");
  ring_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_ring_init(ring_);
  io_uring_buf_reg registration = {};
  registration.ring_addr = reinterpret_cast<uint64_t>(ring_);
  registration.ring_entries = entries_;
  registration.bgid = group_;
  if (incremental_) registration.pad = abi::kBufferRingIncremental;
  const int result = RetryWithoutMemory(
      [&] { return io_uring_register_buf_ring(kernel_.raw(), &registration, 0); });
  if (result < 0) return SetupError(-result, "registering a ring of provided buffers");
  registered_ = true;
  return absl::OkStatus();
}

BufferRing::~BufferRing() {
  if (registered_) io_uring_unregister_buf_ring(kernel_.raw(), group_);
  if (ring_ != nullptr) munmap(ring_, entries_ * sizeof(io_uring_buf));
  for (const Buffer& buffer : buffers_) {
    if (buffer.chunk != nullptr) ChunkPool::Unref(buffer.chunk);
  }
}

void BufferRing::Provide(uint16_t id, Chunk* chunk) {
  buffers_[id] = {.chunk = chunk, .offset = 0};
  io_uring_buf_ring_add(ring_, chunk->data, chunk->capacity, id, io_uring_buf_ring_mask(entries_),
                        0);
  io_uring_buf_ring_advance(ring_, 1);
}

void BufferRing::RefillHungry() {
  while (!hungry_.empty()) {
    Chunk* const chunk = pool_.Take();
    if (chunk == nullptr) return;
    Provide(hungry_.back(), chunk);
    hungry_.pop_back();
  }
}

Slice BufferRing::Take(const io_uring_cqe& cqe) {
  const uint16_t id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  CHECK_LT(id, buffers_.size());
  Buffer& buffer = buffers_[id];
  CHECK(buffer.chunk != nullptr) << "the kernel reports a buffer that it was not given";
  if (cqe.res <= 0) {
    // A receive that ended without bytes. In incremental mode the kernel has, in all versions, not
    // moved on, whatever its flag says (some clear it at the end of a stream); were the buffer
    // reused here, the kernel could still write into it. In whole mode it is gone: give it again.
    if (!incremental_) Provide(id, buffer.chunk);
    return Slice();
  }
  const uint32_t size = static_cast<uint32_t>(cqe.res);
  const char* const data = buffer.chunk->data + buffer.offset;
  CHECK_LE(size, buffer.chunk->capacity - buffer.offset);
  if (incremental_ && (cqe.flags & abi::kCqeBufferMore) != 0) {
    buffer.offset += size;
    return Slice::Share(buffer.chunk, data, size);
  }
  // The kernel is done with this buffer: our reference goes along with its last bytes.
  Slice slice = Slice::Adopt(std::exchange(buffer.chunk, nullptr), data, size);
  hungry_.push_back(id);
  RefillHungry();
  return slice;
}

void BufferRing::CheckInvariants() const {
  uint32_t filled_ids = 0;
  for (const Buffer& buffer : buffers_) {
    if (buffer.chunk == nullptr) continue;
    ++filled_ids;
    CHECK_GE(buffer.chunk->refs, 1u);
    CHECK_LE(buffer.offset, buffer.chunk->capacity);
  }
  CHECK_EQ(filled_ids, filled());
}

}  // namespace rcproxy::uring
