#include "proxy/hedger.h"

#include <glog/logging.h>

#include <algorithm>

#include "cluster/command_table.h"
#include "proxy/reply_queue.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kLooksPerDelay = 2;

// Those of database 0 and others that carry whatever clients ask.
bool MayCarryReads(const UpstreamConnection& link) {
  const LinkKind kind = link.kind();
  return !kind.is_own && !kind.is_subscription && kind.tracks_by == TracksBy::kNothing;
}

// Behind an attribute an error could come.
bool IsGood(std::string_view reply) {
  return !reply.empty() && reply[0] != '-' && reply[0] != '!' && reply[0] != '|';
}

}  // namespace

Hedger::Copy::Copy(Hedger& owner, const Request& read)
    : owner(owner), order(read.order), slot(read.slot), at_primary(PrimaryLinkFor(read)) {}

void Hedger::Copy::OnReply(std::string_view reply) {
  is_under_way = false;
  owner.OnAnswered(*this, reply);
}

// A longer one would have to be kept until its end, while the read's own is passed on as it comes.
size_t Hedger::Copy::reply_bytes_max() const {
  return owner.resources_.config.stream_reply_bytes_min;
}

Hedger::Hedger(Resources& resources, RoutingTable& table, Router& router)
    : resources_(resources),
      table_(table),
      router_(router),
      delay_ns_(resources.config.hedge_reads_after_ms * kNsPerMs),
      budget_(resources.config.hedge_reads_budget),
      timer_(
          resources.timers, [](void* self) { static_cast<Hedger*>(self)->Look(); }, this) {}

Hedger::~Hedger() {
  for (const auto& [order, copy] : copies_) CHECK(!copy.is_under_way);
}

void Hedger::OnTurn() {
  if (delay_ns_ == 0 || timer_.armed()) return;
  if (!may_become_due_ && resources_.stats.reads_balanced.value() == reads_seen_) return;
  timer_.Arm(resources_.io.NowNs() + delay_ns_ / kLooksPerDelay);
}

void Hedger::Look() {
  const int64_t overdue_ns = resources_.io.NowNs() - delay_ns_;
  may_become_due_ = false;
  EarnBudget();
  for (auto& [order, copy] : copies_) copy.has_read = false;
  table_.ForEachNode([this, overdue_ns](UpstreamNode& node) {
    node.ForEachLink([&](const UpstreamConnection& link) {
      if (MayCarryReads(link)) LookAt(link, node, overdue_ns);
    });
  });
  std::erase_if(copies_, [](const auto& entry) {
    return !entry.second.is_under_way && !entry.second.has_read;
  });
  looked_until_ns_ = overdue_ns;
}

// The counter may have been reset since (CONFIG RESETSTAT).
void Hedger::EarnBudget() {
  const uint64_t reads = resources_.stats.reads_balanced.value();
  budget_.Earn(reads >= reads_seen_ ? reads - reads_seen_ : reads);
  reads_seen_ = reads;
}

// Requests are in the order of issue, but for the few that have been somewhere else before.
void Hedger::LookAt(const UpstreamConnection& link, const UpstreamNode& node, int64_t overdue_ns) {
  link.AnyRequest([&](const Request& request) {
    if (request.issued_ns > overdue_ns) {
      may_become_due_ = true;
      return true;
    }
    if (!IsHedgeable(request) || HasCopy(request)) return false;
    may_become_due_ = true;
    if (IsAlone(request)) Hedge(request, node, overdue_ns);
    return false;
  });
}

bool Hedger::HasCopy(const Request& read) {
  const auto copy = copies_.find(read.order);
  if (copy == copies_.end()) return false;
  copy->second.has_read = true;
  return true;
}

// Whether it is a client's that another copy may serve, and has had no part of its reply.
bool Hedger::IsHedgeable(const Request& request) const {
  if (request.sink != Request::Sink::kClient || request.slot == Request::kNoSlot) return false;
  if (!request.needs.prefers_replica || request.needs.remembers) return false;
  if (request.streaming || request.is_unit || request.redirects > 0) return false;
  return request.spec->Has(cluster::kFlagReplicaOk);
}

// Whether no other command has to come before or after it. While its slot moves, a replica may not
// have a key that has gone elsewhere.
bool Hedger::IsAlone(const Request& read) const {
  return read.replies->size() == 1 && !router_.moving_slots().Has(read.slot);
}

void Hedger::Hedge(const Request& read, const UpstreamNode& asked, int64_t overdue_ns) {
  UpstreamConnection* link = router_.OtherCopyFor(read, asked);
  // One that keeps requests waiting itself would not be sooner.
  if (link == nullptr || link->HasWaitedSince(overdue_ns)) return;
  if (!budget_.Spend()) {
    if (read.issued_ns > looked_until_ns_) resources_.stats.hedges_over_budget.Add();
    return;
  }
  resources_.stats.reads_hedged.Add();
  Copy& copy = copies_.try_emplace(read.order, *this, read).first->second;
  link->Ask(read.bytes.view(), &copy);
}

Hedger::WaitingRead Hedger::ReadOf(const Copy& copy) const {
  const ShardRoute& shard = table_.Find(copy.slot);
  LinkKind at_replica = copy.at_primary;
  at_replica.replica_reads = true;
  for (UpstreamNode* replica : shard.replicas) {
    UpstreamConnection& link = replica->link(at_replica);
    if (Request* read = link.Find(copy.order)) return {&link, read};
  }
  if (shard.primary == nullptr) return {};
  UpstreamConnection& link = shard.primary->link(copy.at_primary);
  return {&link, link.Find(copy.order)};
}

void Hedger::OnAnswered(const Copy& copy, std::string_view reply) {
  if (!IsGood(reply) || reply.size() > copy.reply_bytes_max()) return;
  const auto [link, read] = ReadOf(copy);
  if (read == nullptr || !IsHedgeable(*read) || !IsAlone(*read)) return;
  resources_.stats.hedges_won.Add();
  link->Withdraw(read);
  DeliverText(resources_, read, reply);
}

}  // namespace rcproxy::proxy
