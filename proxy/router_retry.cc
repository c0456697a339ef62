// The part of Router for requests that could not be answered where they went.
#include <glog/logging.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "cluster/redirect.h"
#include "proxy/errors.h"
#include "proxy/idempotent_write.h"
#include "proxy/request_order.h"
#include "proxy/router.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// Of those that wait, so many are offered again for the price of one pause: the more there are, the
// less often, so that the other shards do not feel them.
constexpr size_t kHeldPerPause = 4096;
constexpr std::string_view kAskingCommand = "*1\r\n$6\r\nASKING\r\n";

bool IsUnderWay(const Request& request) {
  return request.state == Request::State::kSent || request.state == Request::State::kWaiting;
}

}  // namespace

bool Router::OnErrorReply(Request* request, const cluster::Redirect& redirect,
                          UpstreamConnection* from) {
  using cluster::ErrorKind;
  if (request->is_upload) [[unlikely]] {
    NoteRefused(request, redirect);
    return false;
  }
  if (request->is_pinned) [[unlikely]]
    return EndWatch(request, redirect);
  if (redirect.kind != ErrorKind::kOther && EndUnblocked(request)) [[unlikely]]
    return true;
  switch (redirect.kind) {
    case ErrorKind::kOther:
      return HidesNodesError(request);
    case ErrorKind::kMoved:
    case ErrorKind::kAsk:
      if (request->is_private) RenewBlocking(request);
      request->pieces.Clear(resources_.segments);
      if (++request->redirects > resources_.config.redirects_max) {
        resources_.stats.redirects_exhausted.Add();
        if (!HidesNodesError(request)) DeliverText(resources_, request, kErrorTooManyRedirects);
      } else if (request->overtaken) {
        GiveUp(request);
      } else if (ClientOf(request)->delayed() > 0) {
        Delay(request);  // Not past an older command of its client that waits.
      } else {
        FollowMoved(request, redirect, from);
      }
      return true;
    case ErrorKind::kTryAgain:
      // The importing node may say so of keys that nobody has: for as long as the slot moves, the
      // request is sent back and forth, and what ends that is its deadline.
      if (IsOver(*request)) return HidesNodesError(request);
      request->redirects = 0;
      moving_slots_.NoteTryAgain(request->slot, resources_.io.NowNs());
      resources_.stats.retries_tryagain.Add();
      request->failure = Request::Failure::kNone;
      return TryDelay(request);
    case ErrorKind::kClusterDown:
    case ErrorKind::kLoading:
    case ErrorKind::kMasterDown:
    case ErrorKind::kReadOnly:
      from->node().stats().refusals.Add();
      if (from->kind().replica_reads) return TryAnotherCopy(request, from->node());
      resources_.stats.retries_cluster_down.Add();
      request->failure = Request::Failure::kUnreachable;
      topology_.RequestRefresh();
      return TryDelay(request);
    case ErrorKind::kNoScript:
      return HealScript(request, from);
    case ErrorKind::kNoFunction:
      return AwaitFunctions(request, from->node());
  }
  return false;
}

void Router::FollowMoved(Request* request, const cluster::Redirect& redirect,
                         UpstreamConnection* from) {
  ClientOf(request)->NoteStray();
  const bool moved = redirect.kind == cluster::ErrorKind::kMoved;
  (moved ? resources_.stats.redirects_moved : resources_.stats.redirects_ask).Add();
  if (moved) topology_.RequestRefresh();
  request->failure = Request::Failure::kNone;
  if (redirect.port == 0) return Delay(request);  // The node does not know where: ask the others.
  cluster::NodeAddress address;
  address.host = redirect.host.empty() ? from->node().address().host : std::string(redirect.host);
  address.port = redirect.port;
  UpstreamNode* node = table_.NodeAt(address);
  if (moved) {
    NoteMoved(redirect.slot, node);
    request->slot = redirect.slot;  // The node knows better where the keys are.
  } else {
    if (node->IsNew()) topology_.RequestRefresh();  // Others will need to know it, too.
    NoteMoving(redirect.slot, address);
  }
  if (WouldBeBehindYounger(*request, *node)) return Delay(request);
  moved ? Dispatch(request) : FollowAsk(request, node);
}

void Router::NoteMoving(uint16_t slot, const cluster::NodeAddress& target) {
  if (resources_.config.read_your_writes_by_offset) replication_watch_.NoteMoving(slot);
  const bool begins = !moving_slots_.Has(slot);
  moving_slots_.NoteTarget(slot, target, resources_.io.NowNs());
  if (begins && resources_.tracking != nullptr) resources_.tracking->OnBeginsToMove(slot);
}

