#include "proxy/tracking/tracking.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "cluster/command_keys.h"
#include "cluster/hash_slot.h"
#include "proxy/tracking/own_change.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using resp::CommandView;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// Scripts count as reads, as they may be: a key too many is told of once too often.
bool MayRead(const CommandSpec& spec) {
  return cluster::GoesToNodes(spec.route) && !spec.keys.empty() && !spec.Has(cluster::kFlagWrite) &&
         !spec.Has(cluster::kFlagPubSub);
}

std::vector<std::string_view> Views(const std::vector<std::string>& keys) {
  return {keys.begin(), keys.end()};
}

}  // namespace

Tracking::Tracking(Resources& resources, RoutingTable& table, Router& router, TrackingHost& host)
    : resources_(resources),
      table_(table),
      router_(router),
      host_(host),
      feeds_(resources, table, *this),
      ping_timer_(
          resources.timers, [](void* self) { static_cast<Tracking*>(self)->PingLinks(); }, this) {
  resources_.tracking = this;
}

Tracking::~Tracking() { CHECK(trackers_.empty()); }

// ---- clients

void Tracking::Add(Tracker* tracker) {
  trackers_.emplace(&tracker->replies(), tracker);
  resources_.stats.tracking_clients.Add();
  Update(tracker);
}

void Tracking::Remove(Tracker* tracker) {
  keys_.Forget(tracker);
  CountKeys();
  trackers_.erase(&tracker->replies());
  resources_.stats.tracking_clients.Sub();
}

void Tracking::Update(Tracker* tracker) {
  // Of a key that is read in two databases only one reading is remembered, and nodes do not tell in
  // which of them a key of this name has changed.
  if (tracker->HasChangedDatabase()) {
    Flush(tracker);
    CountKeys();
  }
  if (!tracker->NeedsFeeds()) return;
  feeds_.Join();
  ArmPing();
}

Tracker* Tracking::TrackerOf(const Request& request) const {
  const auto found = trackers_.find(ClientOf(&request));
  return found == trackers_.end() ? nullptr : found->second;
}

Tracker* Tracking::TrackerNamed(int64_t id) const {
  const auto found =
      std::ranges::find_if(trackers_, [id](const auto& entry) { return entry.second->id() == id; });
  return found == trackers_.end() ? nullptr : found->second;
}

void Tracking::OnTargetGone(int64_t id) {
  Tracker* tracker = TrackerNamed(id);
  if (tracker == nullptr || tracker->options().redirect == 0) return;
  tracker->options().broken = true;
  if (tracker->InResp3()) tracker->output().Send(BrokenRedirectText(tracker->options().redirect));
}

// ---- what is read

void Tracking::CollectKeys(const CommandSpec& spec, const CommandView& command) {
  if (!MayRead(spec)) return;
  cluster::AnyKey(command, cluster::FindKeys(spec, command), [this](std::string_view key) {
    collected_.push_back(key);
    return false;
  });
}

// One command, or a unit of several.
void Tracking::CollectKeys(std::string_view commands) {
  while (!commands.empty()) {
    scanner_.Reset();
    if (scanner_.Scan(commands, resp::kDefaultRequestLimits) != resp::ScanStatus::kCommand) return;
    const CommandView& command = scanner_.command();
    if (const CommandSpec* spec = resources_.commands.FindFor(command)) CollectKeys(*spec, command);
    commands.remove_prefix(scanner_.consumed());
  }
}

// The connection that will tell of changes of what `request` has read over `link`, from before it
// was read on and not before its reply; nullptr when there is none.
UpstreamConnection* Tracking::TellerOf(const Tracker& tracker, const Request& request,
                                       UpstreamConnection* link) {
  UpstreamNode* node = &link->node();
  if (table_.Find(request.slot).primary != node) return nullptr;
  if (tracker.InResp3()) return link->kind().tracks_by != TracksBy::kNothing ? link : nullptr;
  return feeds_.Of(node, request.issued_ns);
}

void Tracking::OnRead(const Request& request, std::string_view reply, UpstreamConnection* link) {
  Tracker* tracker = TrackerOf(request);
  // Of an operation, such as SCAN, the command says whether keys are read.
  const bool reads = request.is_unit || !request.spec->keys.empty();
  if (tracker == nullptr || !reads || request.slot == Request::kNoSlot) return;
  if (tracker->options().no_loop && link->kind().tracks_by == TracksBy::kReads)
    ForgetOwnChange(tracker, request, reply, link);
  collected_.clear();
  CollectKeys(request.bytes.view());
  UpstreamConnection* teller = TellerOf(*tracker, request, link);
  if (teller == nullptr) return TellAfterReply(tracker);
  if (teller->kind().database != 0) KeepTeller(teller);
  if (tracker->options().broadcast) return;
  Remember(tracker, collected_, teller);
}

