// Keeps the cluster map fresh: asks several nodes at a time what they see, and publishes what they
// agree on (cluster/agreement.h).
//
// When: at start, after each interval (with jitter), sooner while a replica is out (after a tenth
// of the time for which the map has been the same, so that its return is seen), and soon after
// somebody noticed that the map is wrong (a redirect, a failed connection), never more often than
// refresh_min_interval. Whom: topology_nodes_asked nodes of the last good map, drawn at random;
// another one for each that can not be reached, and beside each that takes longer than 50 ms (what
// it says counts until refresh_timeout); the seeds when they are used up, which also looks their
// names up again. So any of the first nodes may be gone. A round decides when half of those asked
// (at the start, more) have told what they see, and again for each view that comes later; so a node
// that hangs holds up nothing, and one that is cut off changes nothing.
//
// Owner: the Worker with index 0; the others ask through their host. Thread: that worker's.
// Invariants: 1. one round at a time counts; views for older ones are dropped; 2. no node is asked
// again while it has not answered; 3. a map that covers no slot never replaces one that does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "cluster/agreement.h"
#include "cluster/node_view.h"
#include "cluster/topology.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class TopologyRefresher {
 public:
  using Publish = std::function<void(std::shared_ptr<const cluster::Topology>)>;

  TopologyRefresher(Resources& resources, RoutingTable& table, Router& router, uint64_t seed,
                    Publish publish);
  ~TopologyRefresher();

  // Asks at once, the seeds first.
  void Start();
  void Stop();
  // Asks soon.
  void RequestRefresh();

  bool has_topology() const { return last_ != nullptr; }

 private:
  struct Question;

  void Begin();
  std::vector<cluster::NodeAddress> DrawCandidates();
  void Proceed();
  bool MayAsk(const cluster::NodeAddress& address);
  void Ask(const cluster::NodeAddress& address);
  void OnQuestionDone(Question* question);
  void OnView(cluster::NodeView view);
  void OnDeadline();
  void CloseQuestions();
  size_t UnderWay() const;
  size_t Slow() const;  // Of those.
  void Decide();
  bool OnlySeedsAnswer() const;
  bool IsInMap(const cluster::NodeAddress& address) const;
  void AskOwners(const std::vector<cluster::NodeAddress>& owners);
  void FailRound();
  void Accept(cluster::Agreement agreement);
  int64_t IntervalNs();
  void Schedule(int64_t delay_ns);

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  std::mt19937_64 random_;
  Publish publish_;
  std::shared_ptr<const cluster::Topology> last_;
  cluster::Epochs epochs_;  // Of the owners of slots in it.

  // The round.
  uint64_t round_ = 0;
  bool deciding_ = false;                         // It has not come to a map yet.
  bool again_ = false;                            // Somebody asked for a refresh meanwhile.
  size_t asked_max_ = 0;                          // Views wanted.
  std::vector<cluster::NodeAddress> candidates_;  // Still to be asked, last first.
  std::vector<cluster::NodeView> views_;

  std::vector<Question*> questions_;  // Of any round, not answered yet. Each owns itself.
  bool stopped_ = false;
  bool use_slots_ = false;  // The nodes do not know CLUSTER SHARDS.
  int failed_rounds_ = 0;
  int64_t last_begin_ns_ = 0;
  int64_t changed_ns_ = 0;  // When the map was last another than before.
  uring::Timer next_timer_;
  uring::Timer deadline_timer_;
};

}  // namespace rcproxy::proxy
