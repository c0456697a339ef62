#include "proxy/router.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "cluster/hash_slot.h"
#include "proxy/command_conflict.h"
#include "proxy/errors.h"
#include "proxy/own_writes.h"
#include "proxy/reply_merger.h"
#include "proxy/request_order.h"
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

}  // namespace

Router::Router(Resources& resources, RoutingTable& table, TopologySource& topology)
    : resources_(resources),
      table_(table),
      topology_(topology),
      moving_slots_(resources.timers),
      replication_watch_(resources, table),
      scripts_(resources.config.script_cache_bytes),
      delayed_timer_(
          resources.timers, [](void* self) { static_cast<Router*>(self)->RunDelayed(); }, this),
      hold_(resources.config, resources.stats),
      shed_timer_(
          resources.timers, [](void* self) { static_cast<Router*>(self)->AnswerShed(); }, this),
      slot_stamp_(cluster::kSlotCount, 0),
      slot_part_(cluster::kSlotCount, 0) {
  resources_.operations = this;
}

Router::~Router() {
  for (RequestList* list : {&delayed_, &shed_}) {
    while (Request* request = list->PopFront()) resources_.FreeRequest(request);
  }
}

// ---- from a client

namespace {

// Messages go one way, or a subscriber could see them in another order than they were published.
uint16_t PublishSlot(const Config& config, std::string_view channel) {
  return config.spread_publishes ? cluster::HashSlot(channel) : 0;
}

}  // namespace