void Router::NoteMoved(uint16_t slot, UpstreamNode* node) {
  if (table_.Find(slot).primary == node) return;
  table_.NoteMoved(slot, node);
  if (resources_.tracking != nullptr) resources_.tracking->OnOwnerChanged(slot);
}

void Router::FollowAsk(Request* request, UpstreamNode* node) {
  UpstreamConnection* own = request->is_private ? OwnLink(request, node) : nullptr;
  if (request->is_private && own == nullptr) return Delay(request);
  UpstreamConnection& link = own != nullptr ? *own : node->link(PrimaryLinkFor(*request));
  if (!link.CanAccept()) return Delay(request);
  if (!request->read_only) NoteWrite(request, *node);
  link.AcceptIgnored(kAskingCommand);
  if (!link.CanAccept()) return Delay(request);  // It could not even begin to connect.
  link.AcceptAgain(request);
}

// Older commands of the same client that must not come behind `request` can not be executed any
// more. One that waits for a retry is answered with an error, as a server would have done; one that
// is under way at another node since a redirect will be, should that node not execute it either.
void Router::OnOvertaking(const Request* request) {
  ReplyQueue* client = ClientOf(request);
  bool has_strays = false;
  AnyInFlight(*client, [&](Request& other) {
    const bool is_stray = other.redirects > 0 && other.state != Request::State::kAnswered;
    has_strays |= is_stray;
    if (!IsOlder(other, *request)) return has_strays;
    if ((is_stray || other.state == Request::State::kDelayed) && MustKeepOrder(other, *request))
      other.overtaken = true;
    return false;
  });
  if (!has_strays) client->ForgetStrays();
  if (client->delayed() > 0) DropOvertaken(client);
}

// Those of the client's commands that wait.
void Router::DropOvertaken(ReplyQueue* client) {
  RequestList overtaken;
  for (Request* request = delayed_.Front(); request != nullptr;) {
    Request* next = delayed_.Next(request);
    if (request->overtaken && ClientOf(request) == client) {
      request->ListLink<struct InUpstreamQueue>::Unlink();
      hold_.Leave(*request);
      overtaken.PushBack(request);
    }
    request = next;
  }
  while (Request* request = overtaken.PopFront()) {
    client->SubDelayed();
    GiveUp(request);
  }
}

void Router::OnRequestLost(Request* request, Fate fate) {
  const bool sent = fate != Fate::kUnsent;
  switch (request->sink) {
    case Request::Sink::kIgnore:
    case Request::Sink::kDiscard:
      return resources_.FreeRequest(request);
    case Request::Sink::kInternal: {
      InternalReply* internal = request->internal;
      resources_.FreeRequest(request);
      return internal->OnLost();
    }
    case Request::Sink::kClient:
    case Request::Sink::kMuted:
    case Request::Sink::kPart:
      break;
  }
  const bool is_joined =
      request->sink == Request::Sink::kPart && request->split_parent->joined != nullptr;
  if (is_joined && request->split_parent->joined->Lose(request)) return;
  if (request->streaming) {  // Its client is being closed; part of the reply has left.
    request->streaming = false;
    return DeliverText(resources_, request, kErrorOutcomeUnknown);
  }
  // What was watched is not any more. Whether a transaction that was sent has been executed is
  // another question.
  if (request->is_pinned && request->is_unit && !sent) return LoseWatch(request);
  // Once its link has had the head, what followed has gone by.
  if (request->is_cut && request->state != Request::State::kWaiting) {
    resources_.stats.errors_upload_lost.Add();
    return DeliverText(resources_, request, kErrorUploadLost);
  }
  const bool may_have_run = sent || (request->is_upload && !request->is_cut);
  if (may_have_run && !request->read_only && !MayRepeatWrite(request, fate)) {
    resources_.stats.errors_outcome_unknown.Add();
    if (ClientOf(request)->MayBeOvertaken()) OnOvertaking(request);
    return DeliverText(resources_, request, kErrorOutcomeUnknown);
  }
  request->failure = Request::Failure::kUnreachable;
  if (sent && request->is_private && MayTakeItsTime(*request)) RenewBlocking(request);
  if (Expired(request, resources_.io.NowNs())) return GiveUp(request);
  Delay(request);
}

// A node that has closed the connection executes nothing more of what came on it. One that was too
// slow does, perhaps after what the client writes next.
bool Router::MayRepeatWrite(Request* request, Fate fate) {
  if (!resources_.config.retry_idempotent_writes || fate != Fate::kEnded) return false;
  if (request->is_unit || request->is_private || request->is_upload) return false;
  if (!IsIdempotentWrite(*request->spec, request->bytes.view())) return false;
  resources_.stats.writes_repeated.Add();
  request->may_have_run = true;
  return true;
}

