// The part of UpstreamConnection that bounds what waits for a node: for how long, and how much.
#include <cstring>
#include <utility>

#include "proxy/reply_queue.h"
#include "proxy/split_state.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// The factor by which it has to fall to be full no more.
constexpr size_t kHysteresis = 2;

}  // namespace

// ---- time

bool UpstreamConnection::IsTimed() const {
  if (state_ != State::kReady || pending_.IsEmpty() || stalled() || waits_for_turn_) return false;
  // On a connection of its own a request may block for as long as it likes, or its client may take
  // its time.
  const Request* front = pending_.Front();
  return !front->is_private || !MayTakeItsTime(*front) || (front->is_upload && !front->is_cut);
}

void UpstreamConnection::CheckTimeout(int64_t now_ns) {
  const int64_t then_ns = now_ns - resources_.config.request_timeout_ms * kNsPerMs;
  if (!OwesSince(then_ns)) return LoseOverdue(then_ns);
  resources_.stats.upstream_timeouts.Add();
  node_.NoteSilence();
  Fail("no reply in time");
}

// Whether its client has waited for too long. Who has a connection for itself, or whose reply has
// begun to come, waits for as long as something comes.
bool UpstreamConnection::IsOverdue(const Request& request, int64_t then_ns) const {
  if (request.issued_ns >= then_ns || request.is_private || request.streaming) return false;
  if (&request == pending_.Front() && !partial_.empty()) return false;
  if (request.sink == Request::Sink::kPart) return request.split_parent->joined == nullptr;
  return request.sink == Request::Sink::kClient || request.sink == Request::Sink::kMuted;
}

// They are in the order of issue, unless some have been here, or elsewhere, before.
void UpstreamConnection::LoseOverdue(int64_t then_ns) {
  RequestList overdue;
  const bool look_at_all = std::exchange(was_given_again_, false);
  for (RequestList* list : {&pending_, &waiting_}) {
    for (Request* request = list->Front(); request != nullptr;) {
      Request* next = list->Next(request);
      if (request->issued_ns >= then_ns && !look_at_all) break;
      if (IsOverdue(*request, then_ns)) {
        Withdraw(request);
        overdue.PushBack(request);
      } else {
        was_given_again_ |= WasGivenBefore(*request);
      }
      request = next;
    }
  }
  while (Request* request = overdue.PopFront()) {
    resources_.stats.requests_overdue.Add();
    observer_.OnRequestLost(request, IsUnsent(*request) ? Fate::kUnsent : Fate::kUnknown);
  }
}

// Nothing of it has been handed to the kernel.
bool UpstreamConnection::IsUnsent(const Request& request) const {
  return request.state != Request::State::kSent || request.stream_begin >= submitted_bytes_;
}

void UpstreamConnection::Withdraw(Request* request) {
  DCHECK(!request->streaming && !request->is_private);
  if (request->state == Request::State::kWaiting) return StopWaiting(request);
  LeaveInItsPlace(request, &pending_);
  ++resources_.requests_given_up;
}

void UpstreamConnection::StopWaiting(Request* request) {
  const Request* before = waiting_.Previous(request);
  if (before != nullptr &&
      before->sink == Request::Sink::kIgnore)  // ASKING goes with what is here.
    return LeaveInItsPlace(request, &waiting_);
  const WaitingLoad load = {1, request->bytes.size()};
  waiting_load_ -= load;
  if (!kind_.is_own) node_.SubWaiting(load);
  request->ListLink<struct InUpstreamQueue>::Unlink();
}

void UpstreamConnection::LeaveInItsPlace(Request* request, RequestList* list) {
  Request* in_its_place = resources_.NewRequest();
  in_its_place->state = request->state;
  in_its_place->issued_ns = request->issued_ns;
  in_its_place->stream_begin = request->stream_begin;
  in_its_place->is_unit = request->is_unit;  // Has several replies.
  in_its_place->bytes = std::move(request->bytes);
  list->InsertAfter(in_its_place, request);
  request->ListLink<struct InUpstreamQueue>::Unlink();
}

// ---- space

void UpstreamConnection::NoteLoad() {
  const Config& config = resources_.config;
  const size_t load = output_.bytes() + waiting_load_.bytes + CountRequests() * sizeof(Request);
  const size_t factor = is_full_ ? kHysteresis : 1;
  const bool is_full = load * factor > config.UpstreamQueueBytes() ||
                       waiting_load_.requests * factor > config.hold_requests_max / 2;
  if (is_full == is_full_) return;
  is_full_ = is_full;
  node_.NoteFull(is_full);
}

// Requests that nobody waits for any more, and no byte of which has been handed to the kernel, are
// not sent. Those behind them move up.
void UpstreamConnection::DropUnsent() {
  given_up_seen_ = resources_.requests_given_up;
  if (kind_.is_own || kind_.is_subscription) return;
  Request* first = nullptr;
  bool any = false;
  for (Request* r = pending_.Back(); r != nullptr && IsUnsent(*r); r = pending_.Previous(r)) {
    const Request* before = pending_.Previous(r);
    // The node has heard ASKING, which would be for whatever comes next.
    if (before != nullptr && before->sink == Request::Sink::kIgnore && !IsUnsent(*before)) break;
    first = r;
    any |= r->sink == Request::Sink::kDiscard;
  }
  if (!any) return;
  output_.Truncate(output_.bytes() - (queued_bytes_ - first->stream_begin));
  queued_bytes_ = first->stream_begin;
  const auto drop = [this](Request* request) {
    request->ListLink<struct InUpstreamQueue>::Unlink();
    --in_flight_;
    resources_.FreeRequest(request);
    resources_.stats.requests_not_sent.Add();
  };
  for (Request* request = first; request != nullptr;) {
    Request* next = pending_.Next(request);
    Request* asked = request->sink == Request::Sink::kIgnore ? next : nullptr;
    if (asked != nullptr && asked->sink == Request::Sink::kDiscard) {  // ASKING is for it alone.
      drop(request);
      request = asked;
      next = pending_.Next(request);
    }
    if (request->sink == Request::Sink::kDiscard) {
      drop(request);
    } else {
      request->stream_begin = queued_bytes_;
      output_.AppendFrom(request->bytes.chunk(), request->bytes.view());
      queued_bytes_ += request->bytes.size();
    }
    request = next;
  }
}

}  // namespace rcproxy::proxy
