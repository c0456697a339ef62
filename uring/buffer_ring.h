// Buffers that the kernel may receive into: a provided-buffer ring over the chunks of a pool. The
// kernel takes a buffer only when bytes have arrived, so an idle connection holds none.
//
//   id 0..count-1:  filled (its chunk is with the kernel)  ->  consumed  ->  filled with a new
//   chunk
//                                                                |  pool at its limit
//                                                                v
//                                                              hungry   ->  filled, by Refill()
//
// Incremental mode (kernel 6.12): the kernel fills a buffer piece by piece, for several connections
// in turn; each completion reports only a length, and the place is where the previous one ended.
// That is sound because completions come in the order in which the kernel consumed the buffer.
// Whole mode: one completion consumes one buffer.
//
// Owner: Ring. Thread: the worker's. Invariants: 1. the ring holds one reference to the chunk of
// each filled id, none for a hungry one; 2. filled() + hungry ids == count(); 3. bytes before an
// id's offset belong to slices, those after it to the kernel.
// Facts: io_uring_register_buf_ring(3); io_uring/kbuf.c for what ends a buffer.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "uring/chunk.h"
#include "uring/kernel_ring.h"

namespace rcproxy::uring {

class BufferRing final {
 public:
  struct Options {
    uint16_t group = 0;
    uint32_t count = 16;  // Ids; not more than kMaxCount.
    bool incremental = false;
  };
  static constexpr uint32_t kMaxCount = 32768;  // The kernel's bound.

  // Fills all ids. `kernel` and `pool` must outlive the result. Fails when the kernel does not know
  // the ring or the mode, or when the pool cannot fill a single id.
  static absl::StatusOr<std::unique_ptr<BufferRing>> Create(KernelRing& kernel, ChunkPool& pool,
                                                            const Options& options);
  // Requires: no operation that selects from this ring is in flight.
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // The bytes that `cqe`, which has IORING_CQE_F_BUFFER, reports; empty when there are none.
  // Requires: called once for each such completion, in their order.
  Slice Take(const io_uring_cqe& cqe);

  // Fills hungry ids as far as the pool allows; cheap when there are none.
  void Refill() {
    if (!hungry_.empty()) RefillHungry();
  }

  uint32_t count() const { return static_cast<uint32_t>(buffers_.size()); }
  uint32_t filled() const { return count() - static_cast<uint32_t>(hungry_.size()); }
  bool IsHalfFilled() const { return filled() * 2 >= count(); }
  bool incremental() const { return incremental_; }
  void CheckInvariants() const;

 private:
  struct Buffer {
    Chunk* chunk = nullptr;
    uint32_t offset = 0;  // Where the kernel writes next.
  };

  BufferRing(KernelRing& kernel, ChunkPool& pool, const Options& options);
  absl::Status Register();
  void Provide(uint16_t id, Chunk* chunk);
  void RefillHungry();

  KernelRing& kernel_;
  ChunkPool& pool_;
  const uint16_t group_;
  const bool incremental_;
  const uint32_t entries_;  // A power of two >= count().
  bool registered_ = false;
  io_uring_buf_ring* ring_ = nullptr;
  std::vector<Buffer> buffers_;
  std::vector<uint16_t> hungry_;
};

}  // namespace rcproxy::uring
