#include "proxy/upstream_connection.h"

#include <errno.h>
#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cluster/redirect.h"
#include "proxy/held_link.h"
#include "proxy/reply_queue.h"
#include "proxy/split_state.h"
#include "proxy/upstream_node.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;
using uring::Slice;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr size_t kUploadAheadBytes = 512 << 10;  // Of a large command, waiting to be sent.

constexpr size_t kRedirectBytesMax = 512;  // Longer errors are no redirects.

// A reply that came as `pieces` and `last`, copied together in `text` if it has to be; empty when
// it does not fit there.
std::string_view InOnePiece(const SegmentList& pieces, std::string_view last,
                            char (&text)[kRedirectBytesMax]) {
  if (pieces.empty()) return last;
  if (pieces.bytes() + last.size() > kRedirectBytesMax) return {};
  char* end = text;
  for (const Segment* s = pieces.head(); s != nullptr; s = s->next) {
    end = std::copy_n(s->begin, s->size(), end);
  }
  end = std::copy(last.begin(), last.end(), end);
  return {text, static_cast<size_t>(end - text)};
}

// Else the node may not have heard of the end, and yet execute what it has.
bool IsEndByNode(int error) { return error == 0 || error == ECONNRESET || error == EPIPE; }

uint32_t CountCommands(std::string_view bytes) {
  resp::RequestScanner scanner;
  uint32_t count = 0;
  while (!bytes.empty()) {
    scanner.Reset();
    // It was put together here, of commands that had been scanned.
    CHECK(scanner.Scan(bytes, resp::kDefaultRequestLimits) == resp::ScanStatus::kCommand);
    bytes.remove_prefix(scanner.consumed());
    ++count;
  }
  return count;
}

}  // namespace

uint16_t SelectedDatabase(const Request& request) { return ClientOf(&request)->database(); }

UpstreamConnection::UpstreamConnection(Resources& resources, UpstreamObserver& observer,
                                       UpstreamNode& node, LinkKind kind)
    : resources_(resources),
      observer_(observer),
      node_(node),
      kind_(kind),
      output_(resources.upstream_memory),
      socket_(resources.io, *this),
      connect_(
          [](uring::Completion* completion, uring::Event&& event) {
            reinterpret_cast<ConnectOperation*>(completion)->owner->OnConnected(event.result);
          },
          this),
      connect_timer_(
          resources.timers,
          [](void* self) { static_cast<UpstreamConnection*>(self)->OnConnectTimer(); }, this) {}

UpstreamConnection::~UpstreamConnection() { CHECK(state_ == State::kIdle); }

bool UpstreamConnection::CanAccept() const {
  if (state_ == State::kIdle) return !node_.InBackoff();
  return state_ != State::kClosing;
}

char* UpstreamConnection::Accept(Request* request, size_t size) {
  DCHECK(CanAccept());
  if (state_ == State::kReady) {
    request->stream_begin = queued_bytes_;
    const OutputQueue::Space space = output_.Extend(size);
    request->bytes = Slice::Share(space.chunk, space.data, size);
    Queue(request);
    return space.data;
  }
  const Staging::Block block = resources_.upstream_staging.Take(size, size);
  request->bytes = Slice::Adopt(block.chunk, block.begin, size);
  Wait(request);
  return block.begin;
}

void UpstreamConnection::AcceptFrom(Request* request, Chunk* chunk, std::string_view command) {
  if (command.size() <= OutputQueue::kCopyBytesMax) {
    std::memcpy(Accept(request, command.size()), command.data(), command.size());
    return;
  }
  request->bytes = Slice::Share(chunk, command.data(), command.size());
  AcceptAgain(request);
}

void UpstreamConnection::AcceptAgain(Request* request) {
  DCHECK(CanAccept());
  was_given_again_ |= WasGivenBefore(*request);
  if (state_ != State::kReady) return Wait(request);
  request->stream_begin = queued_bytes_;
  output_.AppendFrom(request->bytes.chunk(), request->bytes.view());
  Queue(request);
}

