#include "proxy/topology_refresher.h"

#include <glog/logging.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cluster/topology_parser.h"

namespace rcproxy::proxy {

using cluster::NodeAddress;
using cluster::NodeView;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// While a replica is out the map is not read more often.
constexpr int64_t kReplicaOutNs = 1'000'000'000;
// Nodes of the map that one round may come to ask, for each view that it wants: in a large cluster
// of which many nodes are gone, the seeds get their turn soon.
constexpr size_t kDrawnPerView = 3;
// Who has not answered by then may be hanging: another is asked as well.
constexpr int64_t kPatienceNs = 50 * kNsPerMs;

constexpr std::string_view kShardsCommand = "*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n";
constexpr std::string_view kSlotsCommand = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
constexpr std::string_view kNodesCommand = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n";
constexpr std::string_view kInfoCommand = "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n";

// A replica that starts again tells nobody when it can serve reads.
bool HasReplicaOut(const cluster::Topology& map) {
  return std::ranges::any_of(map.shards(), [&map](const cluster::Shard& shard) {
    return std::ranges::any_of(
        shard.replicas, [&map](uint16_t replica) { return !map.nodes()[replica].is_online; });
  });
}

}  // namespace

// Asks one node what it sees, in three commands. Lives until each has been answered or lost, which
// may be after its round.
struct TopologyRefresher::Question final : InternalReply {
  enum class Outcome : uint8_t { kOpen, kFailed, kOldServer };

  Question(TopologyRefresher* refresher, const NodeAddress& address)
      : refresher(refresher), use_slots(refresher->use_slots_), round(refresher->round_) {
    view.asked = address;
  }
  void OnReply(std::string_view reply) override {
    if (refresher != nullptr) Read(reply);
    Seen();
  }
  void OnLost() override {
    if (outcome == Outcome::kOpen) outcome = Outcome::kFailed;
    Seen();
  }
  bool yields() const override { return true; }
  void Seen() {
    if (++replies_seen < 3) return;
    if (refresher != nullptr) refresher->OnQuestionDone(this);
    delete this;
  }
  void Read(std::string_view reply) {
    switch (replies_seen) {
      case 0:
        ReadMap(reply);
        break;
      case 1:
        ReadClusterNodes(reply, &view);
        break;
      default:
        ReadClusterInfo(reply, &view);
    }
    if (cluster::RefusesToTell(reply)) Fail("it is not ready");
  }
  void ReadMap(std::string_view reply) {
    if (!use_slots && reply.starts_with("-ERR") && reply.find("subcommand") != reply.npos) {
      outcome = Outcome::kOldServer;  // Older than 7.0.
      return;
    }
    absl::StatusOr<cluster::Topology> map = use_slots
                                                ? cluster::ParseClusterSlots(reply, view.asked)
                                                : cluster::ParseClusterShards(reply, view.asked);
    if (!map.ok()) return Fail(map.status().ToString());
    if (map->slots_covered() == 0) return Fail("it knows no slots");
    view.map = *std::move(map);
  }
  void Fail(std::string_view why) {
    if (outcome == Outcome::kFailed) return;
    LOG_EVERY_T(WARNING, 1) << "node " << view.asked.ToString()
                            << " does not describe a cluster: " << why;
    outcome = Outcome::kFailed;
    refresher->resources_.stats.topology_views_refused.Add();
  }

