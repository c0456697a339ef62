// The counters of all workers as Prometheus metric families: rcproxy_<name>, and with _total behind
// it for what only grows, each with a sample per worker; and rcproxy_node_<name>, with a sample per
// node for all workers together. From the lists in stats.h and node_stats.h.
//
// Thread: any; reads counters and changes nothing.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

#include "proxy/stats.h"

namespace rcproxy::proxy {

class WorkerMetrics final : public prometheus::Collectable {
 public:
  // The counters outlive this object.
  explicit WorkerMetrics(std::vector<const Stats*> workers);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  std::vector<const Stats*> workers_;
};

// One family with one sample: rcproxy answers.
class Health final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace rcproxy::proxy