// Until it is open.
void UpstreamConnection::Wait(Request* request) {
  request->state = Request::State::kWaiting;
  waiting_.PushBack(request);
  if (request->sink != Request::Sink::kInternal) {
    const WaitingLoad load = {1, request->bytes.size()};
    waiting_load_ += load;
    if (!kind_.is_own) node_.AddWaiting(load);
    NoteLoad();
  }
  if (state_ == State::kIdle) StartConnect();
}

void UpstreamConnection::TakeWaiting(RequestList* waiting) {
  waiting->TakeAll(&waiting_);
  if (!kind_.is_own) node_.SubWaiting(waiting_load_);
  waiting_load_ = {};
}

void UpstreamConnection::Ask(std::string_view command, InternalReply* reply) {
  if (!CanAccept()) return reply->OnLost();
  AcceptOwn(command, Request::Sink::kInternal, reply);
}

void UpstreamConnection::AcceptIgnored(std::string_view command) {
  AcceptOwn(command, Request::Sink::kIgnore, nullptr);
}

void UpstreamConnection::AcceptOwn(std::string_view command, Request::Sink sink,
                                   InternalReply* reply) {
  Request* request = resources_.NewRequest();
  request->sink = sink;
  request->internal = reply;
  request->issued_ns = resources_.io.NowNs();
  std::memcpy(Accept(request, command.size()), command.data(), command.size());
}

bool UpstreamConnection::MayAppend() const {
  return state_ == State::kReady && !pending_.IsEmpty() && pending_.Front()->is_cut &&
         output_.bytes() < kUploadAheadBytes;
}

void UpstreamConnection::Append(Chunk* chunk, std::string_view piece) {
  DCHECK(MayAppend());
  output_.AppendFrom(chunk, piece);
  queued_bytes_ += piece.size();
  resources_.MarkDirty(resources_.dirty_upstreams, this);
}

void UpstreamConnection::EndUpload() {
  pending_.Front()->is_cut = false;
  progress_ns_ = resources_.io.NowNs();
}

void UpstreamConnection::WakeUploader(const Request* request) {
  if (const ReplyQueue* client = ClientOf(request))
    resources_.MarkDirty(resources_.dirty_clients, client->connection());
}

void UpstreamConnection::Queue(Request* request) {
  queued_bytes_ += request->bytes.size();
  request->state = Request::State::kSent;
  if (pending_.IsEmpty()) progress_ns_ = resources_.io.NowNs();
  pending_.PushBack(request);
  ++in_flight_;
  if (request->bytes.size() > OutputQueue::kCopyBytesMax) [[unlikely]]
    NoteLoad();  // Not at the end of the turn only: a few turns of these are all the memory.
  resources_.stats.requests_sent.Add();
  resources_.MarkDirty(resources_.dirty_upstreams, this);
  if (request->is_upload) [[unlikely]]
    WakeUploader(request);
}

Request* UpstreamConnection::Find(uint32_t order) const {
  for (const RequestList* list : {&pending_, &waiting_}) {
    for (Request* r = list->Front(); r != nullptr; r = list->Next(r)) {
      if (r->sink == Request::Sink::kClient && r->order == order) return r;
    }
  }
  return nullptr;
}

void UpstreamConnection::Flush() {
  if (given_up_seen_ != resources_.requests_given_up) [[unlikely]]
    DropUnsent();
  submitted_bytes_ += writer_.Flush(resources_, &socket_, output_);
  NoteLoad();
}

void UpstreamConnection::OnSent(size_t bytes, int error) {
  writer_.OnSent(resources_, bytes, &output_);
  sent_bytes_ += bytes;
  submitted_bytes_ = sent_bytes_;  // A short send gave the rest back to us.
  if (error != 0) {
    closed_by_node_ = IsEndByNode(error);
    Fail(std::strerror(error));
    return;
  }
  if (!output_.empty() || is_full_) resources_.MarkDirty(resources_.dirty_upstreams, this);
  const Request* front = pending_.Front();
  if (front != nullptr && front->is_cut && output_.bytes() < kUploadAheadBytes / 2) [[unlikely]]
    WakeUploader(front);
}

