// What all workers together know of each node, from their NodeStats: INFO and metrics show that
// rather than a line for each worker and node.
//
// Thread: any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "proxy/node_stats.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

struct NodeFigures {
  uint64_t latency_ns = 0;  // Of the worker for which it is longest.
#define RCPROXY_DECLARE(name, help) uint64_t name = 0;
  RCPROXY_NODE_STATS(RCPROXY_DECLARE)
#undef RCPROXY_DECLARE

  void Add(const NodeStats& stats) {
    latency_ns = std::max(latency_ns, stats.latency_ns.value());
#define RCPROXY_ADD(name, help) name += stats.name.value();
    RCPROXY_NODE_STATS(RCPROXY_ADD)
#undef RCPROXY_ADD
  }
};

// By address.
inline std::map<std::string, NodeFigures> FiguresOfNodes(std::span<const Stats* const> workers) {
  std::map<std::string, NodeFigures> figures;
  for (const Stats* worker : workers) {
    worker->nodes.ForEach([&figures](const std::string& address, const NodeStats& stats) {
      figures[address].Add(stats);
    });
  }
  return figures;
}

}  // namespace rcproxy::proxy