// What it has read over another connection may have been read behind the change.
void Tracking::ForgetOwnChange(Tracker* tracker, const Request& request, std::string_view reply,
                               const UpstreamConnection* link) {
  scanner_.Reset();
  const resp::ScanStatus status = scanner_.Scan(request.bytes.view(), resp::kDefaultRequestLimits);
  if (request.is_unit || status != resp::ScanStatus::kCommand) return;
  const CommandView& command = scanner_.command();
  const CommandSpec* spec = resources_.commands.FindFor(command);
  if (spec == nullptr || !HasChangedItsKeys(*spec, command, reply)) return;
  cluster::AnyKey(command, cluster::FindKeys(*spec, command), [&](std::string_view key) {
    keys_.Forget(tracker, key, link);
    return false;
  });
  CountKeys();
}

void Tracking::OnAsked(Tracker* tracker, const CommandSpec& spec, const CommandView& command) {
  const TrackingOptions& options = tracker->options();
  if (options.broadcast || tracker->InResp3() || !tracker->MayBeTold() || !options.Remembers())
    return;
  collected_.clear();
  CollectKeys(spec, command);
  for (const std::string_view& key : collected_) {
    UpstreamNode* owner = table_.Find(cluster::HashSlot(key)).primary;
    UpstreamConnection* teller =
        owner == nullptr ? nullptr : feeds_.Of(owner, resources_.io.NowNs());
    if (teller != nullptr) Remember(tracker, {&key, 1}, teller);
  }
}

void Tracking::Remember(Tracker* tracker, ChangedKeys keys, UpstreamConnection* teller) {
  for (const std::string_view key : keys) keys_.Add(tracker, key, cluster::HashSlot(key), teller);
  if (teller->kind().tracks_by == TracksBy::kReads) KeepTeller(teller);
  while (keys_.readings() > resources_.config.tracking_keys_max) DropOldest();
  CountKeys();
}

// As long as anybody tracks it is asked for a sign of life.
void Tracking::KeepTeller(UpstreamConnection* teller) {
  links_.insert(teller);
  ArmPing();
}

// As a server does: whoever has read it must not cache it any longer.
void Tracking::DropOldest() {
  const std::string key = keys_.Oldest();
  const std::string_view view = key;
  readers_.clear();
  keys_.Take(key, &readers_);
  for (KeyReader* reader : readers_) Tell(static_cast<Tracker*>(reader), {&view, 1});
  resources_.stats.tracking_keys_dropped.Add();
}

// ---- what changes

void Tracking::OnPush(UpstreamConnection* link, std::string_view frame) {
  if (!ParseInvalidation(frame, &changed_)) return;
  resources_.stats.invalidations_received.Add();
  const bool is_feed = link->kind().tracks_by == TracksBy::kBroadcast;
  if (changed_.empty()) {
    FlushReadersOver(link);
    if (is_feed) FlushBroadcasters();
    return;
  }
  for (const std::string_view& key : changed_) {
    readers_.clear();
    keys_.Take(key, &readers_);
    for (KeyReader* reader : readers_) Tell(static_cast<Tracker*>(reader), {&key, 1});
  }
  CountKeys();
  if (is_feed) TellBroadcasters(changed_);
}

void Tracking::Tell(Tracker* tracker, ChangedKeys keys) {
  const int64_t target = tracker->options().redirect;
  if (target != 0) return host_.TellClient(target, keys, tracker->id());
  if (tracker->InResp3()) tracker->output().Tell(keys);
}

// Of the keys collected, which have been read but will change unheard.
void Tracking::TellAfterReply(Tracker* tracker) {
  const TrackingOptions& options = tracker->options();
  if (options.broadcast) {
    std::erase_if(collected_, [&](std::string_view key) { return !tracker->HasPrefixOf(key); });
  }
  if (collected_.empty()) return;
  if (options.redirect != 0) return Tell(tracker, collected_);
  tracker->output().TellAfterReplies(collected_);
}

void Tracking::TellTaken(const TrackedKeys::KeysOfReaders& taken) {
  for (const auto& [reader, keys] : taken) Tell(static_cast<Tracker*>(reader), Views(keys));
  if (!taken.empty()) resources_.stats.tracking_interrupted.Add();
  CountKeys();
}

void Tracking::TellBroadcasters(ChangedKeys keys) {
  for (const auto& entry : trackers_) {
    Tracker* const tracker = entry.second;
    if (!tracker->options().broadcast) continue;
    collected_.clear();
    std::ranges::copy_if(keys, std::back_inserter(collected_),
                         [&](std::string_view key) { return tracker->HasPrefixOf(key); });
    if (!collected_.empty()) Tell(tracker, collected_);
  }
}

void Tracking::Flush(Tracker* tracker) {
  keys_.Forget(tracker);
  Tell(tracker, {});
}

// Nothing is left to be told to one that has been told to forget everything.
void Tracking::FlushReadersOver(const UpstreamConnection* link) {
  for (KeyReader* reader : keys_.ReadersOver(link)) Flush(static_cast<Tracker*>(reader));
  CountKeys();
}