// ---- replies

void UpstreamConnection::OnReceived(Slice data) {
  progress_ns_ = resources_.io.NowNs();
  node_.NoteHeard(progress_ns_);
  if (!kind_.is_own) node_.NoteFirstReply(pending_.Front(), progress_ns_);
  if (resources_.config.shed_queue_delay_ms > 0 && !pending_.IsEmpty() && !kind_.is_own)
      [[unlikely]]
    node_.NoteWait(progress_ns_, progress_ns_ - pending_.Front()->issued_ns);
  resources_.stats.upstream_bytes_received.Add(data.size());
  if (is_full_) [[unlikely]]
    resources_.MarkDirty(resources_.dirty_upstreams, this);
  std::string_view rest = data.view();
  while (!rest.empty()) {
    const resp::ReplyScanner::Result result = scanner_.Scan(rest);
    const std::string_view piece = rest.substr(0, result.consumed);
    rest.remove_prefix(result.consumed);
    switch (result.status) {
      case resp::ReplyScanner::Status::kFrame:
        HandleFrame(data.chunk(), piece);
        if (state_ != State::kReady && state_ != State::kHandshaking) return;
        break;
      case resp::ReplyScanner::Status::kNeedMore:
        HoldPartial(data.chunk(), piece);
        return;
      case resp::ReplyScanner::Status::kError:
        resources_.stats.upstream_protocol_errors.Add();
        Fail("malformed reply: " + std::string(scanner_.error()));
        return;
    }
  }
}

void UpstreamConnection::HandleFrame(Chunk* chunk, std::string_view frame) {
  if (scanner_.type() == '>') return HandlePush(frame);  // It belongs to no request.
  if (state_ == State::kHandshaking) return OnHandshakeReply(frame);
  if (kind_.is_subscription && !IsReply(chunk, frame)) [[unlikely]]
    return;
  // Nobody answers what has not been asked: such a reply belongs to nobody, and those behind it
  // would go to the wrong clients.
  if (pending_.IsEmpty() || IsUnsent(*pending_.Front())) {
    resources_.stats.upstream_protocol_errors.Add();
    return Fail("a reply without a request");
  }
  if (pending_.Front()->is_cut) [[unlikely]]
    return Fail("a reply before the end of its request");
  if (pending_.Front()->is_unit && !EndsUnit(frame)) [[unlikely]]
    return;
  pending_.PrefetchSecond();
  Request* request = pending_.PopFront();
  --in_flight_;
  CHECK(request->state == Request::State::kSent);
  if (request->is_private) [[unlikely]] {
    GiveBack(request);
    if (std::exchange(waits_for_turn_, false)) socket_.StartReceive();
  }
  DCHECK(request->pieces.empty());
  if (stalled()) [[unlikely]] {  // The reply that was waited for has come to its end.
    ListLink<InStallList>::Unlink();
    ResumeAfterStall();
  }
  request->pieces.Swap(&partial_);
  if (scanner_.type() == '-' && HandleError(request, frame)) return;
  const ReplyQueue* client = ClientOf(request);
  if (client != nullptr && client->MayBeOvertaken()) [[unlikely]]
    observer_.OnOvertaking(request);
  if (request->needs.remembers && client != nullptr) [[unlikely]]
    resources_.tracking->OnRead(*request, request->pieces.empty() ? frame : "", this);
  DeliverReply(resources_, request, chunk, frame);
  if (is_set_aside_) [[unlikely]]
    Leave();
}

// Only connections that track ask for any.
void UpstreamConnection::HandlePush(std::string_view frame) {
  const Slice whole = partial_.empty() ? Slice() : Join(resources_, partial_, frame);
  partial_.Clear(resources_.segments);
  if (kind_.tracks_by == TracksBy::kNothing) return;
  resources_.tracking->OnPush(this, whole.empty() ? frame : whole.view());
}

