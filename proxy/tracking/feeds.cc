#include "proxy/tracking/feeds.h"

#include <memory>

#include "resp/writer.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

UpstreamConnection& LinkTo(UpstreamNode* node) {
  return node->link({.resp3 = true, .tracks_by = TracksBy::kBroadcast});
}

}  // namespace

// Asks a node something, to have its connection opened and to know when it tells.
class FeedQuestion final : public InternalReply {
 public:
  FeedQuestion(Feeds& feeds, UpstreamNode* node) : feeds_(feeds), node_(node) {}

  void OnReply(std::string_view) override {
    const std::unique_ptr<FeedQuestion> self(this);
    feeds_.OnReady(node_);
  }
  void OnLost() override {
    const std::unique_ptr<FeedQuestion> self(this);
    feeds_.OnLost(node_);
  }

 private:
  Feeds& feeds_;
  UpstreamNode* const node_;
};

Feeds::Feeds(Resources& resources, RoutingTable& table, FeedObserver& observer)
    : resources_(resources),
      table_(table),
      observer_(observer),
      join_timer_(
          resources.timers, [](void* self) { static_cast<Feeds*>(self)->JoinAll(); }, this) {}

UpstreamConnection* Feeds::Of(UpstreamNode* node, int64_t since_ns) const {
  const auto feed = feeds_.find(node);
  const bool is_there =
      feed != feeds_.end() && feed->second.ready && feed->second.ready_ns <= since_ns;
  return is_there ? &LinkTo(node) : nullptr;
}

std::vector<UpstreamConnection*> Feeds::Links() const {
  std::vector<UpstreamConnection*> links;
  for (const auto& [node, feed] : feeds_) links.push_back(&LinkTo(node));
  return links;
}

void Feeds::ArmJoin(int64_t delay_ns) {
  const int64_t at_ns = resources_.io.NowNs() + delay_ns;
  if (!join_timer_.armed() || join_timer_.deadline_ns() > at_ns) join_timer_.Arm(at_ns);
}

void Feeds::JoinAll() {
  bool all = true;
  if (observer_.AnybodyNeedsFeeds()) {
    for (UpstreamNode* node : table_.Primaries()) all &= JoinNode(node);
  }
  observer_.OnJoined(all);
  if (!all) ArmJoin(resources_.config.retry_delay_ms * kNsPerMs);
}

// Returns whether it tells already.
bool Feeds::JoinNode(UpstreamNode* node) {
  if (const auto feed = feeds_.find(node); feed != feeds_.end()) return feed->second.ready;
  if (!LinkTo(node).CanAccept()) return false;
  feeds_.emplace(node, Feed());
  LinkTo(node).Ask(resp::CommandOf({"PING"}), new FeedQuestion(*this, node));
  return false;
}

void Feeds::OnReady(UpstreamNode* node) {
  const auto feed = feeds_.find(node);
  if (feed == feeds_.end()) return;
  feed->second = {.ready = true, .ready_ns = resources_.io.NowNs()};
  observer_.OnGap();
  Join();
}

void Feeds::OnLost(UpstreamNode* node) {
  const auto feed = feeds_.find(node);
  if (feed != feeds_.end() && !feed->second.ready) feeds_.erase(feed);
  ArmJoin(resources_.config.retry_delay_ms * kNsPerMs);
}

void Feeds::OnClosed(UpstreamNode* node) {
  const auto feed = feeds_.find(node);
  if (feed == feeds_.end()) return;
  const bool was_ready = feed->second.ready;
  feeds_.erase(feed);
  if (was_ready) observer_.OnGap();
  ArmJoin(resources_.config.retry_delay_ms * kNsPerMs);
}

}  // namespace rcproxy::proxy
