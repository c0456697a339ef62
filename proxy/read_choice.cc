#include "proxy/read_choice.h"

#include <algorithm>
#include <vector>

#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

namespace {

// One read in so many goes to whose turn it is: of a copy that nobody asks it is not known that it
// has become the nearest.
constexpr uint32_t kTrialEvery = 64;

struct Copy {
  UpstreamConnection* link = nullptr;
  bool is_near = false;
  uint64_t cost = 0;

  bool IsBetterThan(const Copy& other) const {
    if (other.link == nullptr || is_near != other.is_near) return other.link == nullptr || is_near;
    return cost < other.cost;
  }
};

// link is nullptr when it should not be asked.
Copy CopyAt(const Config& config, UpstreamNode* node, LinkKind kind, ReadPreference preference) {
  UpstreamConnection& link = node->link(kind);
  if (!link.CanAccept() || node->IsLeftOut() || node->is_full()) return {};
  const uint64_t in_flight = link.in_flight();
  const bool by_time = preference == ReadPreference::kNearest;
  return {.link = &link,
          .is_near = node->in_zone() && in_flight < config.zone_spill_requests,
          .cost = (in_flight + 1) * (by_time ? node->latency_ns() : 1)};
}

// The same, when it has to have what `needs` says.
Copy ReplicaAt(const Config& config, UpstreamNode* node, LinkKind kind, const ReadNeeds& needs) {
  const Copy copy = CopyAt(config, node, kind, needs.preference);
  if (needs.written.round == 0 || copy.link == nullptr) return copy;
  if (copy.link->replica_progress().Has(needs.written)) return copy;
  needs.watch->Want(*copy.link);
  return {};
}

// nullptr when it cannot be asked.
UpstreamConnection* AtPrimary(const ShardRoute& shard, const ReadNeeds& needs) {
  if (shard.primary == nullptr || shard.primary == needs.except) return nullptr;
  UpstreamConnection& link = shard.primary->link(needs.at_primary);
  return link.CanAccept() ? &link : nullptr;
}

// Among the replicas, and the primary if `with_primary`.
UpstreamConnection* Best(const Config& config, const ShardRoute& shard, bool with_primary,
                         const ReadNeeds& needs) {
  LinkKind at_replica = needs.at_primary;
  at_replica.replica_reads = true;
  const size_t replicas = shard.replicas.size();
  const size_t copies = replicas + (with_primary && shard.primary != nullptr ? 1 : 0);
  const uint32_t turn = shard.next_copy++;
  Copy best;
  for (size_t i = 0; i < copies; ++i) {
    const size_t index = (turn + i) % copies;
    UpstreamNode* node = index < replicas ? shard.replicas[index] : shard.primary;
    if (node == needs.except) continue;
    Copy copy = index < replicas ? ReplicaAt(config, node, at_replica, needs)
                                 : CopyAt(config, node, needs.at_primary, needs.preference);
    if (turn % kTrialEvery == 0) copy.cost = 0;
    if (copy.link != nullptr && copy.IsBetterThan(best)) best = copy;
  }
  return best.link;
}

}  // namespace

UpstreamConnection* ChooseCopy(const Config& config, const ShardRoute& shard,
                               const ReadNeeds& needs) {
  switch (needs.preference) {
    case ReadPreference::kPrimary:
      return nullptr;
    case ReadPreference::kPreferPrimary: {
      UpstreamConnection* link = AtPrimary(shard, needs);
      return link != nullptr ? link : Best(config, shard, /*with_primary=*/false, needs);
    }
    case ReadPreference::kReplica:
    case ReadPreference::kPreferReplica:
      return Best(config, shard, /*with_primary=*/false, needs);
    case ReadPreference::kAny:
    case ReadPreference::kNearest:
      return Best(config, shard, /*with_primary=*/true, needs);
  }
  return nullptr;
}

UpstreamConnection* ChooseOtherCopy(const Config& config, const ShardRoute& shard,
                                    const ReadNeeds& needs) {
  UpstreamConnection* link = ChooseCopy(config, shard, needs);
  return link != nullptr || needs.MustBeReplica() ? link : AtPrimary(shard, needs);
}

}  // namespace rcproxy::proxy