Router::Verdict Router::Route(ReplyQueue* client, const CommandSpec& spec,
                              const CommandView& command, Chunk* chunk) {
  if (client->MustHold() && client->MustHold(spec)) return Verdict::kWait;
  if (spec.route == Route::kAllPrimaries || spec.route == Route::kAllNodes)
    return RouteToAll(client, spec, command);
  if (spec.route == Route::kAnyPrimary) {
    const bool publish = spec.Has(cluster::kFlagPubSub) && command.size() > 1;
    return Issue(client, spec, command, chunk,
                 publish ? PublishSlot(resources_.config, command[1]) : Request::kNoSlot);
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
  const int slot = cluster::CommonSlot(command, keys);
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

std::string_view Router::UnitRefusal(uint16_t slot) {
  const std::vector<uint16_t> slots =
      slot == Request::kNoSlot ? table_.SlotOfEachPrimary() : std::vector<uint16_t>{slot};
  for (const uint16_t each : slots) {
    UpstreamNode* node = table_.Find(each).primary;
    if (node == nullptr || node->multi_refusal().empty()) continue;
    node->TryMultiAgain();
    return node->multi_refusal();
  }
  return {};
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
  part->needs = split->parent->needs;
  split->parts.push_back(part);
  return part;
}

// A part for each primary (by a slot it owns, so that the part follows a failover), or node.
Router::Verdict Router::RouteToAll(ReplyQueue* client, const CommandSpec& spec,
                                   const CommandView& command) {
  // An earlier command may yet be sent elsewhere, where this one would have been executed before.
  if (spec.Has(cluster::kFlagWrite) && !client->empty()) return Verdict::kWait;
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
  if (resources_.full_links > 0 && IsFull(slot)) [[unlikely]]
    return true;
  const bool changed =
      oldest->epoch != table_.epoch() && table_.changed_epoch(slot) > oldest->epoch;
  if (!changed && !(moving_slots_.HasAny() && MayBeTriedAgain(client, slot))) return false;
  resources_.stats.fences.Add();
  return true;
}

// Whether the owner of the slot has too much to do for clients that can wait: those that have
// something under way, whose reply will wake them.
[[gnu::noinline]] bool Router::IsFull(uint16_t slot) {
  const UpstreamNode* node = table_.Find(slot).primary;
  if (node == nullptr || !node->is_full()) return false;
  resources_.stats.clients_held_back.Add();
  return true;
}

// Whether the client awaits the reply to a command that a half moved slot can not execute, while it
// does execute what comes behind.
bool Router::MayBeTriedAgain(const ReplyQueue& client, uint16_t slot) const {
  return AnyInFlight(client, [slot](const Request& request) {
    return request.slot == slot && request.state != Request::State::kAnswered &&
           (request.is_unit || CanHaveManyKeys(*request.spec));
  });
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
  request->placed_epoch = table_.epoch();
  UpstreamNode* node = nullptr;
  if (request->slot == Request::kNoSlot) [[unlikely]] {
    node = NodeOutsideSlots(request);
  } else {
    const ShardRoute& shard = table_.Find(request->slot);
    if (request->needs.prefers_replica && MayAskReplica(*request)) [[unlikely]] {
      const ReadNeeds needs = NeedsOf(*request, shard);
      if (UpstreamConnection* link = ChooseCopy(resources_.config, shard, needs)) {
        if (link->node().has_standing_queue() && MustRefuse(*link, request)) return nullptr;
        resources_.stats.reads_balanced.Add();
        return link;
      }
      if (needs.MustBeReplica()) {
        NoteUnreachable(request);
        return nullptr;
      }
      if (needs.written.round != 0) resources_.stats.reads_kept_from_replicas.Add();
    }
    node = shard.primary;
  }
  if (node == nullptr) {
    const bool keyless = request->slot == Request::kNoSlot;
    request->failure = keyless ? Request::Failure::kUnreachable : Request::Failure::kNoOwner;
    topology_.RequestRefresh();
    return nullptr;
  }
  if (!request->read_only) NoteWrite(request, *node);
  if (request->is_private) [[unlikely]]
    return OwnLink(request, node);
  UpstreamConnection& link = node->link(PrimaryLinkFor(*request));
  if (node->has_standing_queue() && MustRefuse(link, request)) [[unlikely]]
    return nullptr;
  if (link.state() == UpstreamConnection::State::kReady) return &link;
  // A node that was well opens a connection at once. For another the first request has it tried,
  // and the others wait as for one that is not there.
  const uint16_t shard = HoldShard(*request);
  const bool is_first = link.state() == UpstreamConnection::State::kIdle && !hold_.HasAny(shard);
  if (link.CanAccept() &&
      (is_first || !node->HasFailed() || hold_.HasRoom(shard, 0, node->waiting())))
    return &link;
  NoteUnreachable(request);
  return nullptr;
}

// Requests wait for the node for too long: one that has not been sent anywhere yet is not added.
[[gnu::noinline]] bool Router::MustRefuse(const UpstreamConnection& link, Request* request) const {
  const int64_t target_ns = resources_.config.shed_queue_delay_ms * kNsPerMs;
  if (WasGivenBefore(*request)) return false;
  if (!link.HasWaitedSince(resources_.io.NowNs() - target_ns)) return false;
  request->failure = Request::Failure::kOverload;
  return true;
}

void Router::NoteUnreachable(Request* request) {
  request->failure = Request::Failure::kUnreachable;
  topology_.RequestRefresh();  // Perhaps another node has taken over.
}

namespace {

// What nodes replicate: not what is set at each node, asked of it or published.
bool MayWriteKeys(const CommandSpec& spec) {
  if (spec.Has(cluster::kFlagWrite)) [[likely]]
    return true;
  return spec.route == Route::kKeyed || spec.route == Route::kTransaction;  // A script, EXEC.
}

}  // namespace

// Kept out of the way of reads.
[[gnu::noinline]] void Router::NoteWrite(const Request* request, const UpstreamNode& node) {
  ReplyQueue* client = ClientOf(request);
  if (client == nullptr || !MayWriteKeys(*request->spec)) return;
  client->writes().Note(node.write_mark(), resources_.writes);
  const Config& config = resources_.config;
  if (config.read_your_writes_ms > 0 || config.read_your_writes_by_offset)
    client->own_writes().NoteSent(request->order, resources_.io.NowNs());
}

UpstreamNode* Router::NodeOutsideSlots(const Request* request) {
  if (request->sink != Request::Sink::kPart || request->split_parent->targets.empty())
    return table_.AnyPrimary();
  const SplitState& split = *request->split_parent;
  const auto part = std::find(split.parts.begin(), split.parts.end(), request);
  const cluster::NodeAddress& target = split.targets[part - split.parts.begin()];
  return target.port == 0 ? table_.AnyPrimary() : table_.NodeAt(target);
}

// What has been redirected goes where the node said: replicas that lag behind the map would send a
// request round in circles.
bool Router::MayAskReplica(const Request& request) const {
  if (!request.spec->Has(cluster::kFlagReplicaOk) || request.redirects > 0 || request.is_private)
    return false;
  const int64_t window_ns = resources_.config.read_your_writes_ms * kNsPerMs;
  const int64_t now_ns = resources_.io.NowNs();
  return window_ns == 0 || !ClientOf(&request)->own_writes().SentSince(now_ns - window_ns);
}

// Of a read that a replica may serve; none may when `preference` is kPrimary.
ReadNeeds Router::NeedsOf(const Request& request, const ShardRoute& shard) {
  const Config& config = resources_.config;
  ReadNeeds needs = {.preference = PreferenceOfReaders(
                         request.needs.is_reader ? config.replica_read_prefer : config.read_prefer),
                     .at_primary = PrimaryLinkFor(request)};
  if (!config.read_your_writes_by_offset) return needs;
  ReplyQueue* client = ClientOf(&request);  // Has the request, or its parent.
  const uint64_t round = client->own_writes().RoundFor(request.order, client->Front()->order,
                                                       replication_watch_.next_round());
  if (round == 0) return needs;
  needs.written = {
      .round = round, .epoch = table_.changed_epoch(request.slot), .primary = shard.primary};
  needs.watch = &replication_watch_;
  if (round == OwnWrites::kAwaited || replication_watch_.IsMoving(request.slot))
    needs.preference = ReadPreference::kPrimary;
  return needs;
}

UpstreamConnection* Router::OtherCopyFor(const Request& request, const UpstreamNode& asked) {
  if (!request.needs.prefers_replica || !MayAskReplica(request)) return nullptr;
  const ShardRoute& shard = table_.Find(request.slot);
  ReadNeeds needs = NeedsOf(request, shard);
  needs.except = &asked;
  return ChooseOtherCopy(resources_.config, shard, needs);
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
    if (!link->RefusesUnit(request)) link->AcceptAgain(request);
  } else {
    Delay(request);
  }
}

void Router::SendInternal(UpstreamNode* node, std::string_view command, InternalReply* reply) {
  node->primary_link().Ask(command, reply);
}

}  // namespace rcproxy::proxy
