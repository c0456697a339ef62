// Messages from any thread to one worker: a locked vector and a wake-up. For control traffic (a new
// client, a new topology, a request to stop), never per request.
//
// Owner: the receiving Worker. Thread: Post from any; Drain from the owner.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "uring/io.h"

namespace rcproxy::uring {

class Mailbox {
 public:
  using Message = std::function<void()>;
  explicit Mailbox(Io& io) : io_(io) {}

  // Runs `message` on the owner's thread in one of its next turns, in order of posting. Any thread.
  // After Close() the message is destroyed unrun.
  void Post(Message message);
  // Runs what was posted; call it after each Poll(). A message may post, and may close. Owner only.
  void Drain();
  // Destroys what has not run, now or later. Owner only.
  void Close();

 private:
  Io& io_;
  std::mutex mutex_;
  std::vector<Message> messages_;
  std::vector<Message> running_;
  bool closed_ = false;
};

}  // namespace rcproxy::uring
