// Sends that leave without a copy: two completions each, and the rules for giving it up.
#include <glog/logging.h>
#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "uring/kernel_abi.h"
#include "uring/ring.h"
#include "uring/ring_operation.h"

namespace rcproxy::uring {
namespace {

// After this many copies in a row the path is taken for one that always copies.
constexpr int kCopiedInARowMax = 8;

}  // namespace

void Ring::SendZeroCopy(int fd, const char* data, size_t size, const msghdr* message,
                        Completion* completion) {
  Operation* const operation = NewOperation(fd, completion);
  operation->kind = Operation::Kind::kZeroCopySend;
  operation->data = data;
  operation->size = std::min<size_t>(size, std::numeric_limits<int32_t>::max());
  operation->message = message;
  zero_copy_.push_back(operation);
  ++stats_.zero_copy_sends;
  io_uring_sqe* const sqe = kernel_->NextSqe();
  if (message != nullptr) {
    io_uring_prep_sendmsg_zc(sqe, fd, message, MSG_NOSIGNAL);
    sqe->ioprio |= abi::kSendZeroCopyReportUsage;
  } else {
    io_uring_prep_send_zc(sqe, fd, data, operation->size, MSG_NOSIGNAL,
                          abi::kSendZeroCopyReportUsage);
  }
  SetUserData(sqe, completion);
}

// Two completions make one event: the result (which promises another with F_MORE) and the
// notification that the memory is ours again.
int Ring::DispatchZeroCopy(Operation* operation, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_NOTIF) != 0) {
    // A failed send says nothing about the path.
    if (operation->result > 0) {
      NoteZeroCopy((static_cast<uint32_t>(cqe.res) & abi::kNotificationCopied) != 0, 0);
    }
  } else {
    operation->result = cqe.res;
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) {
      operation->awaiting_notification = true;
      if (operation->cancelled) AbortConnection(operation->fd);
      return 0;
    }
  }
  const int32_t result = operation->result;
  if (!operation->cancelled &&
      (result == -ENOMEM || result == -ENOBUFS || result == -EOPNOTSUPP || result == -EINVAL)) {
    NoteZeroCopy(true, -result);
    SendCopied(operation);
    return 0;
  }
  Completion* const completion = operation->completion;
  FreeOperation(operation);
  return FinishWithoutData(completion, result);
}

void Ring::SendCopied(Operation* operation) {
  io_uring_sqe* const sqe = kernel_->NextSqe();
  if (operation->message != nullptr) {
    io_uring_prep_sendmsg(sqe, operation->fd, operation->message, MSG_NOSIGNAL);
  } else {
    io_uring_prep_send(sqe, operation->fd, operation->data, operation->size, MSG_NOSIGNAL);
  }
  Completion* const completion = operation->completion;
  SetUserData(sqe, completion);
  FreeOperation(operation);  // From here on an ordinary send, still counted in flight.
}

void Ring::NoteZeroCopy(bool copied, int error) {
  if (!copied) {
    copied_in_a_row_ = 0;
    return;
  }
  ++stats_.zero_copy_copied;
  if (++copied_in_a_row_ < kCopiedInARowMax || !zero_copy_active_) return;
  zero_copy_active_ = false;
  LOG(INFO) << "zero-copy sends are off for this worker: the last " << kCopiedInARowMax
            << (error == 0 ? " were copied by the kernel (as on loopback and veth)"
                           : absl::StrCat(" were copied or refused (", std::strerror(error),
                                          "; sends count against RLIMIT_MEMLOCK)"));
}

// Drops what the peer has not acknowledged and resets the connection. The kernel keeps the memory
// of a zero-copy send until the peer has it; a peer that does not read would hold up Close().
void Ring::AbortConnection(int fd) {
  const sockaddr unspecified = {.sa_family = AF_UNSPEC, .sa_data = {}};
  connect(fd, &unspecified, sizeof unspecified);
}

}  // namespace rcproxy::uring
