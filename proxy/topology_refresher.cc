#include "proxy/topology_refresher.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr std::string_view kShardsCommand = "*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n";
constexpr std::string_view kSlotsCommand = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";

}  // namespace

// Lives until its answer comes or its connection is lost, which may be after the question has
// stopped to count.
struct TopologyRefresher::Question final : InternalReply {
  Question(TopologyRefresher* refresher, uint64_t number) : refresher(refresher), number(number) {}
  void OnReply(std::string_view reply) override {
    refresher->OnAnswer(number, reply);
    delete this;
  }
  void OnLost() override {
    refresher->OnLost(number);
    delete this;
  }
  TopologyRefresher* refresher;
  uint64_t number;
};

TopologyRefresher::TopologyRefresher(Resources& resources, RoutingTable& table, Router& router,
                                     uint64_t seed, Publish publish)
    : resources_(resources),
      table_(table),
      router_(router),
      random_(seed),
      publish_(std::move(publish)),
      next_timer_(
          resources.timers, [](void* self) { static_cast<TopologyRefresher*>(self)->Begin(); },
          this),
      answer_timer_(
          resources.timers,
          [](void* self) {
            auto* refresher = static_cast<TopologyRefresher*>(self);
            refresher->OnNoAnswer(refresher->question_number_);
          },
          this) {}

TopologyRefresher::~TopologyRefresher() = default;

void TopologyRefresher::Start() { Begin(); }

void TopologyRefresher::Stop() {
  stopped_ = true;
  asking_ = false;
  ++question_number_;
  next_timer_.Disarm();
  answer_timer_.Disarm();
}

void TopologyRefresher::RequestRefresh() {
  if (stopped_) return;
  if (asking_) {
    again_ = true;  // The answer may be older than what was noticed.
    return;
  }
  const int64_t earliest_ns = last_begin_ns_ + resources_.config.refresh_min_interval_ms * kNsPerMs;
  if (next_timer_.armed() && next_timer_.deadline_ns() <= earliest_ns) return;
  next_timer_.Arm(std::max(earliest_ns, resources_.io.NowNs()));
}

void TopologyRefresher::Begin() {
  if (stopped_) return;
  asking_ = true;
  last_begin_ns_ = resources_.io.NowNs();
  candidates_ = resources_.config.startup_nodes;
  std::reverse(candidates_.begin(), candidates_.end());
  if (last_ != nullptr) {
    const size_t seeds = candidates_.size();
    for (const cluster::Node& node : last_->nodes()) candidates_.push_back(node.address);
    std::shuffle(candidates_.begin() + seeds, candidates_.end(), random_);
  }
  AskNext();
}

void TopologyRefresher::AskNext() {
  while (!candidates_.empty()) {
    asked_ = std::move(candidates_.back());
    candidates_.pop_back();
    if (!table_.NodeAt(asked_)->primary_link().CanAccept()) continue;
    return Ask(asked_);
  }
  asking_ = false;
  resources_.stats.topology_refresh_failures.Add();
  LOG_EVERY_T(ERROR, 1) << "no node could describe the cluster; trying again";
  const int64_t delay_ms = resources_.config.refresh_min_interval_ms << std::min(failed_rounds_, 3);
  ++failed_rounds_;
  Schedule(delay_ms * kNsPerMs);
}

void TopologyRefresher::Ask(const cluster::NodeAddress& address) {
  const uint64_t number = ++question_number_;
  answer_timer_.Arm(resources_.io.NowNs() + resources_.config.refresh_timeout_ms * kNsPerMs);
  router_.SendInternal(table_.NodeAt(address), use_slots_ ? kSlotsCommand : kShardsCommand,
                       new Question(this, number));
}

// Later, not from inside the call that has just asked.
void TopologyRefresher::OnLost(uint64_t number) {
  if (number == question_number_ && asking_) answer_timer_.Arm(resources_.io.NowNs());
}

void TopologyRefresher::OnNoAnswer(uint64_t number) {
  if (number != question_number_ || !asking_) return;
  answer_timer_.Disarm();
  ++question_number_;
  AskNext();
}

void TopologyRefresher::OnAnswer(uint64_t number, std::string_view reply) {
  if (number != question_number_ || !asking_) return;
  answer_timer_.Disarm();
  if (!use_slots_ && reply.starts_with("-ERR") && reply.find("subcommand") != reply.npos) {
    use_slots_ = true;  // A server older than 7.0.
    return Ask(asked_);
  }
  absl::StatusOr<cluster::Topology> topology = use_slots_
                                                   ? cluster::ParseClusterSlots(reply, asked_)
                                                   : cluster::ParseClusterShards(reply, asked_);
  if (!topology.ok() || topology->slots_covered() == 0) {
    LOG_EVERY_T(WARNING, 1) << "node " << asked_.ToString() << " does not describe a cluster: "
                            << (topology.ok() ? "it knows no slots" : topology.status().ToString());
    return AskNext();
  }
  Accept(*std::move(topology));
}

void TopologyRefresher::Accept(cluster::Topology topology) {
  asking_ = false;
  failed_rounds_ = 0;
  const bool again = std::exchange(again_, false);
  resources_.stats.topology_refreshes.Add();
  const int64_t interval_ns = resources_.config.slots_reload_interval_ms * kNsPerMs;
  Schedule(interval_ns - static_cast<int64_t>(random_() % (interval_ns / 10 + 1)));
  if (last_ != nullptr && last_->SameAs(topology)) {
    last_ = std::make_shared<const cluster::Topology>(std::move(topology));
    if (again) RequestRefresh();
    // How far replicas are behind has changed, and MOVED may have made workers believe otherwise.
    publish_(last_);
    return;
  }
  resources_.stats.topology_changes.Add();
  last_ = std::make_shared<const cluster::Topology>(std::move(topology));
  LOG(INFO) << "cluster map: " << last_->nodes().size() << " nodes, " << last_->shards().size()
            << " shards, " << last_->slots_covered() << " slots";
  if (again) RequestRefresh();
  publish_(last_);
}

void TopologyRefresher::Schedule(int64_t delay_ns) {
  next_timer_.Arm(resources_.io.NowNs() + delay_ns);
}

}  // namespace rcproxy::proxy
