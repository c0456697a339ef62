// The Io of a running proxy: one io_uring per worker, one system call per turn.
//
//   Poll:  fill hungry buffers, arm parked receives -> submit and wait (one io_uring_enter)
//          -> read the clock -> take each completion out of the queue and call its handler
//
// A completion's address is the kernel's user_data, so an event costs no lookup. What an operation
// needs beyond that (an fd to arm again, a zero-copy result waiting for its notification) is an
// Operation record from a pool, named by Completion::io_state(), and touched only when needed.
//
// Receives and accepts are multishot. Where the kernel ends one although it could go on (a full
// completion queue; kernels before 6.0, which know only single receives) the ring arms it again and
// the caller sees one unbroken stream of events.
//
// ring.cc starts and cancels operations, ring_poll.cc is the turn, ring_zero_copy.cc the sends
// without a copy.
//
// Owner: Worker. Thread: the one that called Create(), for everything but Wake().
// Invariants: 1. operations_in_flight() is the number of completions whose last event has not been
// delivered; 0 at destruction; 2. at most one receive or accept per descriptor; 3. a record is
// parked exactly while it is linked in parked_ or cancelled_, and the kernel knows nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "uring/buffer_ring.h"
#include "uring/chunk.h"
#include "uring/features.h"
#include "uring/intrusive_list.h"
#include "uring/io.h"
#include "uring/kernel_ring.h"
#include "uring/object_pool.h"

namespace rcproxy::uring {

class Ring final : public Io {
 public:
  struct Options {
    // Operations started per turn before an extra submission is needed.
    uint32_t sq_entries = 1024;
    // Events that can come between two turns; the sum of armed receives is a safe size. Beyond it
    // the kernel keeps them aside, which costs time but loses nothing.
    uint32_t cq_entries = 16384;
    // Incremental mode. Whole mode divides it by 4 and multiplies the number by 16, since there
    // each receive, however short, uses up a buffer.
    uint32_t chunk_bytes = 64 << 10;
    uint32_t provided_buffers = 16;
    // Bound of receive_pool(), the provided buffers included.
    size_t receive_limit_bytes = size_t{64} << 20;
    // Upper bound for SetBatchHint.
    int batch_wait_us_max = 1000;
    // Sends of at least this many bytes try to leave without a copy; 0 = never. Stops by itself
    // when the kernel reports that it copies (loopback, veth).
    size_t zero_copy_min_bytes = 0;
    // What to use if there; tests take features away.
    Features allowed = Features::All();
  };
  struct Stats {
    uint64_t enters = 0;                // System calls.
    uint64_t completions = 0;           // Events delivered.
    uint64_t buffers_exhausted = 0;     // Receives ended by -ENOBUFS.
    uint64_t overflows = 0;             // Turns that found the completion queue had overflowed.
    uint64_t streams_rearmed = 0;       // Receives and accepts that the ring started again.
    uint64_t zero_copy_sends = 0;       // Sends tried without a copy.
    uint64_t zero_copy_copied = 0;      // Those that the kernel copied after all, or refused.
    uint32_t receive_buffers = 0;       // Provided to the kernel when all are back.
    uint32_t receive_buffers_free = 0;  // Provided now.
    uint32_t receives_parked = 0;       // Waiting for buffers.
  };

  static absl::StatusOr<std::unique_ptr<Ring>> Create(const Options& options);
  ~Ring() override;

  void Accept(int fd, Completion* completion) override;
  int OpenSocket(int family) override;
  void Connect(int fd, const sockaddr* address, socklen_t length, Completion* completion) override;
  void Receive(int fd, Completion* completion) override;
  void ReceiveWhenBuffered(int fd, Completion* completion) override;
  void Send(int fd, const char* data, size_t size, Completion* completion) override;
  void SendMessage(int fd, const msghdr* message, Completion* completion) override;
  void CancelAll(int fd) override;
  void Cancel(Completion* completion) override;
  void Close(int fd) override;
  int Poll(int64_t deadline_ns) override;
  void SetBatchHint(int completions, int wait_us) override;
  void Wake() override;
  int64_t NowNs() const override { return now_ns_; }
  ChunkPool& receive_pool() override { return pool_; }

  // What is in use: found by the probe and allowed.
  const Features& features() const { return features_; }
  size_t operations_in_flight() const { return operations_in_flight_; }
  Stats stats() const;
  void CheckInvariants() const;

 private:
  struct ParkedTag {};
  struct Operation;

  Ring(const Options& options, const Features& features, size_t chunk_bytes, int wake_fd);
  absl::Status SetUpKernelSide(const Options& options, uint32_t buffers);

  Operation* NewOperation(int fd, Completion* completion);
  void FreeOperation(Operation* operation);
  void Arm(Operation* operation);
  void ArmParked();
  void ArmWake();
  Operation*& StreamOf(int fd);
  void CancelOperation(Operation* operation);

  void SubmitAndWait(int64_t deadline_ns);
  int DeliverCancelled();
  int Reap();
  int Dispatch(const io_uring_cqe& cqe);
  int DispatchStream(Operation* operation, const io_uring_cqe& cqe, Event&& event);
  int DispatchZeroCopy(Operation* operation, const io_uring_cqe& cqe);
  int Finish(Completion* completion, Event&& event);
  int FinishWithoutData(Completion* completion, int32_t result);
  void HandleWake(const io_uring_cqe& cqe);

  void StartSend(io_uring_sqe* sqe, Completion* completion);
  bool WantsZeroCopy(size_t size) const { return zero_copy_active_ && size >= zero_copy_min_; }
  void SendZeroCopy(int fd, const char* data, size_t size, const msghdr* message,
                    Completion* completion);
  void SendCopied(Operation* operation);
  void NoteZeroCopy(bool copied, int error);
  static void AbortConnection(int fd);

  const Features features_;
  const int wake_fd_;
  const int batch_wait_us_max_;
  const size_t zero_copy_min_;
  ChunkPool pool_;                      // Outlives buffers_, which returns its chunks to it.
  std::unique_ptr<KernelRing> kernel_;  // Outlives buffers_, which is registered with it.
  std::unique_ptr<BufferRing> buffers_;

  int64_t now_ns_ = 0;
  uint32_t batch_events_ = 1;
  uint32_t batch_wait_us_ = 0;

  size_t operations_in_flight_ = 0;
  ObjectPool<Operation> operations_;
  std::vector<Operation*> streams_;             // By descriptor: its receive or accept, or nullptr.
  IntrusiveList<Operation, ParkedTag> parked_;  // Receives waiting for buffers, oldest first.
  IntrusiveList<Operation, ParkedTag> cancelled_;  // Were parked; their last event is due.
  std::vector<Operation*> zero_copy_;              // Zero-copy sends in flight.

  bool zero_copy_active_;
  int copied_in_a_row_ = 0;
  Stats stats_;
};

}  // namespace rcproxy::uring
