// The connections to all primaries that tell of all keys (TracksBy::kBroadcast), while somebody
// needs them.
//
// A primary that joins is asked, one that was lost is asked again; what changed while it did not
// tell nobody knows (FeedObserver::OnGap).
//
// Owner: Tracking. Thread: the worker's.
// Invariant: a node has an entry from the question that opens its connection until that closes.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "proxy/resources.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_node.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class FeedObserver {
 public:
  virtual bool AnybodyNeedsFeeds() const = 0;
  // Now and then, from Join on. `all`: each primary tells, or nobody needs it to.
  virtual void OnJoined(bool all) = 0;
  // A node did not tell until now, or does not any more.
  virtual void OnGap() = 0;

 protected:
  ~FeedObserver() = default;
};

class Feeds {
 public:
  // All outlive this.
  Feeds(Resources& resources, RoutingTable& table, FeedObserver& observer);

  // Asks the primaries that do not tell yet, soon.
  void Join() { ArmJoin(0); }
  // The connection to `node` that has told of all keys since `since_ns`, or nullptr.
  UpstreamConnection* Of(UpstreamNode* node, int64_t since_ns) const;
  // It has closed.
  void OnClosed(UpstreamNode* node);
  // Those that there are, or will be soon.
  std::vector<UpstreamConnection*> Links() const;

 private:
  friend class FeedQuestion;
  struct Feed {
    bool ready = false;
    int64_t ready_ns = 0;  // Since when.
  };

  void JoinAll();
  bool JoinNode(UpstreamNode* node);
  void OnReady(UpstreamNode* node);
  void OnLost(UpstreamNode* node);
  void ArmJoin(int64_t delay_ns);

  Resources& resources_;
  RoutingTable& table_;
  FeedObserver& observer_;
  std::unordered_map<UpstreamNode*, Feed> feeds_;
  uring::Timer join_timer_;
};

}  // namespace rcproxy::proxy
