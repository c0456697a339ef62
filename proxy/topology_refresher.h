// Keeps the cluster map fresh: asks one node after another until one describes the cluster, then
// publishes the snapshot.
//
// When: at start, after each interval (with jitter), and soon after somebody noticed that the map
// is wrong (a redirect, a failed connection), never more often than refresh_min_interval and never
// twice at a time. Whom: the nodes of the last good map in random order, then the seeds; so all
// seeds may be gone.
//
// Owner: the Worker with index 0; the others ask through their host. Thread: that worker's.
// Invariants: 1. at most one question is outstanding that counts; a late answer to an older one is
// ignored; 2. a map that covers no slot never replaces one that does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

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
  void AskNext();
  void OnAnswer(uint64_t number, std::string_view reply);
  void OnLost(uint64_t number);
  void OnNoAnswer(uint64_t number);
  void Accept(cluster::Topology topology);
  void Schedule(int64_t delay_ns);
  void Ask(const cluster::NodeAddress& address);

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  std::mt19937_64 random_;
  Publish publish_;
  std::shared_ptr<const cluster::Topology> last_;
  std::vector<cluster::NodeAddress> candidates_;  // Still to be asked in this round, last first.
  cluster::NodeAddress asked_;
  bool asking_ = false;
  bool again_ = false;  // Somebody asked for a refresh meanwhile.
  bool stopped_ = false;
  bool use_slots_ = false;        // The nodes do not know CLUSTER SHARDS.
  uint64_t question_number_ = 0;  // Of the question whose answer counts.
  int failed_rounds_ = 0;
  int64_t last_begin_ns_ = 0;
  uring::Timer next_timer_;
  uring::Timer answer_timer_;
};

}  // namespace rcproxy::proxy
