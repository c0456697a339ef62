// The replies one client waits for, in request order, and the bytes that are ready to leave for it.
//
//   requests:  [front: asked first] ... [back]        output: bytes ready for the socket
//
// A reply that is complete while its request is at the front goes straight to the output; any other
// is held by its request until those before it have gone. Merging a split command happens when its
// turn comes, straight into the output.
//
// Owner: ClientConnection. Thread: the worker's.
// Invariants: 1. the front request is not answered completely (else it would have gone); 2.
// delayed() counts the client's requests, parts included, that wait for a retry: while it is not 0
// no new request is issued; 3. epochs of the requests do not decrease from front to back, so the
// front has the oldest. Per reply in order: one list pop, one copy or reference.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/config.h"
#include "proxy/output_queue.h"
#include "proxy/own_writes.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "proxy/write_marks.h"

namespace rcproxy::proxy {

class ReplyQueue {
 public:
  // `connection` is marked dirty whenever something is ready.
  ReplyQueue(Resources& resources, Flushable* connection)
      : resources_(resources), connection_(connection), output_(resources.client_memory) {}
  ~ReplyQueue();  // Requires: empty (Abandon).

  // A reply by rcproxy itself to the command that was read last.
  void Reply(std::string_view reply);
  // A message that must not leave before the replies to what has been asked so far.
  void AppendMessage(std::string_view message);
  // A request of this client takes its place in the order of replies.
  void Push(Request* request);
  // The complete reply to `request`, which this queue holds: what is in request->pieces followed by
  // `rest`, which lies in `chunk`. Frees the request unless it has to wait for its turn.
  void Answer(Request* request, uring::Chunk* chunk, std::string_view rest);
  // The same for a request whose reply nobody wants.
  void AnswerMuted(Request* request);
  // All parts of `parent` have been answered.
  void AnswerSplit(Request* parent);
  // True when what has arrived of the reply to `request` may leave before the rest has come.
  bool CanStream(const Request* request) const { return requests_.Front() == request; }
  // Sends what has arrived of a reply. Requires: CanStream.
  void Stream(Request* request, SegmentList* arrived);
  // Whether a message may leave now, between two replies: none of them has left in part.
  bool MayInterject() const { return requests_.IsEmpty() || !requests_.Front()->streaming; }
  // Sends `piece`, which lies in `chunk`. Requires: MayInterject.
  void Interject(uring::Chunk* chunk, std::string_view piece) {
    output_.AppendFrom(chunk, piece);
    MarkDirty();
  }
  // The client has gone: all replies go nowhere. Requests not answered yet live on without it.
  void Abandon();

  // How requests pushed from now on are sent, and in which database they are executed, whatever
  // `needs` says of that. Requires, for other connections than before: empty(), but for the
  // operation that changes it; on two connections to a node requests would overtake one another.
  void SetNeeds(LinkNeeds needs);
  void SetDatabase(uint16_t database);
  uint16_t database() const { return database_; }
  bool resp3() const { return needs_.resp3; }
  // What becomes of the replies to commands from now on.
  void SetMode(ReplyMode mode);
  // The reply to the next command is given in any mode, as the server gives confirmations.
  void ShowNext() { sink_ = Request::Sink::kClient; }

