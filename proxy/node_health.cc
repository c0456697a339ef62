#include "proxy/node_health.h"

#include <algorithm>
#include <vector>

#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// Longer than nearly all commands take, shorter than any cluster takes to agree on a failure.
constexpr int64_t kSuspectNs = 500 * kNsPerMs;

// Whether `link` is open and of a kind that clients share. Connections with subscriptions, and
// those that track, are looked after by those who need them (--subscription_ping_interval).
bool IsLookedAfter(const UpstreamConnection& link) {
  const LinkKind kind = link.kind();
  return !kind.is_own && !kind.is_subscription && kind.tracks_by == TracksBy::kNothing &&
         link.state() == UpstreamConnection::State::kReady;
}

// Whether it has owed replies since `then_ns`, and sent nothing since.
bool IsSilentSince(UpstreamNode& node, int64_t then_ns) {
  if (node.heard_ns() > then_ns) return false;
  bool owes = false;
  node.ForEachLink(
      [&owes, then_ns](const UpstreamConnection& link) { owes |= link.OwesSince(then_ns); });
  return owes;
}

}  // namespace

NodeHealth::NodeHealth(Resources& resources, RoutingTable& table, TopologySource& topology)
    : resources_(resources),
      table_(table),
      topology_(topology),
      ping_interval_ns_(resources.config.upstream_ping_ms * kNsPerMs),
      silence_ns_(resources.config.upstream_silence_ms * kNsPerMs),
      ping_timer_(
          resources.timers, [](void* self) { static_cast<NodeHealth*>(self)->PingIdle(); }, this) {}

void NodeHealth::OnTick(int64_t now_ns) {
  if (ping_interval_ns_ > 0 && !ping_timer_.armed()) ping_timer_.Arm(now_ns + ping_interval_ns_);
  if (silence_ns_ > 0) CheckSilence(now_ns);
  if (now_ns - suspects_at_ns_ >= kSuspectNs) LookForSuspects(now_ns);
}

// A connection that opens, or has traffic, meanwhile is idle for long enough after `next_ns` only.
void NodeHealth::PingIdle() {
  const int64_t now_ns = resources_.io.NowNs();
  int64_t next_ns = now_ns + ping_interval_ns_;
  bool any_open = false;
  table_.ForEachNode([&](UpstreamNode& node) {
    node.ForEachLink([&](UpstreamConnection& link) {
      if (!IsLookedAfter(link)) return;
      any_open = true;
      if (link.HasRequests()) return;  // Time runs for them.
      const int64_t due_ns = link.progress_ns() + ping_interval_ns_;
      if (due_ns <= now_ns) return link.Ping();
      next_ns = std::min(next_ns, due_ns);
    });
  });
  if (!any_open) return;
  const int64_t earliest_ns = now_ns + ping_interval_ns_ / kWalksPerInterval;
  ping_timer_.Arm(std::max(next_ns, earliest_ns));
}

void NodeHealth::CheckSilence(int64_t now_ns) {
  const int64_t then_ns = now_ns - silence_ns_;
  table_.ForEachNode([this, then_ns](UpstreamNode& node) {
    if (IsSilentSince(node, then_ns)) GiveUp(node);
  });
}

void NodeHealth::LookForSuspects(int64_t now_ns) {
  bool any = false;
  table_.ForEachNode([&any, now_ns](UpstreamNode& node) {
    any = any || IsSilentSince(node, now_ns - kSuspectNs);
  });
  if (!any) return;
  suspects_at_ns_ = now_ns;
  topology_.RequestRefresh();
}

void NodeHealth::OnMap(const cluster::Topology& topology) {
  const int64_t then_ns = resources_.io.NowNs() - kSuspectNs;
  const std::vector<UpstreamNode*> owners = table_.Primaries();
  for (const cluster::Node& each : topology.nodes()) {
    if (each.is_online) continue;
    UpstreamNode* node = table_.NodeAt(each.address);
    if (std::ranges::find(owners, node) == owners.end() && IsSilentSince(*node, then_ns))
      GiveUp(*node);
  }
}

void NodeHealth::GiveUp(UpstreamNode& node) {
  resources_.stats.upstream_silences.Add();
  node.stats().silences.Add();
  node.NoteSilence();
  node.ForEachLink([](UpstreamConnection& link) {
    if (link.state() == UpstreamConnection::State::kReady) link.Fail("the node is silent");
  });
}

}  // namespace rcproxy::proxy
