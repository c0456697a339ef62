// One connection to a node, shared by all clients of a worker: requests go out in one gathered send
// per turn, replies come back in the same order.
//
// States: idle -> resolving -> connecting -> handshaking -> ready -> closing -> idle.
// Requests that come before ready wait (their bytes are kept, not queued for the socket); from
// ready on their bytes are in the output at once. A reply that is overdue closes the connection, so
// a late reply can never meet another request.
//
// Owner: UpstreamNode. Thread: the worker's.
// Invariants: 1. pending_ holds the requests whose bytes were queued, in that order, and replies
// are matched to its front (checked); 2. waiting_ is empty in ready, pending_ is empty outside
// ready and closing; 3. a request whose stream_begin is at or behind submitted_bytes_ has certainly
// not been sent. Per request: one copy of a small command, two list links.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/joined_reply.h"
#include "proxy/output_queue.h"
#include "proxy/replica_progress.h"
#include "proxy/request.h"
#include "proxy/resolver.h"
#include "proxy/resources.h"
#include "proxy/socket_writer.h"
#include "resp/reply_scanner.h"
#include "uring/io.h"
#include "uring/socket.h"
#include "uring/timer_queue.h"

namespace rcproxy::cluster {
struct Redirect;
}

namespace rcproxy::proxy {

inline constexpr std::string_view kPingCommand = "*1\r\n$4\r\nPING\r\n";

class HeldLink;
class UpstreamConnection;
class UpstreamNode;

// What a connection says when it opens, which is what its requests rely on. A request never changes
// between protocols: replies reach the client as the node has written them.
struct LinkKind {
  bool replica_reads = false;               // READONLY: a replica serves reads.
  bool resp3 = false;                       // HELLO 3.
  bool is_own = false;                      // Has one request at a time, which may block.
  bool is_subscription = false;             // Carries messages, and the questions of PubSub.
  TracksBy tracks_by = TracksBy::kNothing;  // CLIENT TRACKING ON. Requires, if it does: resp3.
  uint16_t database = 0;                    // SELECT.

  // Of those that clients share in one database. Not all indexes are used.
  static constexpr size_t kCount = 11;
  constexpr size_t index() const {
    return is_subscription ? 4u
                           : (replica_reads ? 1u : 0u) | (resp3 ? 2u : 0u) |
                                 static_cast<size_t>(tracks_by) << 2;
  }
};

// The database of the client of `request`, which is there. Requires: request.needs.has_database.
uint16_t SelectedDatabase(const Request& request);

// In which `request` is executed.
inline uint16_t DatabaseOf(const Request& request) {
  if (request.needs.has_database) [[unlikely]]
    return SelectedDatabase(request);
  return 0;
}

// Of the connections that clients share the one for `request`, at a primary.
inline LinkKind PrimaryLinkFor(const Request& request) {
  return {.resp3 = request.needs.resp3,
          .tracks_by = request.needs.tracks_by,
          .database = DatabaseOf(request)};
}

// Hears what nodes say on connections with subscriptions, which are in RESP2.
class SubscriptionSink {
 public:
  // `frame` is complete and lies in `chunk`; `awaited` is the oldest request on `link`, or nullptr.
  // Returns whether it is the reply to that.
  virtual bool OnFrame(UpstreamConnection* link, uring::Chunk* chunk, std::string_view frame,
                       const Request* awaited) = 0;
  // All subscriptions have ended with the connection. Its requests have been told.
  virtual void OnClosed(UpstreamConnection* link) = 0;

 protected:
  ~SubscriptionSink() = default;
};

// Hears what clients read that cache it, and what nodes say of such keys.
class TrackingSink {
 public:
  // The reply to `request`, of a client that caches what it reads, has come on `link` and will be
  // delivered now; `reply` is empty when it came in pieces. Requires: request.needs.remembers, and
  // its client is there.
  virtual void OnRead(const Request& request, std::string_view reply, UpstreamConnection* link) = 0;
  // `frame` is a complete push, on a connection that tracks.
  virtual void OnPush(UpstreamConnection* link, std::string_view frame) = 0;
  // A connection that tracks has closed: what was read over it may change unheard.
  virtual void OnClosed(UpstreamConnection* link) = 0;
  // The routing table has another owner of `slot`, or the slot begins to move: what was read there
  // may change elsewhere.
  virtual void OnOwnerChanged(uint16_t slot) = 0;
  virtual void OnBeginsToMove(uint16_t slot) = 0;