void Router::OnConnectionFailed(UpstreamConnection* connection, std::string_view reason) {
  resources_.writes.NoteLost(connection->node().write_mark());
  LOG_EVERY_T(WARNING, 0.1) << "node " << connection->node().address().ToString() << ": " << reason;
  topology_.RequestRefresh();
}

// ---- later

bool Router::Expired(const Request* request, int64_t now_ns) const {
  if (request->once || request->overtaken) return true;
  const Config& config = resources_.config;
  const int64_t longest_ms = config.hold_timeout_ms == 0
                                 ? config.request_timeout_ms
                                 : std::min(config.hold_timeout_ms, config.request_timeout_ms);
  return now_ns - request->issued_ns > longest_ms * kNsPerMs;
}

bool Router::TryDelay(Request* request) {
  const int64_t then = resources_.io.NowNs() + resources_.config.retry_delay_ms * kNsPerMs;
  if (Expired(request, then)) return HidesNodesError(request);
  if (MustShed(*request)) {
    resources_.stats.errors_shed.Add();
    return HidesNodesError(request);
  }
  request->pieces.Clear(resources_.segments);
  Delay(request);
  return true;
}

// An error is the answer, unless it is about the second time that a write was sent, of which the
// first may have been executed.
bool Router::HidesNodesError(Request* request) {
  if (!request->may_have_run) return false;
  request->pieces.Clear(resources_.segments);
  GiveUp(request);
  return true;
}

// A replica that can not serve reads is left alone for a while; others can, or the primary.
bool Router::TryAnotherCopy(Request* request, UpstreamNode& node) {
  node.LeaveOut();
  resources_.stats.replicas_left_out.Add();
  topology_.RequestRefresh();
  if (Expired(request, resources_.io.NowNs())) return false;
  request->pieces.Clear(resources_.segments);
  Dispatch(request);
  return true;
}

void Router::Delay(Request* request) {
  if (request->overtaken) [[unlikely]]
    return GiveUp(request);
  request->state = Request::State::kDelayed;
  request->was_delayed = true;
  if (MustShed(*request)) return Shed(request);
  resources_.stats.retries.Add();
  hold_.Enter(request, HoldShard(*request));
  // In the order of issue, which is the order in which they will go out again.
  Request* before = delayed_.Back();
  while (before != nullptr && IsOlder(*request, *before)) before = delayed_.Previous(before);
  before == nullptr ? delayed_.PushFront(request) : delayed_.InsertAfter(request, before);
  if (ReplyQueue* client = ClientOf(request)) client->AddDelayed();
  if (!delayed_timer_.armed()) delayed_timer_.Arm(resources_.io.NowNs() + RetryPauseNs());
}

int64_t Router::RetryPauseNs() const {
  const int64_t pauses = 1 + static_cast<int64_t>(hold_.requests() / kHeldPerPause);
  return pauses * resources_.config.retry_delay_ms * kNsPerMs;
}

// The shard whose window a request waits in.
uint16_t Router::HoldShard(const Request& request) const {
  return request.slot == Request::kNoSlot ? 0 : table_.ShardIndex(request.slot);
}

// Whether it waits for a primary while too many do. What waits for its turn is not shed: that ends
// by itself.
bool Router::MustShed(const Request& request) const {
  if (request.failure == Request::Failure::kOverload) return true;
  const bool waits_for_primary = request.failure == Request::Failure::kUnreachable ||
                                 request.failure == Request::Failure::kNoOwner;
  const uint16_t shard = HoldShard(request);
  return waits_for_primary &&
         !hold_.HasRoom(shard, request.bytes.size(), table_.WaitingForPrimary(shard));
}

// Not at once: whoever issues it is still writing its command.
void Router::Shed(Request* request) {
  if (request->failure != Request::Failure::kOverload) request->failure = Request::Failure::kShed;
  if (ReplyQueue* client = ClientOf(request)) client->AddDelayed();
  shed_.PushBack(request);
  shed_timer_.Arm(resources_.io.NowNs());
}

void Router::AnswerShed() {
  RequestList shed;
  shed.TakeAll(&shed_);
  while (Request* request = shed.PopFront()) {
    ReplyQueue* client = ClientOf(request);
    if (client == nullptr) {
      resources_.FreeRequest(request);
      continue;
    }
    client->SubDelayed();
    GiveUp(request);
  }
}

