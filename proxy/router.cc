#include "proxy/router.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "cluster/hash_slot.h"
#include "cluster/redirect.h"
#include "proxy/command_conflict.h"
#include "proxy/errors.h"
#include "proxy/reply_merger.h"
#include "proxy/split_state.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using cluster::KeyRun;
using cluster::KeyRuns;
using cluster::KeysStatus;
using cluster::Route;
using resp::CommandView;
using uring::Chunk;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr std::string_view kAskingCommand = "*1\r\n$6\r\nASKING\r\n";

// Issued before. Orders wrap, but never within what is in flight.
bool IsOlder(const Request* a, const Request* b) {
  return static_cast<int32_t>(a->order - b->order) < 0;
}

// The slot that all keys share, or -1.
int CommonSlot(const CommandView& command, const KeyRuns& keys) {
  int slot = -1;
  const bool differ = cluster::AnyKey(command, keys, [&slot](std::string_view key) {
    const int before = std::exchange(slot, cluster::HashSlot(key));
    return before >= 0 && before != slot;
  });
  return differ ? -1 : slot;
}

}  // namespace

Router::Router(Resources& resources, RoutingTable& table, TopologySource& topology)
    : resources_(resources),
      table_(table),
      topology_(topology),
      moving_slots_(resources.timers),
      scripts_(resources.config.script_cache_bytes),
      delayed_timer_(
          resources.timers, [](void* self) { static_cast<Router*>(self)->RunDelayed(); }, this),
      slot_stamp_(cluster::kSlotCount, 0),
      slot_part_(cluster::kSlotCount, 0) {
  resources_.operations = this;
}

Router::~Router() {
  while (Request* request = delayed_.PopFront()) resources_.FreeRequest(request);
}

// ---- from a client

Router::Verdict Router::Route(ReplyQueue* client, const CommandSpec& spec,
                              const CommandView& command, Chunk* chunk) {
  if (client->MustHold() && client->MustHold(spec)) return Verdict::kWait;
  if (spec.route == Route::kAllPrimaries || spec.route == Route::kAllNodes)
    return RouteToAll(client, spec, command);
  if (spec.route == Route::kAnyPrimary) {
    // Messages to one channel go one way, or a subscriber could see them in another order.
    const bool publish = spec.Has(cluster::kFlagPubSub) && command.size() > 1;
    return Issue(client, spec, command, chunk,
                 publish ? cluster::HashSlot(command[1]) : Request::kNoSlot);
  }
  const KeyRuns keys = cluster::FindKeys(spec, command);
  if (keys.status != KeysStatus::kOk) {
    // A script without keys may run anywhere; and whatever is wrong with the key arguments, any
    // node says it as a server does.
    return Issue(client, spec, command, chunk, Request::kNoSlot);
  }
  if (spec.route == Route::kSplit) return RouteSplit(client, spec, command, chunk, keys);
  return RouteKeyed(client, spec, command, chunk, keys);
}

Router::Verdict Router::RouteKeyed(ReplyQueue* client, const CommandSpec& spec,
                                   const CommandView& command, Chunk* chunk, const KeyRuns& keys) {
  const int slot = CommonSlot(command, keys);
  if (slot < 0) return Verdict::kCrossSlot;
  return Issue(client, spec, command, chunk, slot);
}

Router::Verdict Router::RouteSplit(ReplyQueue* client, const CommandSpec& spec,
                                   const CommandView& command, Chunk* chunk, const KeyRuns& keys) {
  DCHECK_EQ(keys.size, 1);
  const KeyRun& run = keys.runs[0];
  if (run.step == 2 && command.size() % 2 == 0) {  // MSET: the last value is missing.
    client->Reply("-ERR wrong number of arguments for 'mset' command\r\n");
    return Verdict::kTaken;
  }
  const uint32_t parts = GroupKeys(command, run);
  if (parts == 1) return Issue(client, spec, command, chunk, plan_[0].slot);
  if (resources_.config.cross_slot == CrossSlot::kStrict) return Verdict::kCrossSlot;
  for (const PartPlan& part : plan_) {
    if (MustWait(*client, part.slot)) return Verdict::kWait;
  }
  IssueParts(client, spec, command, run);
  return Verdict::kTaken;
}