// On a connection with subscriptions; false for a message.
bool UpstreamConnection::IsReply(Chunk* chunk, std::string_view frame) {
  SubscriptionSink& sink = *resources_.subscriptions;
  if (partial_.empty()) return sink.OnFrame(this, chunk, frame, pending_.Front());
  const Slice whole = Join(resources_, partial_, frame);
  if (sink.OnFrame(this, whole.chunk(), whole.view(), pending_.Front())) return true;
  partial_.Clear(resources_.segments);
  return false;
}

// Counts the replies to a unit (MULTI, commands, EXEC); the last is the answer. The node's first
// error is kept: when it says that the keys are elsewhere, EXEC was refused because of it.
bool UpstreamConnection::EndsUnit(std::string_view frame) {
  if (unit_left_ == 0) {
    unit_left_ = CountCommands(pending_.Front()->bytes.view());
    unit_error_.clear();
  }
  if (--unit_left_ == 0) return true;
  if (scanner_.type() == '-' && unit_error_.empty()) {
    char text[kRedirectBytesMax];
    unit_error_ = InOnePiece(partial_, frame, text);
  }
  partial_.Clear(resources_.segments);
  return false;
}

// Returns true when the request is tried elsewhere instead of being answered with the error.
bool UpstreamConnection::HandleError(Request* request, std::string_view frame) {
  if (ClientOf(request) == nullptr) return false;
  char text[kRedirectBytesMax];
  frame = InOnePiece(request->pieces, frame, text);
  if (request->is_unit && !unit_error_.empty()) frame = unit_error_;
  cluster::Redirect redirect = cluster::ParseErrorReply(frame);
  // ASKING would have to come before each command of the unit, where it would be queued: wait until
  // the slot has moved.
  if (request->is_unit && redirect.kind == cluster::ErrorKind::kAsk)
    redirect.kind = cluster::ErrorKind::kTryAgain;
  const bool passes = redirect.kind != cluster::ErrorKind::kOther || request->may_have_run;
  if (passes && observer_.OnErrorReply(request, redirect, this)) return true;
  return request->is_unit && TellUnitError(request, redirect);
}

void UpstreamConnection::HoldPartial(Chunk* chunk, std::string_view piece) {
  Request* front = state_ == State::kReady ? pending_.Front() : nullptr;
  if (!IsWanted(front)) return partial_.Clear(resources_.segments);
  ChunkPool::Ref(chunk);
  partial_.Add(resources_.segments, chunk, piece);
  if (front != nullptr && front->sink == Request::Sink::kPart) return OfferToJoined(front);
  if (front != nullptr && front->sink == Request::Sink::kInternal) {
    if (partial_.bytes() > front->internal->reply_bytes_max()) GiveUp(front);
    return;
  }
  if (front == nullptr || front->sink != Request::Sink::kClient) return;
  if (partial_.bytes() < resources_.config.stream_reply_bytes_min && !front->streaming) return;
  ReplyQueue* client = front->replies;
  // An error may be a redirect, a push is for nobody, and behind an attribute it could be either.
  const char type = scanner_.type();
  if (front->is_unit) return;
  if (type == '-' || type == '>' || type == '\0' || !client->CanStream(front)) return;
  client->Stream(front, &partial_);
  KeepPace(client);
}

// Whether anybody looks at what is arriving, which is a push or the reply to `front`.
bool UpstreamConnection::IsWanted(const Request* front) const {
  const char type = scanner_.type();
  if (front == nullptr || (type == '>' && kind_.tracks_by != TracksBy::kNothing)) return true;
  if (front->sink == Request::Sink::kDiscard) return false;
  // An error may be a redirect.
  return front->sink != Request::Sink::kMuted || type == '-' || type == '\0';
}

