// One channel, pattern or shard channel that clients of a worker are subscribed to, and the nodes
// that it is heard from.
//
// A message to a channel reaches every node, so one node is asked (placement kHome). Events of keys
// reach only the node that has the key: every primary is asked. A shard channel is asked for at the
// owner of its slot. What all nodes would tell is taken from one of them, `source`.
//
// Owner: PubSub. Thread: the worker's.
// Invariants: 1. it lives as long as it has subscribers or holds; 2. it is in the list of unsettled
// channels exactly while some node that should be asked has not confirmed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/pubsub/pubsub_text.h"
#include "proxy/pubsub/subscriber.h"
#include "uring/intrusive_list.h"

namespace rcproxy::proxy {

class SubscribeOperation;
class SubscriptionQuestion;
class UpstreamNode;

struct Channel : ListLink<struct InUnsettled> {
  enum class Placement : uint8_t { kHome, kAllPrimaries, kSlotOwner };
  // A subscription at a node.
  struct Feed {
    UpstreamNode* node;
    SubscriptionQuestion* question;  // Not answered yet; nullptr: confirmed.
  };

  Channel(ChannelKind kind, std::string_view name)
      : kind(kind), name(name), slot(cluster::HashSlot(name)), placement(PlacementOf(kind, name)) {}

  static Placement PlacementOf(ChannelKind kind, std::string_view name) {
    if (kind == ChannelKind::kShard) return Placement::kSlotOwner;
    const bool events =
        kind == ChannelKind::kPattern ? MayMatchKeyspaceChannel(name) : IsKeyspaceChannel(name);
    return events ? Placement::kAllPrimaries : Placement::kHome;
  }

  Feed* FeedFrom(const UpstreamNode* node) {
    const auto found = std::find_if(feeds.begin(), feeds.end(),
                                    [node](const Feed& feed) { return feed.node == node; });
    return found == feeds.end() ? nullptr : &*found;
  }
  bool IsSettled() const { return !ListLink<InUnsettled>::IsLinked(); }
  bool IsUnused() const { return subscribers.IsEmpty() && holds == 0; }

  const ChannelKind kind;
  const std::string name;
  const uint16_t slot;  // kSlotOwner.
  const Placement placement;
  std::vector<Feed> feeds;
  const UpstreamNode* source = nullptr;
  IntrusiveList<Subscription, InChannel> subscribers;
  std::vector<SubscribeOperation*> waiters;  // Until it is settled.
  uint32_t holds = 0;
};

}  // namespace rcproxy::proxy
