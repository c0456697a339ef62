#include "proxy/info.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/human_bytes.h"
#include "proxy/text.h"
#include "proxy/version.h"

namespace rcproxy::proxy {
namespace {

// The counters of all workers added up, under the same names.
struct Totals {
#define RCPROXY_DECLARE(name, type, help) uint64_t name = 0;
  RCPROXY_STATS(RCPROXY_DECLARE)
#undef RCPROXY_DECLARE
};

Totals Sum(const std::vector<const Stats*>& workers) {
  Totals totals;
  for (const Stats* stats : workers) {
#define RCPROXY_ADD(name, type, help) totals.name += stats->name.value();
    RCPROXY_STATS(RCPROXY_ADD)
#undef RCPROXY_ADD
  }
  return totals;
}

struct Context {
  const ServerFacts& facts;
  Totals totals;
  std::string* out;

  template <typename Value>
  void Line(std::string_view name, const Value& value) const {
    *out += Concat(name, ":", value, "\r\n");
  }
  // "123" and "123B".
  void Bytes(std::string_view name, uint64_t bytes) const;
};

void Context::Bytes(std::string_view name, uint64_t bytes) const {
  Line(name, bytes);
  Line(Concat(name, "_human"), HumanBytes(bytes));
}

// 0 when /proc is not there.
uint64_t ResidentBytes() {
  unsigned long total = 0;
  unsigned long resident = 0;
  std::FILE* const statm = std::fopen("/proc/self/statm", "re");
  if (statm == nullptr) return 0;
  const int fields = std::fscanf(statm, "%lu %lu", &total, &resident);
  std::fclose(statm);
  return fields == 2 ? static_cast<uint64_t>(resident) * sysconf(_SC_PAGESIZE) : 0;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void Server(const Context& info) {
  utsname system = {};
  uname(&system);
  const absl::Time now = absl::Now();
  const int64_t uptime_s =
      std::max<int64_t>(0, absl::ToUnixSeconds(now) - info.facts.started_unix_s);
  info.Line("redis_version", kCompatibleRedisVersion);
  info.Line("redis_mode", info.facts.ModeName());
  info.Line("rcproxy_version", kVersion);
  info.Line("os", Concat(system.sysname, " ", system.release, " ", system.machine));
  info.Line("arch_bits", 8 * sizeof(void*));
  info.Line("multiplexing_api", "io_uring");
  info.Line("rcproxy_kernel_features", info.facts.kernel_features);
  info.Line("process_id", getpid());
  info.Line("run_id", info.facts.run_id);
  info.Line("tcp_port", info.facts.tcp_port);
  info.Line("server_time_usec", absl::ToUnixMicros(now));
  info.Line("uptime_in_seconds", uptime_s);
  info.Line("uptime_in_days", uptime_s / (24 * 60 * 60));
  info.Line("executable", info.facts.executable);
  info.Line("config_file", info.facts.config_file);
  info.Line("io_threads_active", info.facts.workers.size() > 1 ? 1 : 0);
}

void Clients(const Context& info) {
  info.Line("connected_clients", info.totals.clients_connected);
  info.Line("cluster_connections", info.totals.upstream_connections);
  info.Line("maxclients", info.facts.config->maxclients);
  info.Line("blocked_clients", info.totals.clients_blocked);
  info.Line("tracking_clients", info.totals.tracking_clients);
}

void Memory(const Context& info) {
  const uint64_t resident = ResidentBytes();
  info.Bytes("used_memory", resident);
  info.Bytes("used_memory_rss", resident);
  info.Bytes("maxmemory", 0);
  info.Line("maxmemory_policy", "noeviction");
  info.Line("rcproxy_buffer_bytes", info.totals.memory_bytes);
}

void Persistence(const Context& info) {
  info.Line("loading", 0);
  info.Line("async_loading", 0);
  info.Line("rdb_bgsave_in_progress", 0);
  info.Line("rdb_last_bgsave_status", "ok");
  info.Line("aof_enabled", 0);
  info.Line("aof_rewrite_in_progress", 0);
}

void Statistics(const Context& info) {
  info.Line("total_connections_received", info.totals.clients_accepted);
  info.Line("total_commands_processed", info.totals.commands);
  info.Line("total_net_input_bytes", info.totals.client_bytes_received);
  info.Line("rejected_connections", info.totals.clients_rejected);
  info.Line("total_error_replies", info.totals.commands_refused);
  info.Line("tracking_total_keys", info.totals.tracking_keys);
  info.Line("tracking_total_items", info.totals.tracking_items);
}

void Replication(const Context& info) {
  info.Line("role", "master");
  info.Line("connected_slaves", 0);
  info.Line("master_failover_state", "no-failover");
  info.Line("master_replid", info.facts.run_id);
  info.Line("master_repl_offset", 0);
}

void CpuLines(const Context& info, std::string_view prefix) {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  info.Line(Concat(prefix, "used_cpu_sys"), absl::StrFormat("%.6f", Seconds(usage.ru_stime)));
  info.Line(Concat(prefix, "used_cpu_user"), absl::StrFormat("%.6f", Seconds(usage.ru_utime)));
}

void Cpu(const Context& info) { CpuLines(info, ""); }

void Cluster(const Context& info) {
  info.Line("cluster_enabled", info.facts.config->face == Face::kCluster ? 1 : 0);
}

void Empty(const Context&) {}

void Proxy(const Context& info) {
  info.Line("rcproxy_workers", info.facts.workers.size());
  info.Line("rcproxy_used_memory_rss", ResidentBytes());
  CpuLines(info, "rcproxy_");
#define RCPROXY_LINE(name, type, help) info.Line("rcproxy_" #name, info.totals.name);
  RCPROXY_STATS(RCPROXY_LINE)
#undef RCPROXY_LINE
}

struct Section {
  std::string_view title;  // Its name is the same in any case.
  void (*write)(const Context& info);
};

constexpr Section kSections[] = {
    {"Server", Server},    {"Clients", Clients},
    {"Memory", Memory},    {"Persistence", Persistence},
    {"Stats", Statistics}, {"Replication", Replication},
    {"CPU", Cpu},          {"Modules", Empty},   // Nodes load modules, rcproxy has none.
    {"Errorstats", Empty},                       // Kept by the nodes.
    {"Cluster", Cluster},  {"Keyspace", Empty},  // DBSIZE asks the nodes.
    {"Proxy", Proxy},
};

constexpr std::string_view kAllSections[] = {"default", "all", "everything"};

bool IsWanted(const Section& section, std::span<const std::string_view> names) {
  if (names.empty()) return true;
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    if (EqualsIgnoreCase(name, section.title)) return true;
    return std::any_of(std::begin(kAllSections), std::end(kAllSections),
                       [&](std::string_view all) { return EqualsIgnoreCase(name, all); });
  });
}

}  // namespace

std::string InfoText(const ServerFacts& facts, std::span<const std::string_view> sections) {
  std::string text;
  const Context context = {facts, Sum(facts.workers), &text};
  for (const Section& section : kSections) {
    if (!IsWanted(section, sections)) continue;
    if (!text.empty()) text += "\r\n";
    text += Concat("# ", section.title, "\r\n");
    section.write(context);
  }
  return text;
}

}  // namespace rcproxy::proxy
