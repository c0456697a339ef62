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
// whatever happens here. The command's bytes are kept (`bytes`) until the reply has come, so that a
// redirect or a retry can send them again; afterwards they are the reply, while it waits for its
// turn. Two cache lines: with six nodes and deep pipelines thousands of requests are alive.
//
// Owner: Worker's pool; linked in its client's ReplyQueue or its parent's parts, and in exactly the
// list its state names. Thread: the worker's. Invariants: 1. a request in kSent is in its link's
// list of pending requests, in the order in which the bytes were queued;
// 2. sink kPart has `split_parent`, sinks kClient and kMuted have `replies`, sink kInternal has
// `internal`; a client or parent that goes away sets the sink to kDiscard, and the reply goes
// nowhere; 3. of stream_begin, hold and split that one is valid which state and is_split
// name.
#pragma once

#include <cstddef>
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
  // Whether another node can be asked as well: the question is given up rather than be in the way
  // of a client.
  virtual bool yields() const { return false; }
  // A reply of which more has arrived, and not all, is given up.
  virtual size_t reply_bytes_max() const { return SIZE_MAX; }

 protected:
  ~InternalReply() = default;
};

// For what is asked because of what it does.
class IgnoredReply final : public InternalReply {
 public:
  void OnReply(std::string_view) override {}
  void OnLost() override {}
};

// What the connections of a client that tracks keys do for it (CLIENT TRACKING).
enum class TracksBy : uint8_t {
  kNothing,
  kReads,      // The node tells of keys that have been read over the connection.
  kBroadcast,  // The node tells of all keys (BCAST).
};

// What a client's commands need of the connections that they go over: one byte, copied as a whole.
struct LinkNeeds {
  bool resp3 : 1 = false;  // The client speaks RESP3, so the node has to.
  TracksBy tracks_by : 2 = TracksBy::kNothing;
  bool prefers_replica : 1 = false;
  bool remembers : 1 = false;  // The client caches what it reads: see TrackingSink.
  bool is_reader : 1 = false;  // It has come through --replica_addr: --replica_read_prefer counts.
  // Its database is not 0: ReplyQueue::database.
  bool has_database : 1 = false;
};
static_assert(sizeof(LinkNeeds) == 1);

// Two cache lines, and not parts of three.
struct alignas(64) Request : ListLink<struct InReplyQueue>, ListLink<struct InUpstreamQueue> {
  enum class State : uint8_t { kNew, kDelayed, kWaiting, kSent, kAnswered };
  enum class Sink : uint8_t {
    kDiscard,  // Whoever asked has gone.
    kIgnore,   // Nobody wants the reply, by design: ASKING.
    kClient,
    kMuted,  // A client that does not want the reply (CLIENT REPLY), only its place in the order.
    kPart,
    kInternal,
  };
  enum class Failure : uint8_t { kNone, kUnreachable, kNoOwner, kNoOwnLink, kShed, kOverload };

  // As what it was counted while it waits, see HoldWindow.
  struct Hold {
    uint16_t shard;
    uint32_t bytes;
  };

  static constexpr uint16_t kNoSlot = 0xffff;

  State state = State::kNew;
  Sink sink = Sink::kDiscard;
  uint8_t redirects = 0;
  Failure failure : 3 = Failure::kNone;  // Why it was last put off.
  bool streaming : 1 = false;            // Part of its reply has left for the client: no way back.
  bool read_only : 1 = false;            // Running it again is harmless.
  bool is_split : 1 = false;             // The parent of parts, never sent itself.
  bool was_delayed : 1 = false;          // It has been put off before.
  bool is_unit : 1 = false;              // Several commands, MULTI to EXEC; the last reply counts.
  bool is_private : 1 = false;           // On a connection of its own, as it may block.
  bool is_upload : 1 = false;  // Its command is passed on while it arrives: `bytes` is its head,
  bool is_cut : 1 = false;     // and the rest has not all been given to its link.
  bool is_pinned : 1 = false;  // Only on the connection that its client keeps (SplitState::held).
  bool healed : 1 = false;     // Its node did not know its script, and got it.
  bool once : 1 = false;       // Is not offered again.
  bool overtaken : 1 = false;  // A younger one that must not come before it has been executed.
  bool may_have_run : 1 = false;  // A write that was lost, and is sent again all the same.
  LinkNeeds needs;
  uint16_t slot = kNoSlot;
  uint32_t epoch = 0;  // Of the routing table when it was first issued.
  uint32_t order = 0;  // Of its command among all of its worker; may wrap.
  const cluster::CommandSpec* spec = nullptr;
  union {
    ReplyQueue* replies = nullptr;  // kClient, kMuted
    SplitState* split_parent;       // kPart
    InternalReply* internal;        // kInternal
  };
  int64_t issued_ns = 0;
  union {
    uint64_t stream_begin = 0;  // kSent: position of its first byte in its link's output.
    Hold hold;                  // kDelayed.
    SplitState* split;          // is_split.
  };
  // The command; in kAnswered the reply, if it came in one piece.
  [[no_unique_address]] uring::Slice bytes;
  uint32_t placed_epoch = 0;  // Of the routing table when it was last given to a link.
  SegmentList pieces;         // Of the reply, as they arrived; empty when bytes has it.

  // Requires: kAnswered.
  size_t ReplyBytes() const { return bytes.size() + pieces.bytes(); }
};
static_assert(sizeof(Request) == 128);

// Requires: is_private. Whether it is bound to its client and no timeout ends it: it may block, or
// its client may take its time to send the rest.
inline bool MayTakeItsTime(const Request& request) {
  return request.is_upload || request.spec->Has(cluster::kFlagBlocking);
}

// Of requests that wait.
struct WaitingLoad {
  size_t requests = 0;
  size_t bytes = 0;

  WaitingLoad& operator+=(const WaitingLoad& other) {
    requests += other.requests;
    bytes += other.bytes;
    return *this;
  }
  WaitingLoad& operator-=(const WaitingLoad& other) {
    requests -= other.requests;
    bytes -= other.bytes;
    return *this;
  }
};

// Whether it has been given to a connection, or put off, before.
inline bool WasGivenBefore(const Request& request) {
  return request.was_delayed || request.redirects > 0;
}

using RequestList = IntrusiveList<Request, struct InUpstreamQueue>;

}  // namespace rcproxy::proxy
