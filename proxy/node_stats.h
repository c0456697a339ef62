// How a worker has got on with each node: how long its answers take, and what has gone wrong.
// Written by the worker, read by any thread (INFO, metrics), as Stats are. The list changes when a
// node comes or goes, under a lock that nothing takes for a request.
//
// Owner: Stats has the list, each UpstreamNode its NodeStats. Invariants: 1. the list names a node
// as long as it is there; 2. counters only grow, until CONFIG RESETSTAT.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "proxy/counter.h"

namespace rcproxy::proxy {

// name, help. What only grows; INFO and the metrics page are made from this one list.
#define RCPROXY_NODE_STATS(X)                                                  \
  X(connect_failures, "Connections to the node that could not be opened")      \
  X(failures, "Connections to the node lost while in use")                     \
  X(silences, "Times the node was given up: it owed replies and sent nothing") \
  X(refusals, "Requests that the node answered with CLUSTERDOWN, LOADING, MASTERDOWN or READONLY")

struct NodeStats {
  Counter latency_ns;  // Of its answers lately; 0: it has not answered yet.
#define RCPROXY_DECLARE(name, help) Counter name;
  RCPROXY_NODE_STATS(RCPROXY_DECLARE)
#undef RCPROXY_DECLARE
};

class NodeStatsList {
 public:
  // For a node that has come.
  std::shared_ptr<NodeStats> Add(std::string address) {
    auto added = std::make_shared<NodeStats>();
    const std::lock_guard lock(mutex_);
    std::erase_if(nodes_, [](const Node& node) { return node.second.expired(); });
    nodes_.emplace_back(std::move(address), added);
    return added;
  }
  // Calls visit(address, stats) for each node that is there. Any thread.
  template <class Visit>
  void ForEach(Visit visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, node] : nodes_) {
      if (const std::shared_ptr<NodeStats> stats = node.lock()) visit(address, *stats);
    }
  }
  void ResetCounters() {
    ForEach([](const std::string&, NodeStats& stats) {
#define RCPROXY_RESET(name, help) stats.name.Set(0);
      RCPROXY_NODE_STATS(RCPROXY_RESET)
#undef RCPROXY_RESET
    });
  }

 private:
  using Node = std::pair<std::string, std::weak_ptr<NodeStats>>;

  mutable std::mutex mutex_;
  std::vector<Node> nodes_;
};

}  // namespace rcproxy::proxy