void UpstreamConnection::OfferToJoined(Request* front) {
  JoinedReply* const joined = front->split_parent->joined.get();
  if (joined == nullptr) return;
  switch (joined->Take(front, &partial_, this)) {
    case JoinedReply::Taken::kAll:
      return KeepPace(ClientOf(front));
    case JoinedReply::Taken::kNotYet:
      return;
    case JoinedReply::Taken::kWait:
      waits_for_turn_ = true;
      return socket_.PauseReceive();
  }
}

void UpstreamConnection::TakeTurn() {
  waits_for_turn_ = false;
  progress_ns_ = resources_.io.NowNs();
  OfferToJoined(pending_.Front());
  if (!stalled()) socket_.StartReceive();
}

// Whether `request`, behind one whose client is slow, can do without this connection.
bool UpstreamConnection::Yields(const Request& request) {
  if (request.sink == Request::Sink::kInternal) return request.internal->yields();
  return request.sink == Request::Sink::kDiscard || request.sink == Request::Sink::kIgnore;
}

bool UpstreamConnection::IsFrontAlone() const {
  const Request* behind = pending_.Next(pending_.Front());
  while (behind != nullptr && Yields(*behind)) behind = pending_.Next(behind);
  return behind == nullptr;
}

void UpstreamConnection::GiveUp(Request* internal) {
  internal->sink = Request::Sink::kDiscard;
  std::exchange(internal->internal, nullptr)->OnLost();
}

// What waits behind the front and yields is answered now: it will not be, for a long time.
void UpstreamConnection::GiveUpBehindFront() {
  Request* behind = pending_.Front();
  while ((behind = pending_.Next(behind)) != nullptr) {
    if (behind->sink == Request::Sink::kInternal) GiveUp(behind);
  }
}

// The node is not read faster than `client` reads what streams to it. When no other client waits
// behind it, the connection becomes its own; else others are not made to wait as long as the
// client's hard limit is far.
void UpstreamConnection::KeepPace(ReplyQueue* client) {
  const Config& config = resources_.config;
  const size_t waiting = client->output().bytes();
  const size_t soft_limit = config.client_output_soft_bytes;
  const bool may_have_it = is_set_aside_ || kind_.is_own;
  if (waiting > soft_limit && IsFrontAlone() && (may_have_it || node_.SetAside(this))) {
    GiveUpBehindFront();
    client->Stall(this, soft_limit / 2);
  } else if (waiting > config.client_output_hard_bytes / 2) {
    client->Stall(this, soft_limit);
  } else {
    return;
  }
  socket_.PauseReceive();
}

void UpstreamConnection::ResumeAfterStall() {
  progress_ns_ = resources_.io.NowNs();
  const Request* front = pending_.Front();
  if (is_set_aside_ && front != nullptr && front->sink == Request::Sink::kDiscard) return Leave();
  if (socket_.is_open()) socket_.StartReceive();
}

void UpstreamConnection::OnReceiveEnded(int error) {
  closed_by_node_ = IsEndByNode(error);
  Fail(error == 0 ? "closed by the node" : std::strerror(error));
}

// ---- closing

void UpstreamConnection::Fail(std::string_view reason) {
  if (state_ == State::kIdle || state_ == State::kClosing) return;
  const bool was_ready = state_ == State::kReady;
  if (was_ready) {
    resources_.stats.upstream_failures.Add();
    node_.stats().failures.Add();
  } else {
    resources_.stats.upstream_connect_failures.Add();
    node_.stats().connect_failures.Add();
  }
  node_.OnConnectFailed();
  observer_.OnConnectionFailed(this, reason);
  Leave();
}