// Requests of the clients of `due` that are under way, by slot.
std::vector<const Request*> Router::UnderWayBeside(const RequestList& due) const {
  std::vector<const Request*> under_way;
  std::unordered_set<const ReplyQueue*> clients;
  for (const Request* request = due.Front(); request != nullptr; request = due.Next(request)) {
    const ReplyQueue* client = ClientOf(request);
    if (client == nullptr || !clients.insert(client).second) continue;
    AnyInFlight(*client, [&under_way](const Request& other) {
      if (IsUnderWay(other) && other.slot != Request::kNoSlot) under_way.push_back(&other);
      return false;
    });
  }
  std::ranges::sort(under_way, {}, &Request::slot);
  return under_way;
}

// Whether `request` and `other`, which is under way, could be executed in another order than they
// were issued in if `request` went out now: a younger one may yet be sent elsewhere before it, and
// an older one may be on its way to a former owner of the slot.
bool Router::WouldChangePlaces(const Request& request, const Request& other) const {
  if (ClientOf(&other) != ClientOf(&request) || other.order == request.order) return false;
  const bool goes_elsewhere = other.placed_epoch < table_.changed_epoch(other.slot);
  if (IsOlder(other, request) && !goes_elsewhere) return false;
  return MustKeepOrder(request, other);
}

// Whether a request that has been sent on once already, and would now go to `node`, would be behind
// a younger one there.
bool Router::WouldBeBehindYounger(const Request& request, UpstreamNode& node) const {
  if (request.redirects < 2) return false;
  const UpstreamConnection& link = node.link(PrimaryLinkFor(request));
  return link.AnyRequest([&request](const Request& other) {
    return ClientOf(&other) == ClientOf(&request) && IsOlder(request, other) &&
           MustKeepOrder(request, other);
  });
}

void Router::RunDelayed() {
  AnswerShed();
  const int64_t now_ns = resources_.io.NowNs();
  RequestList due;
  // All of them, so that those of one client keep their order.
  while (Request* request = delayed_.PopFront()) {
    hold_.Leave(*request);
    due.PushBack(request);
    if (ReplyQueue* client = ClientOf(request)) client->SubDelayed();
  }
  const std::vector<const Request*> under_way = UnderWayBeside(due);
  const auto must_wait = [&](const Request& request) {
    auto other = std::ranges::lower_bound(under_way, request.slot, {}, &Request::slot);
    for (; other != under_way.end() && (*other)->slot == request.slot; ++other) {
      if (WouldChangePlaces(request, **other)) return true;
    }
    return false;
  };
  while (Request* request = due.PopFront()) {
    ReplyQueue* client = ClientOf(request);
    if (client == nullptr) {
      resources_.FreeRequest(request);  // Nobody waits for it any more, so it is not sent.
      continue;
    }
    if (Expired(request, now_ns)) {
      GiveUp(request);
    } else if (!EndUnblocked(request)) {
      request->state = Request::State::kNew;
      if (must_wait(*request)) {
        Delay(request);
      } else if (!SplitByKey(request)) {
        Dispatch(request);
      }
    }
  }
  if (delayed_.Front() != nullptr) delayed_timer_.Arm(now_ns + RetryPauseNs());
}

void Router::OnTopologyChanged() {
  table_.ForEachNode([](UpstreamNode& node) {
    node.ForEachLink([](UpstreamConnection& link) { link.ReleaseWaiting(); });
  });
  RunDelayed();
}

void Router::GiveUp(Request* request) {
  if (request->may_have_run) {
    resources_.stats.errors_outcome_unknown.Add();
    return DeliverText(resources_, request, kErrorOutcomeUnknown);
  }
  if (request->failure == Request::Failure::kNoOwnLink) {
    resources_.stats.errors_own_connections.Add();
    return DeliverText(resources_, request, kErrorOwnConnections);
  }
  if (request->failure == Request::Failure::kOverload) {
    resources_.stats.errors_overload.Add();
    return DeliverText(resources_, request, kErrorOverload);
  }
  if (request->failure == Request::Failure::kShed) {
    resources_.stats.errors_shed.Add();
    return DeliverText(resources_, request, kErrorShed);
  }
  if (request->failure == Request::Failure::kNoOwner) {
    resources_.stats.errors_slot_uncovered.Add();
    return DeliverText(resources_, request, kErrorSlotNotServed);
  }
  // Who asks once can do without the answer.
  if (!request->once) resources_.stats.errors_unreachable.Add();
  DeliverText(resources_, request, kErrorUnreachable);
}

}  // namespace rcproxy::proxy