Router::Verdict Router::Issue(ReplyQueue* client, const CommandSpec& spec,
                              const CommandView& command, Chunk* chunk, uint16_t slot) {
  if (slot != Request::kNoSlot && MustWait(*client, slot)) return Verdict::kWait;
  Request* request = NewRequest(spec, slot);
  client->Push(request);
  const std::string_view bytes = command.bytes();
  UpstreamConnection* link = LinkFor(request);
  if (link != nullptr) {
    link->AcceptFrom(request, chunk, bytes);
  } else {
    std::memcpy(Place(request, bytes.size()), bytes.data(), bytes.size());
  }
  return Verdict::kTaken;
}

Router::Verdict Router::RouteUnit(ReplyQueue* client, const CommandSpec& exec,
                                  std::string_view unit, uint16_t slot, bool read_only) {
  if (client->HoldsFirst() || (client->MustHold() && !read_only)) return Verdict::kWait;
  if (slot != Request::kNoSlot && MustWait(*client, slot)) return Verdict::kWait;
  Request* request = NewRequest(exec, slot);
  request->is_unit = true;
  request->read_only = read_only;
  client->Push(request);
  std::memcpy(Place(request, unit.size()), unit.data(), unit.size());
  return Verdict::kTaken;
}

// Fills plan_ (one entry per slot) and part_of_key_. Returns the number of parts.
uint32_t Router::GroupKeys(const CommandView& command, const KeyRun& keys) {
  if (++stamp_ == 0) {  // Wrapped: old stamps could match again.
    std::fill(slot_stamp_.begin(), slot_stamp_.end(), 0);
    stamp_ = 1;
  }
  plan_.clear();
  part_of_key_.clear();
  for (uint32_t i = 0, arg = keys.first; i < keys.count; ++i, arg += keys.step) {
    const uint16_t slot = cluster::HashSlot(command[arg]);
    if (slot_stamp_[slot] != stamp_) {
      slot_stamp_[slot] = stamp_;
      slot_part_[slot] = plan_.size();
      plan_.push_back({slot, 0, 0, nullptr});
    }
    PartPlan& part = plan_[slot_part_[slot]];
    ++part.keys;
    for (uint32_t j = 0; j < keys.step; ++j) part.bytes += command.Encoded(arg + j).size();
    part_of_key_.push_back(slot_part_[slot]);
  }
  return plan_.size();
}

void Router::IssueParts(ReplyQueue* client, const CommandSpec& spec, const CommandView& command,
                        const KeyRun& keys) {
  resources_.stats.commands_split.Add();
  Request* parent = NewRequest(spec, Request::kNoSlot);
  SplitState* split = MakeParent(client, parent);
  split->merge = spec.merge;
  split->pending = plan_.size();
  client->AddParts(plan_.size());
  if (spec.merge == cluster::Merge::kKeyOrder) split->part_of_key = part_of_key_;

  const std::string_view name = command.Encoded(0);
  for (PartPlan& plan : plan_) {
    Request* part = NewPart(split, plan.slot);
    char header[32];
    const size_t header_size = resp::WriteArrayHeader(header, 1 + plan.keys * keys.step);
    plan.cursor = Place(part, header_size + name.size() + plan.bytes);
    plan.cursor = std::copy_n(header, header_size, plan.cursor);
    plan.cursor = std::copy(name.begin(), name.end(), plan.cursor);
  }
  for (uint32_t i = 0, arg = keys.first; i < keys.count; ++i, arg += keys.step) {
    char*& cursor = plan_[part_of_key_[i]].cursor;
    for (uint32_t j = 0; j < keys.step; ++j) {
      const std::string_view encoded = command.Encoded(arg + j);
      cursor = std::copy(encoded.begin(), encoded.end(), cursor);
    }
  }
}

