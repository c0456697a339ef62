// What the connections of one worker share: memory, pools, counters, and the lists of what has to
// be flushed at the end of the turn. No logic lives here.
//
// Owner: Worker; outlives all connections. Thread: the worker's.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <string>
#include <unordered_map>

#include "proxy/batch_policy.h"
#include "proxy/config.h"
#include "proxy/database_refusal.h"
#include "proxy/known_commands.h"
#include "proxy/output_queue.h"
#include "proxy/recycle_pool.h"
#include "proxy/request.h"
#include "proxy/split_state.h"
#include "proxy/staging.h"
#include "proxy/stats.h"
#include "proxy/write_marks.h"
#include "resp/request_scanner.h"
#include "uring/chunk.h"
#include "uring/intrusive_list.h"
#include "uring/io.h"
#include "uring/object_pool.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

struct InDirtyList;
struct InStallList;

// A connection with bytes to send; at most once in a dirty list.
class Flushable : public ListLink<InDirtyList> {
 public:
  virtual void BeforeFlush() {}  // May queue more, here or elsewhere.
  virtual void Flush() = 0;

 protected:
  ~Flushable() {
    if (IsLinked()) Unlink();
  }
};
using DirtyList = IntrusiveList<Flushable, InDirtyList>;

// A node's connection that is not read because the client its long reply streams to has not caught
// up.
class Stallable : public ListLink<InStallList> {
 public:
  virtual void ResumeAfterStall() = 0;
  ReplyQueue* stalled_by = nullptr;  // Valid while linked, as is
  int64_t stalled_since_ns = 0;      // when that began,
  size_t resume_at_bytes = 0;        // and the output of the client at which it goes on.

 protected:
  ~Stallable() = default;
};
using StallList = IntrusiveList<Stallable, InStallList>;

// The kernel's description of a send of several pieces; alive until the send completes.
struct SendBatch {
  static constexpr int kPiecesMax = 64;
  msghdr message = {};
  iovec pieces[kPiecesMax];
};

// A command that has been cut by the end of what was received, copied together until it is
// complete.
struct PartialCommand {
  resp::RequestScanner scanner;
  Staging::Block block = {nullptr, nullptr, nullptr};
  size_t size = 0;

  size_t capacity() const { return static_cast<size_t>(block.end - block.begin); }
};

// Who goes on with an operation when its questions have been answered.
class OperationRunner {
 public:
  virtual void OnAnswered(SplitState* split) = 0;
  // The joined reply is complete (JoinedReply::Complete).
  virtual void OnJoined(SplitState* split) = 0;
  // Nobody waits any more for a part that has a connection of its own.
  virtual void OnAbandoned(UpstreamConnection* own_link) = 0;

 protected:
  ~OperationRunner() = default;
};

class SubscriptionSink;
class TrackingSink;

struct Resources {
  Resources(uring::Io& io, const Config& config, Stats& stats)
      : io(io), config(config), stats(stats), output_pool(kOutputChunkBytes, SIZE_MAX) {}

  static constexpr size_t kOutputChunkBytes = 16 << 10;

  uring::Io& io;
  const Config& config;
  Stats& stats;
  uring::TimerQueue timers;

  // Limited by admission (Worker::UnderMemoryPressure), not here: a reply on its way must find
  // room.
  uring::ChunkPool output_pool;
  Staging client_staging{output_pool};
  Staging upstream_staging{output_pool};
  ObjectPool<Segment> segments;
  QueueMemory client_memory{segments, client_staging};
  QueueMemory upstream_memory{segments, upstream_staging};
  ObjectPool<Request> requests;
  RecyclePool<SplitState> splits;
  ObjectPool<SendBatch> batches;
  RecyclePool<PartialCommand> partials;
  resp::RequestScanner scanner;  // For commands that are complete in what was received.

  KnownCommands commands;

  Arrivals arrivals;       // In the window of the worker's BatchPolicy.
  std::string reply_text;  // Of local commands; keeps its capacity.

  bool observed = false;               // Somebody wants to see commands: set by Monitors.
  bool offered_again = false;          // The next command has been seen before: it had to wait.
  uint64_t commands_until_sample = 0;  // --log_every_n

  uint32_t full_links = 0;      // Connections to nodes: see UpstreamConnection::is_full.
  size_t requests_waiting = 0;  // For connections that clients share to open.
  // Requests that were under way when their clients ceased to wait for them, ever.
  uint64_t requests_given_up = 0;

  uint32_t next_order = 0;  // Of commands that have been issued.

  OperationRunner* operations = nullptr;      // Set by the Router.
  SubscriptionSink* subscriptions = nullptr;  // Set by PubSub.
  TrackingSink* tracking = nullptr;           // Set by Tracking.
  // Those that wait for somebody other than a node, by the id that resumes them.
  std::unordered_map<uint64_t, SplitState*> waiting_operations;

  WriteHistory writes;

  DatabaseRefusal database_refusal;
  bool resp3_known = false;  // The last node that was greeted with HELLO 3 knew it.

  DirtyList dirty_clients;
  DirtyList dirty_upstreams;

  size_t BytesInUse() const {
    return output_pool.bytes_in_use() + io.receive_pool().bytes_in_use() +
           requests.live() * sizeof(Request) + segments.live() * sizeof(Segment);
  }
  void MarkDirty(DirtyList& list, Flushable* connection) {
    if (!connection->IsLinked()) list.PushBack(connection);
  }
  void FreeRequest(Request* request) {
    request->pieces.Clear(segments);
    requests.Delete(request);
    stats.requests_in_flight.Sub();
  }
  Request* NewRequest() {
    stats.requests_in_flight.Add();
    return requests.New();
  }
};

}  // namespace rcproxy::proxy
