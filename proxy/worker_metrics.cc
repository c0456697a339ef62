#include "proxy/worker_metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <string>
#include <utility>

#include "proxy/node_figures.h"
#include "proxy/version.h"

namespace rcproxy::proxy {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// One row of RCPROXY_STATS.
struct Row {
  const char* name;
  const char* help;
  MetricType type;
  Counter Stats::*counter;
};

constexpr MetricType counter = MetricType::Counter;  // The words of RCPROXY_STATS.
constexpr MetricType gauge = MetricType::Gauge;

constexpr Row kRows[] = {
#define RCPROXY_ROW(name, type, help) {#name, help, type, &Stats::name},
    RCPROXY_STATS(RCPROXY_ROW)
#undef RCPROXY_ROW
};

ClientMetric Sample(MetricType type, double value, std::string label, std::string label_value) {
  ClientMetric sample;
  sample.label.push_back({std::move(label), std::move(label_value)});
  if (type == MetricType::Counter) {
    sample.counter.value = value;
  } else {
    sample.gauge.value = value;
  }
  return sample;
}

MetricFamily FamilyOf(const Row& row, const std::vector<const Stats*>& workers) {
  MetricFamily family;
  family.name = std::string("rcproxy_") + row.name;
  if (row.type == MetricType::Counter) family.name += "_total";
  family.help = row.help;
  family.type = row.type;
  for (size_t i = 0; i < workers.size(); ++i) {
    const double value = static_cast<double>((workers[i]->*row.counter).value());
    family.metric.push_back(Sample(row.type, value, "worker", std::to_string(i)));
  }
  return family;
}

// rcproxy_node_<name>, with a sample per node.
MetricFamily NodeFamily(const std::string& name, const char* help, MetricType type) {
  MetricFamily family;
  family.name = "rcproxy_node_" + name;
  family.help = help;
  family.type = type;
  return family;
}

void AppendNodeFamilies(const std::vector<const Stats*>& workers,
                        std::vector<MetricFamily>* families) {
  const auto figures = FiguresOfNodes(workers);
  constexpr double kNsPerSecond = 1e9;
  MetricFamily latency = NodeFamily(
      "latency_seconds",
      "Time that answers of the node have taken lately, the wait in rcproxy included", gauge);
  for (const auto& [address, node] : figures) {
    const double seconds = static_cast<double>(node.latency_ns) / kNsPerSecond;
    latency.metric.push_back(Sample(gauge, seconds, "node", address));
  }
  families->push_back(std::move(latency));
#define RCPROXY_FAMILY(name, help)                                         \
  families->push_back(NodeFamily(#name "_total", help, counter));          \
  for (const auto& [address, node] : figures) {                            \
    families->back().metric.push_back(                                     \
        Sample(counter, static_cast<double>(node.name), "node", address)); \
  }
  RCPROXY_NODE_STATS(RCPROXY_FAMILY)
#undef RCPROXY_FAMILY
}

MetricFamily SingleGauge(const char* name, const char* help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = MetricType::Gauge;
  family.metric.push_back(Sample(family.type, 1, "version", std::string(kVersion)));
  return family;
}

}  // namespace

WorkerMetrics::WorkerMetrics(std::vector<const Stats*> workers) : workers_(std::move(workers)) {}

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  std::vector<MetricFamily> families = {
      SingleGauge("rcproxy_build_info", "Always 1; the version is in the label")};
  for (const Row& row : kRows) families.push_back(FamilyOf(row, workers_));
  AppendNodeFamilies(workers_, &families);
  return families;
}

std::vector<MetricFamily> Health::Collect() const {
  return {SingleGauge("rcproxy_up", "Always 1 when rcproxy answers")};
}

}  // namespace rcproxy::proxy