SplitState* Router::MakeParent(ReplyQueue* client, Request* parent) {
  SplitState* split = resources_.splits.New();
  split->parent = parent;
  parent->split = split;
  parent->is_split = true;
  client->Push(parent);
  return split;
}

Request* Router::NewPart(SplitState* split, uint16_t slot) {
  Request* part = NewRequest(*split->parent->spec, slot);
  part->sink = Request::Sink::kPart;
  part->split_parent = split;
  part->order = split->parent->order;
  part->resp3 = split->parent->resp3;
  part->prefers_replica = split->parent->prefers_replica;
  split->parts.push_back(part);
  return part;
}

// A part for each primary (by a slot it owns, so that the part follows a failover), or node.
Router::Verdict Router::RouteToAll(ReplyQueue* client, const CommandSpec& spec,
                                   const CommandView& command) {
  const bool everywhere = spec.route == Route::kAllNodes;
  std::vector<uint16_t> slots;
  std::vector<cluster::NodeAddress> nodes;
  if (everywhere) {
    for (const UpstreamNode* node : table_.Nodes()) nodes.push_back(node->address());
  } else {
    slots = table_.SlotOfEachPrimary();
  }
  const size_t count = everywhere ? nodes.size() : slots.size();
  if (count == 0) {
    topology_.RequestRefresh();
    return Refuse(client, kErrorSlotNotServed, &resources_.stats.errors_slot_uncovered);
  }
  for (const uint16_t slot : slots) {
    if (MustWait(*client, slot)) return Verdict::kWait;
  }
  resources_.stats.commands_split.Add();
  SplitState* split = MakeParent(client, NewRequest(spec, Request::kNoSlot));
  split->merge = spec.merge;
  split->pending = count;
  split->targets = std::move(nodes);
  client->AddParts(count);
  const std::string_view bytes = command.bytes();
  for (size_t i = 0; i < count; ++i) {
    Request* part = NewPart(split, everywhere ? Request::kNoSlot : slots[i]);
    std::memcpy(Place(part, bytes.size()), bytes.data(), bytes.size());
  }
  return Verdict::kTaken;
}

Router::Verdict Router::Refuse(ReplyQueue* client, std::string_view error, Counter* counter) {
  counter->Add();
  resources_.stats.commands_refused.Add();
  client->Reply(error);
  return Verdict::kTaken;
}

bool Router::MustWait(const ReplyQueue& client, uint16_t slot) {
  const Request* oldest = client.Front();
  if (oldest == nullptr) return false;
  const bool changed =
      oldest->epoch != table_.epoch() && table_.changed_epoch(slot) > oldest->epoch;
  if (!changed && !(moving_slots_.HasAny() && MayBeTriedAgain(client, slot))) return false;
  resources_.stats.fences.Add();
  return true;
}

// Whether the client awaits the reply to a command that a half moved slot can not execute, while it
// does execute what comes behind.
bool Router::MayBeTriedAgain(const ReplyQueue& client, uint16_t slot) const {
  const auto may = [slot](const Request* request) {
    return !request->is_split && request->slot == slot &&
           request->state != Request::State::kAnswered &&
           (request->is_unit || CanHaveManyKeys(*request->spec));
  };
  for (const Request* request = client.Front(); request != nullptr;
       request = client.Next(request)) {
    if (request->is_split ? std::ranges::any_of(request->split->parts, may) : may(request))
      return true;
  }
  return false;
}

Request* Router::NewRequest(const CommandSpec& spec, uint16_t slot) {
  Request* request = resources_.NewRequest();
  request->spec = &spec;
  request->slot = slot;
  request->read_only = spec.Has(cluster::kFlagRead);
  request->epoch = table_.epoch();
  request->issued_ns = resources_.io.NowNs();
  return request;
}

// ---- to a link

