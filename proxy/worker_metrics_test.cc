#include "proxy/worker_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/metric_type.h>

#include <set>
#include <string>
#include <vector>

#include "proxy/stats.h"

namespace rcproxy::proxy {
namespace {

const prometheus::MetricFamily* Find(const std::vector<prometheus::MetricFamily>& families,
                                     const std::string& name) {
  for (const prometheus::MetricFamily& family : families) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

TEST(WorkerMetricsTest, CountersHaveASamplePerWorker) {
  Stats workers[2];
  workers[0].commands.Add(3);
  workers[1].commands.Add(4);
  const auto families = WorkerMetrics({&workers[0], &workers[1]}).Collect();
  const auto* commands = Find(families, "rcproxy_commands_total");
  ASSERT_NE(commands, nullptr);
  EXPECT_EQ(commands->type, prometheus::MetricType::Counter);
  EXPECT_EQ(commands->help, "Commands received");
  ASSERT_EQ(commands->metric.size(), 2u);
  EXPECT_EQ(commands->metric[0].label[0].name, "worker");
  EXPECT_EQ(commands->metric[1].label[0].value, "1");
  EXPECT_EQ(commands->metric[0].counter.value, 3);
  EXPECT_EQ(commands->metric[1].counter.value, 4);
}

TEST(WorkerMetricsTest, GaugesAreNotTotals) {
  Stats stats;
  stats.clients_connected.Set(9);
  const auto families = WorkerMetrics({&stats}).Collect();
  const auto* clients = Find(families, "rcproxy_clients_connected");
  ASSERT_NE(clients, nullptr);
  EXPECT_EQ(clients->type, prometheus::MetricType::Gauge);
  EXPECT_EQ(clients->metric[0].gauge.value, 9);
  EXPECT_EQ(Find(families, "rcproxy_clients_connected_total"), nullptr);
}

TEST(WorkerMetricsTest, NodesHaveASampleForAllWorkers) {
  Stats workers[2];
  const auto first = workers[0].nodes.Add("10.0.0.1:7000");
  const auto second = workers[1].nodes.Add("10.0.0.1:7000");
  first->latency_ns.Set(1'500'000);
  first->failures.Add();
  second->failures.Add();
  const auto families = WorkerMetrics({&workers[0], &workers[1]}).Collect();
  const auto* latency = Find(families, "rcproxy_node_latency_seconds");
  ASSERT_NE(latency, nullptr);
  ASSERT_EQ(latency->metric.size(), 1u);
  EXPECT_EQ(latency->metric[0].label[0].name, "node");
  EXPECT_EQ(latency->metric[0].label[0].value, "10.0.0.1:7000");
  EXPECT_DOUBLE_EQ(latency->metric[0].gauge.value, 0.0015);
  const auto* failures = Find(families, "rcproxy_node_failures_total");
  ASSERT_NE(failures, nullptr);
  EXPECT_EQ(failures->type, prometheus::MetricType::Counter);
  EXPECT_EQ(failures->metric[0].counter.value, 2);
}

TEST(WorkerMetricsTest, EveryRowOfTheListIsThereOnce) {
  Stats stats;
  std::set<std::string> names;
  for (const auto& family : WorkerMetrics({&stats}).Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
  }
  size_t rows = 1;  // rcproxy_build_info
#define RCPROXY_COUNT(name, type, help) ++rows;
#define RCPROXY_COUNT_NODE(name, help) ++rows;
  RCPROXY_STATS(RCPROXY_COUNT)
  ++rows;  // rcproxy_node_latency_seconds
  RCPROXY_NODE_STATS(RCPROXY_COUNT_NODE)
#undef RCPROXY_COUNT_NODE
#undef RCPROXY_COUNT
  EXPECT_EQ(names.size(), rows);
}

}  // namespace
}  // namespace rcproxy::proxy