 protected:
  ~TrackingSink() = default;
};

// How far a request had come that was given to a connection that failed.
enum class Fate : uint8_t {
  kUnsent,   // The node has none of its bytes.
  kUnknown,  // The node may have it, and may yet execute it.
  kEnded,    // The node may have executed it, and does no more: it has closed the connection.
};

// What a connection cannot decide itself. Rare events only: nothing here is called for an ordinary
// reply.
class UpstreamObserver {
 public:
  // An error reply that says where or when the request should be tried instead, or one that a
  // request gets which may have run before. Returns true when it was put elsewhere or answered,
  // false when the error is the answer.
  virtual bool OnErrorReply(Request* request, const cluster::Redirect& redirect,
                            UpstreamConnection* from) = 0;
  // `request` has been executed while an older one of its client may be under way elsewhere, or
  // waits for a retry.
  virtual void OnOvertaking(const Request* request) = 0;
  // The request was given to a connection that failed.
  virtual void OnRequestLost(Request* request, Fate fate) = 0;
  virtual void OnConnectionFailed(UpstreamConnection* connection, std::string_view reason) = 0;

 protected:
  ~UpstreamObserver() = default;
};

class UpstreamConnection final : public uring::SocketListener,
                                 public Flushable,
                                 public Stallable,
                                 public TurnTaker {
 public:
  enum class State : uint8_t { kIdle, kConnecting, kHandshaking, kReady, kClosing };

  // `node` names the peer and outlives this.
  UpstreamConnection(Resources& resources, UpstreamObserver& observer, UpstreamNode& node,
                     LinkKind kind);
  ~UpstreamConnection();  // Requires: idle.

  // Whether a request may be given to it now: false while it closes, and while a failed node is
  // left alone for a moment.
  bool CanAccept() const;
  // Takes a request whose command the caller writes into the space returned, `size` bytes, at once.
  // Requires: CanAccept().
  char* Accept(Request* request, size_t size);
  // Takes a request whose command lies in `chunk`; copies it when it is short.
  void AcceptFrom(Request* request, uring::Chunk* chunk, std::string_view command);
  // Takes a request again: its command is in request->bytes.
  void AcceptAgain(Request* request);
  // Answers a unit that the node would execute as single commands, as it refuses MULTI.
  bool RefusesUnit(Request* request);
  // Takes a command of rcproxy's own whose reply nobody wants. Requires: CanAccept().
  void AcceptIgnored(std::string_view command);
  // The same for one whose reply is wanted. `reply` hears of it exactly once, perhaps before this
  // returns, and outlives it. May be called when nothing can be accepted.
  void Ask(std::string_view command, InternalReply* reply);

  // For a request that is_upload, of which Accept got the head: adds what has arrived since.
  // Requires: MayAppend().
  void Append(uring::Chunk* chunk, std::string_view piece);
  // Whether its head is on its way, and not too much is waiting to be sent. When that becomes true
  // the client is flushed.
  bool MayAppend() const;
  // The command is complete.
  void EndUpload();

  // The client's request that is not a part of a split one and has this order; nullptr when it is
  // not here, or has been answered. Walks from the oldest on.
  Request* Find(uint32_t order) const;
  // Takes out a request of which the client has had nothing: it has another answer. It is not sent
  // any more if nothing of it has been; else what the node says to it is dropped. Requires: it is
  // in this connection, and the connection is not its own.
  void Withdraw(Request* request);

  // Closes; every request in it is reported to the observer. Idempotent.
  void Fail(std::string_view reason);
  // Closes without anybody's failure: its only client has left, or it is not needed.
  void Leave();
  // Closes when nobody needs it. Requires: no request in it.
  void CloseIdle();
  // Whether time runs for its oldest request.
  bool IsTimed() const;
  // Fails the connection when the node has owed a reply, and sent nothing, for --request_timeout;
  // else requests that were issued that long ago are lost, and the connection goes on without them.
  // `now_ns`: see Io::NowNs.
  void CheckTimeout(int64_t now_ns);
  // Whether a reply that time runs for has been owed, and nothing of it received, since `then_ns`.
  bool OwesSince(int64_t then_ns) const { return IsTimed() && progress_ns_ <= then_ns; }
  // Whether its oldest request was issued before `then_ns`.
  bool HasWaitedSince(int64_t then_ns) const {
    return !pending_.IsEmpty() && pending_.Front()->issued_ns < then_ns;
  }
  // Asks the node for a sign of life; a node that does not answer is found as by any request.
  // Requires: ready, no request in it.
  void Ping();
  // Gives back requests that wait for the connection to open, because their slots may have another
  // owner now.
  void ReleaseWaiting();
  // Has the client closed that has kept the connection waiting for too long.
  void CheckStall(int64_t now_ns);
  // The node's address is known (or could not be found: length 0).
  void OnResolved();

  State state() const { return state_; }
  UpstreamNode& node() { return node_; }
  LinkKind kind() const { return kind_; }
  bool HasRequests() const { return !pending_.IsEmpty() || !waiting_.IsEmpty(); }
  size_t CountRequests() const { return in_flight_ + waiting_load_.requests; }
  // Whether `is_meant` is true of one of them.
  template <class Predicate>
  bool AnyRequest(Predicate&& is_meant) const {
    for (const RequestList* list : {&pending_, &waiting_}) {
      for (const Request* r = list->Front(); r != nullptr; r = list->Next(r)) {
        if (is_meant(*r)) return true;
      }
    }
    return false;
  }
  // Those that have been sent, or will be at the end of this turn.
  uint32_t in_flight() const { return in_flight_; }
  // When the node last sent something, or began to owe a reply.
  int64_t progress_ns() const { return progress_ns_; }
  // A PING is no use.
  int64_t last_used_ns() const {
    return queued_bytes_ == pinged_bytes_ ? used_before_ping_ns_ : progress_ns_;
  }
  // What the node calls this client (CLIENT ID); 0 when that is not known. Own connections only.
  int64_t client_id() const { return client_id_; }
  ReplicaProgress& replica_progress() { return replica_progress_; }
  size_t output_bytes() const { return output_.bytes(); }
  // More waits for the node to take or to answer than Config::UpstreamQueueBytes(), or waits for it
  // to open than half of --hold_requests_max; until it is half as much.
  bool is_full() const { return is_full_; }
  void CheckInvariants() const;

  // Stallable: the client that a long reply streams to has caught up.
  void ResumeAfterStall() override;
  bool stalled() const { return ListLink<InStallList>::IsLinked(); }
  // TurnTaker: the reply that it has begun to receive may leave now.
  void TakeTurn() override;
  // Clients no longer share it: another has taken its place, and it closes after the one reply that
  // it has in it. See UpstreamNode::SetAside.
  void set_aside() { is_set_aside_ = true; }
  void set_holder(HeldLink* holder) { holder_ = holder; }
  bool is_held() const { return holder_ != nullptr; }

  // SocketListener
  void OnReceived(uring::Slice data) override;
  void OnReceiveEnded(int error) override;
  void OnSent(size_t bytes, int error) override;
  void OnSocketClosed() override;
  // Flushable
  void Flush() override;

 private:
  struct ConnectOperation {
    ConnectOperation(uring::Completion::Handler handler, UpstreamConnection* owner)
        : completion(handler), owner(owner) {}
    uring::Completion completion;  // First member: the handler casts back.
    UpstreamConnection* owner;
  };

  static constexpr uint64_t kNotPinged = UINT64_MAX;

  // A command of rcproxy's own.
  void AcceptOwn(std::string_view command, Request::Sink sink, InternalReply* reply);
  void Wait(Request* request);
  void TakeWaiting(RequestList* waiting);
  void NoteLoad();
  bool IsUnsent(const Request& request) const;
  void StopWaiting(Request* request);
  void LeaveInItsPlace(Request* request, RequestList* list);
  bool IsOverdue(const Request& request, int64_t then_ns) const;
  void LoseOverdue(int64_t then_ns);
  void DropUnsent();
  void StartConnect();
  void FailSoon(const char* reason);
  void OnConnectTimer();
  void OnConnected(int result);
  void StartHandshake();
  std::string Greeting();
  void OnHandshakeReply(std::string_view reply);
  bool AwaitsSelect() const;
  void OnClientId(std::string_view reply);
  void RefuseProtocol();
  void RefuseDatabase(const std::string& reply);
  void RefuseRequests(std::string_view error);
  void BecomeReady();
  void Queue(Request* request);  // Bytes are in the output: awaits its reply.
  void HandleFrame(uring::Chunk* chunk, std::string_view frame);
  bool IsReply(uring::Chunk* chunk, std::string_view frame);
  void HandlePush(std::string_view frame);
  bool EndsUnit(std::string_view frame);
  bool IsWanted(const Request* front) const;
  bool HandleError(Request* request, std::string_view frame);
  // What nodes refuse of units: upstream_unit.cc.
  bool TriesMulti() const;
  bool TakesMultiTrial(std::string_view reply);
  bool TellUnitError(Request* request, const cluster::Redirect& redirect);
  void HoldPartial(uring::Chunk* chunk, std::string_view piece);
  void OfferToJoined(Request* front);
  static bool Yields(const Request& request);
  bool IsFrontAlone() const;
  static void GiveUp(Request* internal);
  void GiveUpBehindFront();
  void KeepPace(ReplyQueue* client);
  void LoseRequests();
  void Lose(Request* request, Fate fate);
  // The request on a connection of its own has been answered or lost.
  void GiveBack(Request* request);
  void WakeUploader(const Request* request);
  void Idle();

  Resources& resources_;
  UpstreamObserver& observer_;
  UpstreamNode& node_;
  const LinkKind kind_;
  State state_ = State::kIdle;
  bool is_set_aside_ = false;
  bool closed_by_node_ = false;
  bool waits_for_turn_ = false;  // Not read: its reply is a part of a joined one.
  bool is_full_ = false;
  bool was_given_again_ = false;  // A request that may be older than those before it.
  HeldLink* holder_ = nullptr;    // Whoever keeps it for longer than a request.
  int handshake_replies_ = 0;
  int multi_trial_replies_ = 0;       // Of them, up to the end of the trial of MULTI.
  bool awaits_sign_of_life_ = false;  // The first of them is the reply to PING, whatever it says.
  int64_t client_id_ = 0;
  int connecting_fd_ = -1;
  const char* connect_failure_ = "";  // The reason when it is not open at connect_deadline_ns_.
  int64_t connect_deadline_ns_ = 0;
  int64_t connecting_since_ns_ = 0;
  SocketAddress address_;    // Of the connect in flight; the node's may change meanwhile.
  int64_t progress_ns_ = 0;  // When the node last sent something, or had nothing to answer.
  uint64_t pinged_bytes_ = kNotPinged;  // queued_bytes_ behind the last PING.
  int64_t used_before_ping_ns_ = 0;
  ReplicaProgress replica_progress_;
  uint64_t queued_bytes_ = 0;     // Ever put into output_.
  uint64_t submitted_bytes_ = 0;  // Ever handed to the kernel.
  uint64_t sent_bytes_ = 0;       // Ever taken by it.
  uint64_t given_up_seen_ = 0;    // Resources::requests_given_up at the last flush.
  RequestList waiting_;
  WaitingLoad waiting_load_;  // Of those that are not rcproxy's own.
  RequestList pending_;
  uint32_t in_flight_ = 0;  // How many are pending_.
  resp::ReplyScanner scanner_;
  SegmentList partial_;     // Of the reply that is arriving.
  uint32_t unit_left_ = 0;  // Replies that the unit at the front still has; 0 before the first.
  std::string unit_error_;  // The first error among them.
  OutputQueue output_;
  uring::Socket socket_;
  SocketWriter writer_;
  ConnectOperation connect_;
  uring::Timer connect_timer_;
};

}  // namespace rcproxy::proxy