UpstreamConnection* Router::LinkFor(Request* request) {
  UpstreamNode* node = nullptr;
  if (request->slot == Request::kNoSlot) [[unlikely]] {
    node = NodeOutsideSlots(request);
  } else {
    const ShardRoute& shard = table_.Find(request->slot);
    if (MayAskReplica(*request) && !shard.replicas.empty()) {
      if (UpstreamConnection* link = ReplicaLink(shard, request->resp3)) return link;
    }
    node = shard.primary;
  }
  if (node == nullptr) {
    const bool keyless = request->slot == Request::kNoSlot;
    request->failure = keyless ? Request::Failure::kUnreachable : Request::Failure::kNoOwner;
    topology_.RequestRefresh();
    return nullptr;
  }
  if (request->is_private) [[unlikely]]
    return OwnLink(request, node);
  UpstreamConnection& link = node->link({.replica_reads = false, .resp3 = request->resp3});
  if (link.CanAccept()) return &link;
  request->failure = Request::Failure::kUnreachable;
  topology_.RequestRefresh();  // Perhaps another node has taken over.
  return nullptr;
}

UpstreamNode* Router::NodeOutsideSlots(const Request* request) {
  if (request->sink != Request::Sink::kPart || request->split_parent->targets.empty())
    return table_.AnyPrimary();
  const SplitState& split = *request->split_parent;
  const auto part = std::find(split.parts.begin(), split.parts.end(), request);
  const cluster::NodeAddress& target = split.targets[part - split.parts.begin()];
  return target.port == 0 ? table_.AnyPrimary() : table_.NodeAt(target);
}

// What a replica has refused, or lost, goes to the primary: replicas that lag behind the map would
// otherwise send a request round in circles.
bool Router::MayAskReplica(const Request& request) const {
  return request.prefers_replica && request.spec->Has(cluster::kFlagReplicaOk) &&
         request.redirects == 0 && !request.was_delayed && !request.is_private;
}

UpstreamConnection* Router::ReplicaLink(const ShardRoute& shard, bool resp3) {
  const bool zone_only = resources_.config.read_prefer == ReadPreference::kReplicaSameZone;
  UpstreamConnection* other = nullptr;
  for (size_t tried = 0; tried < shard.replicas.size(); ++tried) {
    UpstreamNode* node = shard.replicas[shard.next_replica++ % shard.replicas.size()];
    UpstreamConnection& link = node->link({.replica_reads = true, .resp3 = resp3});
    if (!link.CanAccept()) continue;
    const bool same_zone = node->address().host.starts_with(resources_.config.zone_prefix);
    if (!zone_only || same_zone) return &link;
    other = &link;
  }
  return other;
}

char* Router::Place(Request* request, size_t size) {
  if (UpstreamConnection* link = LinkFor(request)) return link->Accept(request, size);
  const Staging::Block block = resources_.upstream_staging.Take(size, size);
  request->bytes = uring::Slice::Adopt(block.chunk, block.begin, size);
  Delay(request);
  return block.begin;
}

void Router::Dispatch(Request* request) {
  // Another command of the client waits for a retry: this one must not pass it on a shorter way.
  const ReplyQueue* client = ClientOf(request);
  if (client != nullptr && client->delayed() > 0) return Delay(request);
  if (UpstreamConnection* link = LinkFor(request)) {
    link->AcceptAgain(request);
  } else {
    Delay(request);
  }
}

void Router::SendInternal(UpstreamNode* node, std::string_view command, InternalReply* reply) {
  if (!node->primary_link().CanAccept()) return reply->OnLost();
  Request* request = resources_.NewRequest();
  request->sink = Request::Sink::kInternal;
  request->internal = reply;
  request->issued_ns = resources_.io.NowNs();
  std::memcpy(node->primary_link().Accept(request, command.size()), command.data(), command.size());
}

// ---- what could not be answered