  void AddDelayed() { ++delayed_; }
  void SubDelayed();
  uint32_t delayed() const { return delayed_; }
  // A request has been sent on to another node, while younger ones may be under way at the former.
  void NoteStray() { has_strays_ = true; }
  void ForgetStrays() { has_strays_ = false; }
  // Whether some request could be executed behind a younger one.
  bool MayBeOvertaken() const { return delayed_ != 0 || has_strays_; }
  // While there is one the client's next commands wait: an operation is under way.
  void AddBarrier() { ++barriers_; }
  void SubBarrier();
  // A node keeps one of the client's commands waiting, perhaps for ever.
  void SetBlocking(bool blocking);
  bool blocking() const { return blocking_; }
  // Until it is lifted, commands wait as it says.
  void SetPause(Pause pause);
  // Whether all or some commands have to wait, and whether `spec` has to.
  bool MustHold() const { return (delayed_ | barriers_ | static_cast<uint32_t>(pause_)) != 0; }
  bool MustHold(const cluster::CommandSpec& spec) const;
  // Whether even those wait that rcproxy answers itself.
  bool HoldsAll() const { return barriers_ != 0 || pause_ == Pause::kAll; }
  // Whether it is of no use to offer any command again.
  bool HoldsFirst() const { return delayed_ != 0 || HoldsAll(); }
  WriteMarks& writes() { return writes_; }
  OwnWrites& own_writes() { return own_writes_; }
  bool empty() const { return size_ == 0; }
  uint32_t size() const { return size_; }
  // Requests not answered yet, parts of split ones included.
  uint32_t in_flight() const { return in_flight_; }
  void AddParts(uint32_t parts) { in_flight_ += parts; }
  void OnPartAnswered(size_t bytes);
  // An answered part is done with before its command is: an operation goes on.
  void ForgetPart(const Request* part);
  // Whether something that nodes have answered has not left yet, as its turn has not come.
  bool HoldsAnswers() const { return held_bytes_ != 0 || barriers_ != 0; }
  // Bytes that wait for this client: ready ones, and replies whose turn has not come.
  size_t bytes() const { return output_.bytes() + held_bytes_; }
  Request* Front() const { return requests_.Front(); }
  Request* Next(const Request* request) const { return requests_.Next(request); }
  OutputQueue& output() { return output_; }
  const OutputQueue& output() const { return output_; }
  Flushable* connection() const { return connection_; }
  // A node died inside a reply that had begun to leave: the connection can only be closed.
  bool broken() const { return broken_; }
  void MarkBroken();
  // `link` is not read until no more than `resume_at_bytes` are ready to leave.
  void Stall(Stallable* link, size_t resume_at_bytes);
  void ResumeStalled();  // To be called when output has left.
  bool stalled() const { return !stalled_.IsEmpty(); }
  // Of replies, and of requests that are kept to be sent again.
  size_t BytesHeld() const;
  void CheckInvariants() const;

 private:
  void PopFront();
  void DeliverReady();
  void MarkDirty() { resources_.MarkDirty(resources_.dirty_clients, connection_); }

  Resources& resources_;
  Flushable* connection_;
  OutputQueue output_;
  IntrusiveList<Request, struct InReplyQueue> requests_;
  uint32_t size_ = 0;
  uint32_t in_flight_ = 0;
  size_t held_bytes_ = 0;
  uint32_t delayed_ = 0;
  uint32_t barriers_ = 0;
  Pause pause_ = Pause::kNone;
  // What Push gives to the next request, and to those behind it.
  Request::Sink sink_ = Request::Sink::kClient;
  Request::Sink next_sink_ = Request::Sink::kClient;
  LinkNeeds needs_;
  uint16_t database_ = 0;
  bool blocking_ = false;
  bool broken_ = false;
  bool has_strays_ = false;
  WriteMarks writes_;
  OwnWrites own_writes_;
  StallList stalled_;
};

// What has arrived of a reply followed by `rest`, in one piece.
uring::Slice Join(Resources& resources, const SegmentList& pieces, std::string_view rest);
// Hands a complete reply to where its request wants it: its client, its parent, its internal asker,
// or nowhere. Frees the request when nobody needs it any more.
void DeliverReply(Resources& resources, Request* request, uring::Chunk* chunk,
                  std::string_view rest);
// The same for a reply that rcproxy makes up (a static text).
void DeliverText(Resources& resources, Request* request, std::string_view text);
// The queue of the client that waits for `request`, directly or through its parent; nullptr when
// nobody does.
ReplyQueue* ClientOf(const Request* request);

}  // namespace rcproxy::proxy
