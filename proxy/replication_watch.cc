#include "proxy/replication_watch.h"

#include <glog/logging.h>

#include <algorithm>

#include "proxy/request.h"
#include "proxy/upstream_node.h"
#include "resp/value.h"

namespace rcproxy::proxy {

using cluster::ReplicationState;

namespace {

constexpr std::string_view kQuestion = "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n";

// Of anything that is no text: of a node that says nothing.
ReplicationState StateIn(std::string_view reply) {
  const absl::StatusOr<resp::Value> value = resp::ParseValue(reply);
  if (!value.ok() || !value->IsString()) return {};
  return cluster::ParseReplicationState(value->text);
}

}  // namespace

// Both live until their answer comes or their connection is lost.
struct ReplicationWatch::PrimaryQuestion final : InternalReply {
  PrimaryQuestion(ReplicationWatch* watch, const WritesUpTo& asked) : watch(watch), asked(asked) {}
  void OnReply(std::string_view reply) override {
    watch->OnPrimary(asked, reply);
    delete this;
  }
  void OnLost() override {
    watch->OnPrimaryLost(asked.primary);
    delete this;
  }
  bool yields() const override { return true; }

  ReplicationWatch* watch;
  const WritesUpTo asked;
};

struct ReplicationWatch::ReplicaQuestion final : InternalReply {
  void OnReply(std::string_view reply) override {
    watch->OnReplica(*this, reply);
    delete this;
  }
  void OnLost() override {
    watch->OnReplicaLost(link);
    delete this;
  }
  bool yields() const override { return true; }

  ReplicaQuestion(ReplicationWatch* watch, UpstreamConnection& link, const WritesUpTo& asked,
                  const ReplicationState& primary)
      : watch(watch), link(link), asked(asked), primary(primary) {}

  ReplicationWatch* watch;
  UpstreamConnection& link;  // Has this question, so it is there.
  const WritesUpTo asked;
  const ReplicationState primary;
};

ReplicationWatch::ReplicationWatch(Resources& resources, RoutingTable& table)
    : resources_(resources),
      table_(table),
      timer_(
          resources.timers, [](void* self) { static_cast<ReplicationWatch*>(self)->BeginRound(); },
          this) {}

ReplicationWatch::~ReplicationWatch() { DCHECK(asked_.empty()); }

void ReplicationWatch::Want(UpstreamConnection& link) {
  ReplicaProgress& progress = link.replica_progress();
  if (progress.inquiry == ReplicaProgress::Inquiry::kNone)
    progress.inquiry = ReplicaProgress::Inquiry::kWanted;
  if (!timer_.armed()) timer_.Arm(std::max(earliest_ns_, resources_.io.NowNs()));
}

bool ReplicationWatch::IsMoving(uint16_t slot) {
  const auto found = moving_since_.find(slot);
  if (found == moving_since_.end()) return false;
  if (table_.changed_epoch(slot) <= found->second) return true;
  moving_since_.erase(found);
  return false;
}

template <class Visitor>
void ReplicationWatch::ForEachWanted(Visitor&& visit) const {
  table_.ForEachShard([&visit](const ShardRoute& shard) {
    for (UpstreamNode* replica : shard.replicas) {
      replica->ForEachLink([&visit, &shard](UpstreamConnection& link) {
        if (link.replica_progress().inquiry == ReplicaProgress::Inquiry::kWanted)
          visit(*shard.primary, link);
      });
    }
  });
}

void ReplicationWatch::BeginRound() {
  ++rounds_;
  earliest_ns_ = resources_.io.NowNs() + kIntervalNs;
  std::vector<UpstreamNode*> to_ask;
  ForEachWanted([this, &to_ask](UpstreamNode& primary, UpstreamConnection&) {
    const auto is_this = [&primary](const UpstreamNode* node) { return node == &primary; };
    if (std::ranges::any_of(asked_, is_this) || std::ranges::any_of(to_ask, is_this)) return;
    to_ask.push_back(&primary);
  });
  for (UpstreamNode* primary : to_ask) {
    resources_.stats.replication_questions.Add();
    asked_.push_back(primary);
    const WritesUpTo asked = {.round = rounds_, .epoch = table_.epoch(), .primary = primary};
    primary->primary_link().Ask(kQuestion, new PrimaryQuestion(this, asked));
  }
}

void ReplicationWatch::OnPrimaryLost(const UpstreamNode* primary) {
  resources_.stats.replication_questions_failed.Add();
  std::erase(asked_, primary);
}

void ReplicationWatch::OnPrimary(const WritesUpTo& asked, std::string_view reply) {
  std::erase(asked_, asked.primary);
  const ReplicationState state = StateIn(reply);
  std::vector<UpstreamConnection*> to_ask;
  ForEachWanted([&asked, &to_ask](const UpstreamNode& primary, UpstreamConnection& link) {
    if (&primary == asked.primary) to_ask.push_back(&link);
  });
  for (UpstreamConnection* link : to_ask) {
    link->replica_progress().inquiry = ReplicaProgress::Inquiry::kAsked;
    link->Ask(kQuestion, new ReplicaQuestion(this, *link, asked, state));
  }
}

void ReplicationWatch::OnReplicaLost(UpstreamConnection& link) {
  resources_.stats.replication_questions_failed.Add();
  link.replica_progress().inquiry = ReplicaProgress::Inquiry::kNone;
}

void ReplicationWatch::OnReplica(const ReplicaQuestion& question, std::string_view reply) {
  ReplicaProgress& progress = question.link.replica_progress();
  progress.inquiry = ReplicaProgress::Inquiry::kNone;
  if (cluster::HasAppliedAllOf(question.primary, StateIn(reply))) progress.applied = question.asked;
}

}  // namespace rcproxy::proxy