bool Router::OnErrorReply(Request* request, const cluster::Redirect& redirect,
                          UpstreamConnection* from) {
  using cluster::ErrorKind;
  if (request->is_upload) [[unlikely]] {
    NoteUploadRefused(request, redirect);
    return false;
  }
  switch (redirect.kind) {
    case ErrorKind::kOther:
      return false;
    case ErrorKind::kMoved:
    case ErrorKind::kAsk:
      if (request->is_private) RenewBlocking(request);
      request->pieces.Clear(resources_.segments);
      if (++request->redirects > resources_.config.redirects_max) {
        resources_.stats.redirects_exhausted.Add();
        DeliverText(resources_, request, kErrorTooManyRedirects);
      } else if (ClientOf(request)->delayed() > 0) {
        Delay(request);  // Not past an older command of its client that waits.
      } else {
        FollowMoved(request, redirect, from);
      }
      return true;
    case ErrorKind::kTryAgain:
      // The importing node may say so of keys that nobody has: for as long as the slot moves, the
      // request is sent back and forth, and what ends that is its deadline.
      request->redirects = 0;
      moving_slots_.Note(request->slot, resources_.io.NowNs());
      resources_.stats.retries_tryagain.Add();
      return TryDelay(request);
    case ErrorKind::kClusterDown:
    case ErrorKind::kLoading:
    case ErrorKind::kMasterDown:
    case ErrorKind::kReadOnly:
      resources_.stats.retries_cluster_down.Add();
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
  const bool moved = redirect.kind == cluster::ErrorKind::kMoved;
  (moved ? resources_.stats.redirects_moved : resources_.stats.redirects_ask).Add();
  if (moved) topology_.RequestRefresh();
  if (redirect.port == 0) return Delay(request);  // The node does not know where: ask the others.
  cluster::NodeAddress address;
  address.host = redirect.host.empty() ? from->node().address().host : std::string(redirect.host);
  address.port = redirect.port;
  UpstreamNode* node = table_.NodeAt(address);
  if (!moved) {
    if (node->IsNew()) topology_.RequestRefresh();  // Others will need to know it, too.
    moving_slots_.NoteTarget(redirect.slot, address, resources_.io.NowNs());
    return FollowAsk(request, node);
  }
  table_.NoteMoved(redirect.slot, node);
  request->slot = redirect.slot;  // The node knows better where the keys are.
  Dispatch(request);
}

void Router::FollowAsk(Request* request, UpstreamNode* node) {
  if (ClientOf(request)->delayed() > 0) return Delay(request);
  UpstreamConnection* own = request->is_private ? OwnLink(request, node) : nullptr;
  if (request->is_private && own == nullptr) return Delay(request);
  UpstreamConnection& link =
      own != nullptr ? *own : node->link({.replica_reads = false, .resp3 = request->resp3});
  if (!link.CanAccept()) return Delay(request);
  Request* asking = resources_.NewRequest();
  asking->sink = Request::Sink::kIgnore;
  std::memcpy(link.Accept(asking, kAskingCommand.size()), kAskingCommand.data(),
              kAskingCommand.size());
  if (!link.CanAccept()) return Delay(request);  // It could not even begin to connect.
  link.AcceptAgain(request);
}

// Older commands of the same client that share a key with `request` and wait for a retry can not be
// executed any more: they would change places with `request`, which has been, or may have been,
// executed. A server would have answered them with an error, too.
void Router::OnOvertaking(const Request* request) {
  const ReplyQueue* client = ClientOf(request);
  RequestList overtaken;
  for (Request* older = delayed_.Front(); older != nullptr;) {
    Request* next = delayed_.Next(older);
    if (ClientOf(older) == client && older->slot == request->slot && IsOlder(older, request) &&
        !(older->read_only && request->read_only) &&
        MayShareKey({*older->spec, older->bytes.view()}, {*request->spec, request->bytes.view()})) {
      older->ListLink<struct InUpstreamQueue>::Unlink();
      overtaken.PushBack(older);
    }
    older = next;
  }
  while (Request* older = overtaken.PopFront()) {
    ClientOf(older)->SubDelayed();
    resources_.stats.errors_unreachable.Add();
    DeliverText(resources_, older, kErrorUnreachable);
  }
}

void Router::OnRequestLost(Request* request, bool sent) {
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
  if (request->streaming) {  // Its client is being closed; part of the reply has left.
    request->streaming = false;
    return DeliverText(resources_, request, kErrorOutcomeUnknown);
  }
  // Once its link has had the head, what followed has gone by.
  if (request->is_cut && request->state != Request::State::kWaiting)
    return DeliverText(resources_, request, kErrorUploadLost);
  if ((sent || (request->is_upload && !request->is_cut)) && !request->read_only) {
    resources_.stats.errors_outcome_unknown.Add();
    if (ClientOf(request)->delayed() > 0) OnOvertaking(request);
    return DeliverText(resources_, request, kErrorOutcomeUnknown);
  }
  request->failure = Request::Failure::kUnreachable;
  if (sent && request->is_private) RenewBlocking(request);
  Delay(request);
}

void Router::OnConnectionFailed(UpstreamConnection* connection, std::string_view reason) {
  LOG_EVERY_T(WARNING, 0.1) << "node " << connection->node().address().ToString() << ": " << reason;
  topology_.RequestRefresh();
}

// ---- later

bool Router::Expired(const Request* request, int64_t now_ns) const {
  return now_ns - request->issued_ns > resources_.config.request_timeout_ms * kNsPerMs;
}

bool Router::TryDelay(Request* request) {
  const int64_t then = resources_.io.NowNs() + resources_.config.retry_delay_ms * kNsPerMs;
  if (Expired(request, then)) return false;  // The node's own error is the answer.
  request->pieces.Clear(resources_.segments);
  Delay(request);
  return true;
}

void Router::Delay(Request* request) {
  resources_.stats.retries.Add();
  request->state = Request::State::kDelayed;
  request->was_delayed = true;
  request->retry_at_ns = resources_.io.NowNs() + resources_.config.retry_delay_ms * kNsPerMs;
  // In the order of issue, which is the order in which they will go out again.
  Request* before = delayed_.Back();
  while (before != nullptr && IsOlder(request, before)) before = delayed_.Previous(before);
  before == nullptr ? delayed_.PushFront(request) : delayed_.InsertAfter(request, before);
  if (ReplyQueue* client = ClientOf(request)) client->AddDelayed();
  if (!delayed_timer_.armed()) delayed_timer_.Arm(request->retry_at_ns);
}

void Router::RunDelayed() {
  const int64_t now_ns = resources_.io.NowNs();
  RequestList due;
  // All of them, so that those of one client keep their order.
  while (Request* request = delayed_.PopFront()) {
    due.PushBack(request);
    if (ReplyQueue* client = ClientOf(request)) client->SubDelayed();
  }
  while (Request* request = due.PopFront()) {
    ReplyQueue* client = ClientOf(request);
    if (client == nullptr) {
      resources_.FreeRequest(request);  // Nobody waits for it any more, so it is not sent.
      continue;
    }
    if (Expired(request, now_ns)) {
      GiveUp(request);
    } else {
      request->state = Request::State::kNew;
      Dispatch(request);
    }
  }
  if (delayed_.Front() != nullptr) delayed_timer_.Arm(delayed_.Front()->retry_at_ns);
}

void Router::OnTopologyChanged() {
  table_.ForEachNode([](UpstreamNode& node) {
    node.ForEachLink([](UpstreamConnection& link) { link.ReleaseWaiting(); });
  });
  RunDelayed();
}

void Router::GiveUp(Request* request) {
  if (request->failure == Request::Failure::kNoOwnLink) {
    resources_.stats.errors_own_connections.Add();
    return DeliverText(resources_, request, kErrorOwnConnections);
  }
  if (request->failure == Request::Failure::kNoOwner) {
    resources_.stats.errors_slot_uncovered.Add();
    return DeliverText(resources_, request, kErrorSlotNotServed);
  }
  resources_.stats.errors_unreachable.Add();
  DeliverText(resources_, request, kErrorUnreachable);
}

}  // namespace rcproxy::proxy
