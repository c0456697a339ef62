#include "proxy/function_sync.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "proxy/upstream_node.h"
#include "resp/value.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::NodeAddress;

namespace {

constexpr int64_t kRetryNs = 1'000'000'000;

bool Contains(const std::vector<NodeAddress>& addresses, const NodeAddress& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

// The libraries of all engines in a reply to FUNCTION STATS; nullopt when it is none.
std::optional<int64_t> CountLibraries(std::string_view stats) {
  const absl::StatusOr<resp::Value> value = resp::ParseValue(stats);
  const resp::Value* engines = value.ok() ? value->Find("engines") : nullptr;
  if (engines == nullptr) return std::nullopt;
  int64_t libraries = 0;
  for (const resp::Value& engine : engines->elements) {
    const resp::Value* count = engine.Find("libraries_count");
    if (count != nullptr) libraries += count->integer;
  }
  return libraries;
}

}  // namespace

// Lives until its answer comes or its connection is lost.
struct FunctionSync::Question final : InternalReply {
  Question(FunctionSync* sync, size_t index, Handler handler)
      : sync(sync), index(index), handler(handler) {}
  void OnReply(std::string_view reply) override { Answered(reply); }
  void OnLost() override { Answered(std::nullopt); }
  void Answered(Answer answer) {
    (sync->*handler)(index, answer);
    delete this;
  }
  FunctionSync* sync;
  size_t index;
  Handler handler;
};

FunctionSync::FunctionSync(Resources& resources, RoutingTable& table, Router& router)
    : resources_(resources),
      table_(table),
      router_(router),
      retry_timer_(
          resources.timers, [](void* self) { static_cast<FunctionSync*>(self)->Begin(); }, this) {}

FunctionSync::~FunctionSync() { DCHECK_EQ(pending_, 0u); }

void FunctionSync::Stop() {
  stopped_ = true;
  retry_timer_.Disarm();
}

void FunctionSync::OnMap(const cluster::Topology& topology) {
  if (stopped_ || resources_.config.function_bytes_max == 0) return;
  const std::vector<KnownNode> before = std::exchange(known_, {});
  const std::vector<NodeAddress> joined_before = std::exchange(joined_, {});
  primaries_.clear();
  const std::vector<bool> has_slots = topology.ShardsWithSlots();
  for (size_t i = 0; i < has_slots.size(); ++i) {
    const cluster::Shard& shard = topology.shards()[i];
    for (const uint16_t replica : shard.replicas) {
      known_.push_back({topology.nodes()[replica].address});
    }
    if (shard.primary == cluster::Shard::kNoNode) continue;
    const cluster::Node& primary = topology.nodes()[shard.primary];
    known_.push_back({primary.address, /*is_news_with_slots=*/!has_slots[i]});
    if (!primary.is_online) continue;
    primaries_.push_back(primary.address);
    const auto known = std::ranges::find(before, primary.address, &KnownNode::address);
    const bool is_news = known == before.end() || (has_slots[i] && known->is_news_with_slots);
    if ((has_map_ && is_news) || Contains(joined_before, primary.address)) {
      joined_.push_back(primary.address);
    }
  }
  has_map_ = true;
  if (pending_ == 0 && !retry_timer_.armed()) Begin();
}

void FunctionSync::Begin() {
  if (stopped_ || joined_.empty()) return;
  asked_ = primaries_;
  libraries_.assign(asked_.size(), kUnknown);
  targets_.clear();
  pending_ = asked_.size();
  const std::string stats = resp::CommandOf({"FUNCTION", "STATS"});
  for (size_t i = 0; i < asked_.size(); ++i) Ask(i, stats, &FunctionSync::OnStats);
}

void FunctionSync::Ask(size_t index, const std::string& command, Handler handler) {
  router_.SendInternal(table_.NodeAt(asked_[index]), command, new Question(this, index, handler));
}

void FunctionSync::OnStats(size_t index, Answer answer) {
  libraries_[index] = answer.has_value() ? CountLibraries(*answer).value_or(kUnknown) : kLost;
  if (--pending_ == 0) OnCounted();
}

// A node without an answer may be the one that has functions: then those that need them wait.
void FunctionSync::OnCounted() {
  const std::vector<NodeAddress> joined = std::exchange(joined_, {});
  const auto most = std::ranges::max_element(libraries_);
  const bool may_be_elsewhere = *most <= 0 && std::ranges::count(libraries_, kLost) > 0;
  for (size_t i = 0; i < asked_.size(); ++i) {
    if (!Contains(joined, asked_[i])) continue;
    if (libraries_[i] == kLost || (libraries_[i] == 0 && may_be_elsewhere)) TryLater(i);
    if (libraries_[i] == 0 && *most > 0) targets_.push_back(i);
  }
  if (targets_.empty()) return EndRound();
  pending_ = 1;
  Ask(static_cast<size_t>(most - libraries_.begin()), resp::CommandOf({"FUNCTION", "DUMP"}),
      &FunctionSync::OnDump);
}

void FunctionSync::OnDump(size_t index, Answer answer) {
  pending_ = 0;
  if (!answer.has_value()) {
    for (const size_t target : targets_) TryLater(target);
    return EndRound();
  }
  const absl::StatusOr<resp::Value> dump = resp::ParseValue(*answer);
  const bool is_dump = dump.ok() && dump->IsString();
  if (!is_dump || dump->text.size() > resources_.config.function_bytes_max) {
    const std::string_view why =
        is_dump ? "the dump is longer than --function_bytes_max" : answer->substr(0, 200);
    for (const size_t target : targets_) NoteRefused(asked_[target], why);
    return EndRound();
  }
  const std::string restore = resp::CommandOf({"FUNCTION", "RESTORE", dump->text, "APPEND"});
  pending_ = targets_.size();
  for (const size_t target : targets_) {
    LOG(INFO) << "node " << asked_[target].ToString() << " has no functions: " << dump->text.size()
              << " bytes of " << asked_[index].ToString();
    Ask(target, restore, &FunctionSync::OnRestored);
  }
}

void FunctionSync::OnRestored(size_t index, Answer answer) {
  if (!answer.has_value()) {
    TryLater(index);
  } else if (answer->starts_with('+')) {
    resources_.stats.functions_restored.Add();
  } else if (answer->find("already exists") == answer->npos) {  // Else somebody was faster.
    NoteRefused(asked_[index], answer->substr(0, 200));
  }
  if (--pending_ == 0) EndRound();
}

void FunctionSync::NoteRefused(const NodeAddress& address, std::string_view why) {
  resources_.stats.function_restore_failures.Add();
  LOG(WARNING) << "node " << address.ToString() << " gets no functions: " << why;
}

void FunctionSync::TryLater(size_t index) {
  if (!Contains(joined_, asked_[index])) joined_.push_back(asked_[index]);
}

void FunctionSync::EndRound() {
  if (!joined_.empty() && !stopped_) retry_timer_.Arm(resources_.io.NowNs() + kRetryNs);
}

}  // namespace rcproxy::proxy
