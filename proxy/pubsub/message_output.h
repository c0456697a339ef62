// Puts messages between the replies to one client, never into one: while a long reply streams, they
// wait. A client that does not read is closed at --subscriber_output_hard_bytes, or when it has
// been above --subscriber_output_soft_bytes for --subscriber_output_soft_s, as
// client-output-buffer-limit does.
//
// Owner: Subscriber, Monitor. Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/reply_queue.h"
#include "proxy/resources.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {

class MessageOutput {
 public:
  // Both outlive this.
  MessageOutput(Resources& resources, ReplyQueue& replies)
      : resources_(resources), replies_(replies) {}
  ~MessageOutput() { held_.Clear(resources_.segments); }
  MessageOutput(const MessageOutput&) = delete;
  MessageOutput& operator=(const MessageOutput&) = delete;

  // Sends `prefix`, which is copied, and `rest`, which lies in `chunk`. False, and nothing is sent,
  // when the client is being closed.
  bool Send(std::string_view prefix, uring::Chunk* chunk, std::string_view rest);
  // What had to wait for the end of a reply leaves, if that has come.
  void ReleaseHeld();

 private:
  void Hold(std::string_view prefix, uring::Chunk* chunk, std::string_view rest);
  void CheckLimits();

  Resources& resources_;
  ReplyQueue& replies_;
  SegmentList held_;
  int64_t above_soft_since_ns_ = 0;  // 0: it is not.
};

}  // namespace rcproxy::proxy
