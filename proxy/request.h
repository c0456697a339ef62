// One command on its way to one node: a client's, one part of a split one, or one of rcproxy's own.
//
// A request is a pooled struct that moves through queues; its state says in which it is:
//
//   kNew -> kWaiting (link not ready) -> kSent (its bytes are in the link's output, reply awaited)
//   -> kAnswered -> freed
//             ^                             |
//             +--- kDelayed (retry timer) <-+  redirect, lost link, cluster down
//
// Its place in its client's ReplyQueue never changes, which is why replies leave in request order
// whatever happens here. The command's bytes are kept (`command`) until the reply has come, so that
// a redirect or a retry can send them again.
//
// Owner: Worker's pool; linked in its client's ReplyQueue or its parent's parts, and in exactly the
// list its state names. Thread: the worker's. Invariants: 1. a request in kSent is in its link's
// list of pending requests, in the order in which the bytes were queued;
// 2. sink kPart has `split`, sink kClient has `replies`, sink kInternal has `internal`; a client or
// parent that goes away sets the sink to kDiscard, and the reply goes nowhere.
#pragma once

#include <cstdint>
#include <string_view>

#include "cluster/command_table.h"
#include "proxy/output_queue.h"
#include "uring/chunk.h"
#include "uring/intrusive_list.h"

namespace rcproxy::proxy {

class ReplyQueue;
struct SplitState;

// Receives the reply to one of rcproxy's own requests.
class InternalReply {
 public:
  virtual void OnReply(std::string_view reply) = 0;
  virtual void OnLost() = 0;  // No reply will come.

 protected:
  ~InternalReply() = default;
};

struct Request : ListLink<struct InReplyQueue>, ListLink<struct InUpstreamQueue> {
  enum class State : uint8_t { kNew, kDelayed, kWaiting, kSent, kAnswered };
  enum class Sink : uint8_t {
    kDiscard,  // Whoever asked has gone.
    kIgnore,   // Nobody wants the reply, by design: ASKING.
    kClient,
    kPart,
    kInternal,
  };
  enum class Failure : uint8_t { kNone, kUnreachable, kNoOwner };

  static constexpr uint16_t kNoSlot = 0xffff;

  State state = State::kNew;
  Sink sink = Sink::kDiscard;
  Failure failure = Failure::kNone;  // Why it was last put off.
  uint8_t redirects = 0;
  bool streaming = false;  // Part of its reply has left for the client: it can not be taken back.
  bool read_only = false;  // Running it again is harmless.
  uint16_t slot = kNoSlot;
  uint32_t epoch = 0;  // Of the routing table when it was first issued.
  uint32_t order = 0;  // Of its command among all of its worker; may wrap.
  const cluster::CommandSpec* spec = nullptr;
  union {
    ReplyQueue* replies = nullptr;  // kClient
    SplitState* split_parent;       // kPart
    InternalReply* internal;        // kInternal
  };
  SplitState* split = nullptr;  // The request is the parent of parts.
  int64_t issued_ns = 0;
  int64_t retry_at_ns = 0;
  uint64_t stream_begin = 0;  // Position of its first byte in its link's output.
  uring::Slice command;
  SegmentList reply;  // kAnswered, until its turn has come.
};

using RequestList = IntrusiveList<Request, struct InUpstreamQueue>;

}  // namespace rcproxy::proxy
