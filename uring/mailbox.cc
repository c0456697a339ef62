#include "uring/mailbox.h"

#include <glog/logging.h>

#include <utility>

namespace rcproxy::uring {

void Mailbox::Post(Message message) {
  // The wake-up is sent under the lock: after Close() returned no poster touches the Io.
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return;
  messages_.push_back(std::move(message));
  // Whoever made the box non-empty has woken the owner, who has not drained it since.
  if (messages_.size() == 1) io_.Wake();
}

void Mailbox::Drain() {
  DCHECK(running_.empty()) << "a message must not drain the mailbox it came from";
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_.swap(messages_);
  }
  // Only the owner sets closed_, so its own reads need no lock.
  for (size_t i = 0; i < running_.size() && !closed_; ++i) running_[i]();
  running_.clear();
}

void Mailbox::Close() {
  // Declared before the lock, so destroyed after its release: captures may post in a destructor.
  std::vector<Message> unrun;
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  unrun.swap(messages_);
}

}  // namespace rcproxy::uring