  TopologyRefresher* refresher;  // nullptr when that has gone.
  const bool use_slots;
  uint64_t round;  // 0: nobody waits for it.
  int replies_seen = 0;
  Outcome outcome = Outcome::kOpen;
  int64_t deadline_ns = 0;
  int64_t slow_at_ns = 0;  // From then on another may be asked beside it.
  NodeView view;
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
      deadline_timer_(
          resources.timers, [](void* self) { static_cast<TopologyRefresher*>(self)->OnDeadline(); },
          this) {}

TopologyRefresher::~TopologyRefresher() {
  for (Question* question : questions_) question->refresher = nullptr;
}

void TopologyRefresher::Start() { Begin(); }

void TopologyRefresher::Stop() {
  stopped_ = true;
  deciding_ = false;
  CloseQuestions();
  next_timer_.Disarm();
  deadline_timer_.Disarm();
}

void TopologyRefresher::RequestRefresh() {
  if (stopped_) return;
  if (deciding_) {
    again_ = true;  // The answers may be older than what was noticed.
    return;
  }
  const int64_t earliest_ns = last_begin_ns_ + resources_.config.refresh_min_interval_ms * kNsPerMs;
  if (next_timer_.armed() && next_timer_.deadline_ns() <= earliest_ns) return;
  next_timer_.Arm(std::max(earliest_ns, resources_.io.NowNs()));
}

// ---- asking

void TopologyRefresher::Begin() {
  if (stopped_) return;
  CloseQuestions();
  ++round_;
  deciding_ = true;
  last_begin_ns_ = resources_.io.NowNs();
  views_.clear();
  candidates_ = DrawCandidates();
  asked_max_ = std::min<size_t>(resources_.config.topology_nodes_asked, candidates_.size());
  Proceed();
}

std::vector<NodeAddress> TopologyRefresher::DrawCandidates() {
  const Config& config = resources_.config;
  std::vector<NodeAddress> drawn;
  if (last_ == nullptr) {
    drawn = config.remembered_nodes;
  } else {
    for (const cluster::Node& node : last_->nodes()) drawn.push_back(node.address);
    std::ranges::shuffle(drawn, random_);
    drawn.resize(std::min(drawn.size(), kDrawnPerView * config.topology_nodes_asked));
  }
  // The last is asked first: at the start the seeds, later the nodes of the map.
  const bool seeds_first = last_ == nullptr;
  std::vector<NodeAddress> candidates;
  if (seeds_first) candidates = drawn;
  for (auto seed = config.startup_nodes.rbegin(); seed != config.startup_nodes.rend(); ++seed) {
    if (seeds_first || std::ranges::find(drawn, *seed) == drawn.end()) candidates.push_back(*seed);
  }
  if (!seeds_first) candidates.insert(candidates.end(), drawn.begin(), drawn.end());
  return candidates;
}

// Sees to it that as many nodes are asked as views are wanted, while there is no map; decides when
// half of them have told (at the start, more than that), or nobody else will.
void TopologyRefresher::Proceed() {
  while (deciding_ && views_.size() + UnderWay() - Slow() < asked_max_ &&
         UnderWay() < 2 * asked_max_ && !candidates_.empty()) {
    const NodeAddress address = std::move(candidates_.back());
    candidates_.pop_back();
    if (MayAsk(address)) Ask(address);
  }
  const size_t missing = UnderWay();
  if (missing == 0 || views_.size() > missing || (views_.size() == missing && last_ != nullptr))
    Decide();
}

// Whether the node can be asked now, and has not been in this round.
bool TopologyRefresher::MayAsk(const NodeAddress& address) {
  const auto is_same = [&address](const NodeView& view) { return view.asked == address; };
  return std::ranges::none_of(questions_, is_same,
                              [](Question* q) -> NodeView& { return q->view; }) &&
         std::ranges::none_of(views_, is_same) &&
         table_.NodeAt(address)->primary_link().CanAccept();
}

void TopologyRefresher::Ask(const NodeAddress& address) {
  auto* question = new Question(this, address);
  const int64_t now_ns = resources_.io.NowNs();
  question->deadline_ns = now_ns + resources_.config.refresh_timeout_ms * kNsPerMs;
  question->slow_at_ns = std::min(now_ns + kPatienceNs, question->deadline_ns);
  questions_.push_back(question);
  if (!deadline_timer_.armed() || deadline_timer_.deadline_ns() > question->slow_at_ns)
    deadline_timer_.Arm(question->slow_at_ns);
  UpstreamNode* node = table_.NodeAt(address);
  for (const std::string_view command :
       {use_slots_ ? kSlotsCommand : kShardsCommand, kNodesCommand, kInfoCommand}) {
    router_.SendInternal(node, command, question);
  }
}

size_t TopologyRefresher::UnderWay() const {
  return static_cast<size_t>(std::ranges::count(questions_, round_, &Question::round));
}

size_t TopologyRefresher::Slow() const {
  return static_cast<size_t>(std::ranges::count_if(questions_, [this](const Question* question) {
    return question->round == round_ && question->slow_at_ns <= resources_.io.NowNs();
  }));
}

void TopologyRefresher::CloseQuestions() {
  for (Question* question : questions_) question->round = 0;
}

// ---- answers

void TopologyRefresher::OnQuestionDone(Question* question) {
  std::erase(questions_, question);
  if (question->round != round_ || stopped_) return;
  switch (question->outcome) {
    case Question::Outcome::kOpen:
      return OnView(std::move(question->view));
    case Question::Outcome::kOldServer:
      use_slots_ = true;
      return Ask(question->view.asked);
    case Question::Outcome::kFailed:
      // Another is asked later, not from inside the call in which a connection has been lost.
      return deadline_timer_.Arm(resources_.io.NowNs());
  }
}

void TopologyRefresher::OnView(NodeView view) {
  const auto is_same = [&view](const NodeView& other) { return other.self == view.self; };
  const bool is_twice = !view.self.empty() && std::ranges::any_of(views_, is_same);
  if (!is_twice) views_.push_back(std::move(view));  // One node may have two addresses.
  Proceed();
}

// Some question was lost, is slow, or has taken too long.
void TopologyRefresher::OnDeadline() {
  const int64_t now_ns = resources_.io.NowNs();
  int64_t next_ns = uring::TimerQueue::kNever;
  for (Question* question : questions_) {
    if (question->round != round_) continue;
    if (question->deadline_ns <= now_ns) {
      question->round = 0;
    } else {
      const bool is_slow = question->slow_at_ns <= now_ns;
      next_ns = std::min(next_ns, is_slow ? question->deadline_ns : question->slow_at_ns);
    }
  }
  if (next_ns != uring::TimerQueue::kNever) deadline_timer_.Arm(next_ns);
  if (deciding_) Proceed();
}

// ---- the map

void TopologyRefresher::Decide() {
  cluster::KnownMap known;
  if (last_ != nullptr) known = {last_.get(), &epochs_};
  const bool is_last_word = UnderWay() == 0;
  cluster::Agreement agreement = cluster::Agree(views_, std::max(asked_max_, views_.size()), known);
  if (!agreement.topology.has_value() && is_last_word && OnlySeedsAnswer()) {
    agreement = cluster::Agree(views_, views_.size(), {});
  }
  if (agreement.topology.has_value()) {
    Accept(std::move(agreement));
  } else if (is_last_word && deciding_) {
    resources_.stats.topology_views_refused.Add(agreement.views_left_out);
    FailRound();
  }
}

// The cluster that was there has gone, and another is where the operator says that there is one.
bool TopologyRefresher::OnlySeedsAnswer() const {
  const std::vector<NodeAddress>& seeds = resources_.config.startup_nodes;
  return !views_.empty() && std::ranges::all_of(views_, [&seeds](const NodeView& view) {
    return view.is_ok && std::ranges::find(seeds, view.asked) != seeds.end();
  });
}

bool TopologyRefresher::IsInMap(const NodeAddress& address) const {
  return last_ != nullptr && std::ranges::find(last_->nodes(), address, &cluster::Node::address) !=
                                 last_->nodes().end();
}

void TopologyRefresher::FailRound() {
  deciding_ = false;
  again_ = false;
  resources_.stats.topology_refresh_failures.Add();
  LOG_EVERY_T(ERROR, 1) << (views_.empty() ? "no node could describe the cluster"
                                           : "nodes do not agree what the cluster is")
                        << "; trying again";
  // Where a seed is a name, it may stand for another address by now.
  for (const NodeAddress& seed : resources_.config.startup_nodes) {
    if (IsInMap(seed)) continue;  // Clients use its connection.
    UpstreamConnection& link = table_.NodeAt(seed)->primary_link();
    if (link.state() == UpstreamConnection::State::kReady && !link.HasRequests()) link.CloseIdle();
  }
  const int64_t delay_ms = resources_.config.refresh_min_interval_ms << std::min(failed_rounds_, 3);
  ++failed_rounds_;
  Schedule(delay_ms * kNsPerMs);
}

void TopologyRefresher::Accept(cluster::Agreement agreement) {
  const bool is_first = std::exchange(deciding_, false);
  bool again = false;
  if (is_first) {
    failed_rounds_ = 0;
    again = std::exchange(again_, false);
    resources_.stats.topology_refreshes.Add();
    resources_.stats.topology_views_refused.Add(agreement.views_left_out);
  }
  epochs_ = std::move(agreement.epochs);
  const bool is_same = last_ != nullptr && last_->SameAs(*agreement.topology);
  if (!is_same) changed_ns_ = resources_.io.NowNs();
  last_ = std::make_shared<const cluster::Topology>(*std::move(agreement.topology));
  if (!is_same) {
    resources_.stats.topology_changes.Add();
    LOG(INFO) << "cluster map: " << last_->nodes().size() << " nodes, " << last_->shards().size()
              << " shards, " << last_->slots_covered() << " slots";
  }
  if (is_first) Schedule(IntervalNs());
  if (again) RequestRefresh();
  // Also one that is the same: how far replicas are behind has changed, and MOVED may have made
  // workers believe otherwise meanwhile.
  if (is_first || !is_same) publish_(last_);
  AskOwners(agreement.to_ask);
}

int64_t TopologyRefresher::IntervalNs() {
  const int64_t longest_ns = resources_.config.slots_reload_interval_ms * kNsPerMs;
  int64_t interval_ns = longest_ns;
  if (HasReplicaOut(*last_)) {
    const int64_t unchanged_ns = resources_.io.NowNs() - changed_ns_;
    interval_ns = std::min(longest_ns, std::max(kReplicaOutNs, unchanged_ns / 10));
  }
  return interval_ns - static_cast<int64_t>(random_() % (interval_ns / 10 + 1));
}

// What others say of them is not believed yet; their own word is.
void TopologyRefresher::AskOwners(const std::vector<NodeAddress>& owners) {
  for (const NodeAddress& owner : owners) {
    if (UnderWay() < 2 * asked_max_ && MayAsk(owner)) Ask(owner);
  }
}

void TopologyRefresher::Schedule(int64_t delay_ns) {
  next_timer_.Arm(resources_.io.NowNs() + delay_ns);
}

}  // namespace rcproxy::proxy
