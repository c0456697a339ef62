// The ring's turn: submit, wait, and hand each completion to whom it concerns.
#include <glog/logging.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "uring/ring.h"
#include "uring/ring_operation.h"

namespace rcproxy::uring {

int Ring::Poll(int64_t deadline_ns) {
  ArmParked();
  SubmitAndWait(deadline_ns);
  now_ns_ = MonotonicNs();
  const int delivered = DeliverCancelled();
  return delivered + Reap();
}

// With half of the buffers back all parked receives are armed. With fewer, one per turn: its bytes
// may be just what those need who hold the other buffers, so waiting for the half could be for
// ever.
void Ring::ArmParked() {
  buffers_->Refill();
  if (parked_.IsEmpty() || buffers_->filled() == 0) return;
  const bool all = buffers_->IsHalfFilled();
  do {
    --stats_.receives_parked;
    Arm(parked_.PopFront());
  } while (all && !parked_.IsEmpty());
}

void Ring::SubmitAndWait(int64_t deadline_ns) {
  KernelRing::Wait wait;
  if (kernel_->HasOverflow()) {
    ++stats_.overflows;
  } else if (kernel_->ready() > 0 || !cancelled_.IsEmpty()) {
    if (!kernel_->HasUnsubmitted()) return;
  } else if (deadline_ns == std::numeric_limits<int64_t>::max()) {
    wait.events = batch_events_;
  } else if (const int64_t left_ns = deadline_ns == 0 ? 0 : deadline_ns - MonotonicNs();
             left_ns > 0) {
    wait.events = batch_events_;
    wait.timeout_ns = left_ns;
  }
  if (wait.events > 1) {
    wait.min_wait_us = batch_wait_us_;
    if (wait.timeout_ns >= 0) {
      wait.min_wait_us = static_cast<uint32_t>(
          std::min<int64_t>(wait.min_wait_us, std::max<int64_t>(wait.timeout_ns / 1000, 1)));
    }
  }
  kernel_->Enter(wait);
}

void Ring::SetBatchHint(int completions, int wait_us) {
  const bool batch = features_.min_wait && completions > 0 && wait_us > 0;
  batch_events_ = batch ? std::min(static_cast<uint32_t>(completions), kernel_->cq_entries()) : 1;
  batch_wait_us_ = batch ? static_cast<uint32_t>(std::min(wait_us, batch_wait_us_max_)) : 0;
}

int Ring::DeliverCancelled() {
  if (cancelled_.IsEmpty()) return 0;
  IntrusiveList<Operation, ParkedTag> due;  // What handlers cancel now is due in the next turn.
  due.TakeAll(&cancelled_);
  int delivered = 0;
  while (Operation* const operation = due.PopFront()) {
    Completion* const completion = operation->completion;
    FreeOperation(operation);
    delivered += FinishWithoutData(completion, -ECANCELED);
  }
  return delivered;
}

// Takes what is there now: completions that come meanwhile (a handler that fills the submission
// queue lets some in) are for the next turn, so that a turn ends.
int Ring::Reap() {
  int delivered = 0;
  for (uint32_t left = kernel_->ready(); left > 0; --left) delivered += Dispatch(kernel_->Pop());
  return delivered;
}

int Ring::Dispatch(const io_uring_cqe& cqe) {
  if (cqe.user_data == kIgnored) return 0;
  if (cqe.user_data == kWake) {
    HandleWake(cqe);
    return 0;
  }
  auto* const completion = reinterpret_cast<Completion*>(cqe.user_data);
  Event event;
  event.result = cqe.res;
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) event.data = buffers_->Take(cqe);
  auto* const operation = static_cast<Operation*>(completion->io_state());
  if (operation == nullptr) return Finish(completion, std::move(event));
  if (operation->kind == Operation::Kind::kZeroCopySend) return DispatchZeroCopy(operation, cqe);
  return DispatchStream(operation, cqe, std::move(event));
}

int Ring::DispatchStream(Operation* operation, const io_uring_cqe& cqe, Event&& event) {
  Completion* const completion = operation->completion;
  event.more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (!event.more) {
    const bool receive = operation->kind == Operation::Kind::kReceive;
    const bool alive = receive ? event.result > 0 : event.result >= 0;
    if (!alive || operation->cancelled) {
      if (receive && event.result == -ENOBUFS) ++stats_.buffers_exhausted;
      FreeOperation(operation);
      return Finish(completion, std::move(event));
    }
    ++stats_.streams_rearmed;
    Arm(operation);  // Before the handler, which may cancel it.
    event.more = true;
  }
  ++stats_.completions;
  completion->Deliver(std::move(event));
  return 1;
}

int Ring::Finish(Completion* completion, Event&& event) {
  --operations_in_flight_;
  ++stats_.completions;
  completion->Deliver(std::move(event));
  return 1;
}

int Ring::FinishWithoutData(Completion* completion, int32_t result) {
  Event event;
  event.result = result;
  return Finish(completion, std::move(event));
}

// Waking.

// A poll, not a read: it writes no memory, so it may be in flight when the ring is destroyed.
void Ring::ArmWake() {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  io_uring_prep_poll_multishot(sqe, wake_fd_, POLLIN);
  sqe->user_data = kWake;
}

void Ring::HandleWake(const io_uring_cqe& cqe) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t result = read(wake_fd_, &count, sizeof count);
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) ArmWake();
}

void Ring::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t result = write(wake_fd_, &one, sizeof one);
}

}  // namespace rcproxy::uring