// Returns whether there was any.
bool Tracking::FlushBroadcasters() {
  bool any = false;
  for (const auto& [replies, tracker] : trackers_) {
    if (!tracker->options().broadcast || tracker->wait_id != 0) continue;
    Flush(tracker);
    any = true;
  }
  return any;
}

void Tracking::CountKeys() {
  resources_.stats.tracking_keys.Set(keys_.keys());
  resources_.stats.tracking_items.Set(keys_.readings());
}

// ---- what nodes do not tell of any more

void Tracking::OnClosed(UpstreamConnection* link) {
  if (!keys_.ReadersOver(link).empty()) resources_.stats.tracking_interrupted.Add();
  FlushReadersOver(link);
  links_.erase(link);
  if (link->kind().tracks_by != TracksBy::kBroadcast) return;
  // Of what was read in another database than 0 the feed tells, too, but perhaps before the reply.
  link->kind().database == 0 ? feeds_.OnClosed(&link->node()) : OnGap();
}

void Tracking::LeaveToOwner(uint16_t slot, TrackedKeys::KeysOfReaders* taken) {
  const UpstreamNode* owner = table_.Find(slot).primary;
  keys_.TakeSlot(
      slot, [owner](UpstreamConnection* link) { return &link->node() == owner; }, taken);
}

void Tracking::OnOwnerChanged(uint16_t slot) {
  TrackedKeys::KeysOfReaders taken;
  LeaveToOwner(slot, &taken);
  TellTaken(taken);
  OnGap();
}

void Tracking::OnBeginsToMove(uint16_t slot) {
  ForgetSlot(slot);
  host_.ForgetSlotOnAllWorkers(slot);
}

void Tracking::ForgetSlot(uint16_t slot) {
  TrackedKeys::KeysOfReaders taken;
  keys_.TakeSlot(
      slot, [](UpstreamConnection*) { return false; }, &taken);
  TellTaken(taken);
}

void Tracking::OnTopologyChanged(bool moved) {
  if (AnybodyNeedsFeeds()) feeds_.Join();
  if (!moved) return;
  TrackedKeys::KeysOfReaders taken;
  for (const uint16_t slot : keys_.Slots()) LeaveToOwner(slot, &taken);
  TellTaken(taken);
  OnGap();
}

// ---- connections that tell of all keys

bool Tracking::AnybodyNeedsFeeds() const {
  return std::ranges::any_of(trackers_,
                             [](const auto& entry) { return entry.second->NeedsFeeds(); });
}

void Tracking::AwaitFeeds(int64_t id, uint64_t wait_id) {
  Tracker* tracker = TrackerNamed(id);
  CHECK(tracker != nullptr);
  tracker->wait_id = wait_id;
  tracker->wait_until_ns = resources_.io.NowNs() + resources_.config.request_timeout_ms * kNsPerMs;
  feeds_.Join();  // Tells later: its operation is not yet waiting.
}

void Tracking::OnJoined(bool all) {
  const int64_t now_ns = resources_.io.NowNs();
  std::vector<uint64_t> resumed;
  for (const auto& [replies, tracker] : trackers_) {
    if (tracker->wait_id == 0 || (!all && now_ns < tracker->wait_until_ns)) continue;
    resumed.push_back(std::exchange(tracker->wait_id, 0));
  }
  for (const uint64_t wait_id : resumed) router_.Resume(wait_id, {});
}

void Tracking::OnGap() {
  if (FlushBroadcasters()) resources_.stats.tracking_interrupted.Add();
}

// ---- whether nodes are there

void Tracking::ArmPing() {
  if (ping_timer_.armed()) return;
  ping_timer_.Arm(resources_.io.NowNs() + resources_.config.subscription_ping_ms * kNsPerMs);
}

// A node that has vanished is found by the request's timeout. Connections that nobody needs are
// closed.
void Tracking::PingLinks() {
  const bool anybody_reads = !trackers_.empty();
  const bool anybody_fed = AnybodyNeedsFeeds();
  const std::vector<UpstreamConnection*> links(links_.begin(), links_.end());
  for (UpstreamConnection* link : links) KeepAlive(link, anybody_reads);
  const std::vector<UpstreamConnection*> feeds = feeds_.Links();
  for (UpstreamConnection* feed : feeds) KeepAlive(feed, anybody_fed);
  if (anybody_fed || !links_.empty() || !feeds.empty()) ArmPing();
}

void Tracking::KeepAlive(UpstreamConnection* link, bool is_needed) {
  if (link->state() != UpstreamConnection::State::kReady || link->HasRequests()) return;
  if (is_needed) {
    link->Ask(resp::CommandOf({"PING"}), &ignored_);
  } else {
    link->CloseIdle();
  }
}

}  // namespace rcproxy::proxy