void UpstreamConnection::Leave() {
  if (state_ == State::kIdle || state_ == State::kClosing) return;
  const bool connecting = state_ == State::kConnecting;
  if (kind_.is_own && state_ != State::kReady) node_.OnOwnOpened();
  state_ = State::kClosing;
  connect_timer_.Disarm();
  if (stalled()) ListLink<InStallList>::Unlink();
  LoseRequests();
  if (kind_.is_subscription) resources_.subscriptions->OnClosed(this);
  if (kind_.tracks_by != TracksBy::kNothing) resources_.tracking->OnClosed(this);
  if (holder_ != nullptr) holder_->GiveBack();
  if (!connecting) {
    socket_.Close();
  } else if (connecting_fd_ >= 0) {
    resources_.io.Cancel(&connect_.completion);
  } else {
    Idle();
  }
}

void UpstreamConnection::GiveBack(Request* request) {
  if (request->sink == Request::Sink::kPart) std::erase(request->split_parent->own_links, this);
  if (!request->is_pinned) node_.ReturnOwnLink(this);
}

void UpstreamConnection::CloseIdle() {
  CHECK(!HasRequests());
  Leave();
}

void UpstreamConnection::LoseRequests() {
  RequestList lost;
  lost.TakeAll(&pending_);
  in_flight_ = 0;
  Request* front = lost.Front();
  if (front != nullptr && front->streaming && front->sink == Request::Sink::kClient) {
    resources_.stats.clients_closed_partial_reply.Add();
    front->replies->MarkBroken();
  }
  partial_.Clear(resources_.segments);
  const Fate fate_of_sent = closed_by_node_ ? Fate::kEnded : Fate::kUnknown;
  while (Request* request = lost.PopFront()) {
    Lose(request, IsUnsent(*request) ? Fate::kUnsent : fate_of_sent);
  }
  TakeWaiting(&lost);
  while (Request* request = lost.PopFront()) {
    Lose(request, Fate::kUnsent);
  }
}

void UpstreamConnection::Lose(Request* request, Fate fate) {
  if (request->is_private) GiveBack(request);
  observer_.OnRequestLost(request, fate);
}

void UpstreamConnection::OnSocketClosed() {
  resources_.stats.upstream_connections.Sub();
  writer_.Reset(resources_);
  Idle();
}

void UpstreamConnection::Idle() {
  DCHECK(!HasRequests());
  state_ = State::kIdle;
  output_.Clear();
  scanner_.Reset();
  partial_.Clear(resources_.segments);
  queued_bytes_ = submitted_bytes_ = sent_bytes_ = 0;
  pinged_bytes_ = kNotPinged;
  replica_progress_.applied = {};
  closed_by_node_ = waits_for_turn_ = false;
  was_given_again_ = false;
  unit_left_ = 0;
  unit_error_.clear();
  NoteLoad();
  if (Flushable::IsLinked()) Flushable::Unlink();
}

void UpstreamConnection::Ping() {
  DCHECK(state_ == State::kReady && !HasRequests());
  used_before_ping_ns_ = last_used_ns();
  AcceptIgnored(kPingCommand);
  pinged_bytes_ = queued_bytes_;
  resources_.stats.upstream_pings.Add();
}

void UpstreamConnection::CheckStall(int64_t now_ns) {
  if (!stalled() || is_set_aside_ || kind_.is_own) return;
  const int64_t limit_ns = resources_.config.client_stall_timeout_ms * kNsPerMs;
  if (now_ns - stalled_since_ns < limit_ns) return;
  resources_.stats.clients_closed_output_limit.Add();
  stalled_by->MarkBroken();
}

void UpstreamConnection::CheckInvariants() const {
  output_.CheckInvariants();
  CHECK(state_ != State::kReady || waiting_.IsEmpty());
  CHECK(state_ == State::kReady || pending_.IsEmpty());
  CHECK(!waiting_.IsEmpty() || waiting_load_.requests == 0);
  uint64_t position = 0;
  for (const Request* r = pending_.Front(); r != nullptr; r = pending_.Next(r)) {
    CHECK_GE(r->stream_begin, position);
    CHECK(r->state == Request::State::kSent);
    position = r->stream_begin + r->bytes.size();
  }
  CHECK_LE(position, queued_bytes_);
}

}  // namespace rcproxy::proxy
