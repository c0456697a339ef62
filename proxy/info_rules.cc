#include "proxy/info_rules.h"

#include <algorithm>

#include "proxy/glob_pattern.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

constexpr InfoSection kSections[] = {
    {"Server"},
    {"Clients"},
    {"Memory", /*from_nodes=*/true},
    {"Persistence", /*from_nodes=*/true},
    {"Stats", /*from_nodes=*/true},
    {"Replication", /*from_nodes=*/true},
    {"CPU", /*from_nodes=*/true},
    {"Modules", /*from_nodes=*/true},
    {"Commandstats", /*from_nodes=*/true, InfoWhen::kAll},
    {"Errorstats", /*from_nodes=*/true},
    {"Latencystats", /*from_nodes=*/true, InfoWhen::kAll},
    {"Cluster"},
    {"Keyspace", /*from_nodes=*/true},
    {"Keysizes", /*from_nodes=*/true, InfoWhen::kAll},
    {"Proxy"},
    {"Nodes"},
};

// The first that fits decides. The last of each section fits every field.
constexpr InfoRule kRules[] = {
    {"Server", "*", InfoHow::kOwn},
    {"Clients", "*", InfoHow::kOwn},

    {"Memory", "*_human", InfoHow::kHuman},
    {"Memory", "maxmemory", InfoHow::kLimit},
    {"Memory", "maxmemory_policy", InfoHow::kFirst},
    {"Memory", "mem_allocator", InfoHow::kFirst},
    {"Memory", "used_memory_peak_perc", InfoHow::kMean, "used_memory_peak"},
    {"Memory", "used_memory_dataset_perc", InfoHow::kMean, "used_memory"},
    {"Memory", "allocator_frag_ratio", InfoHow::kMean, "allocator_allocated"},
    {"Memory", "allocator_rss_ratio", InfoHow::kMean, "allocator_active"},
    {"Memory", "rss_overhead_ratio", InfoHow::kMean, "allocator_resident"},
    {"Memory", "mem_fragmentation_ratio", InfoHow::kMean, "used_memory"},
    {"Memory", "active_defrag_running", InfoHow::kMax},
    // Every primary has the same ones.
    {"Memory", "number_of_*", InfoHow::kMax},
    {"Memory", "*", InfoHow::kSum},

    {"Persistence", "*_status", InfoHow::kStatus, "ok"},
    {"Persistence", "rdb_last_save_time", InfoHow::kMin},
    {"Persistence", "current_fork_perc", InfoHow::kMin},
    {"Persistence", "aof_enabled", InfoHow::kMin},
    {"Persistence", "loading_start_time", InfoHow::kMin},
    {"Persistence", "loading_loaded_perc", InfoHow::kMin},
    {"Persistence", "loading", InfoHow::kMax},
    {"Persistence", "async_loading", InfoHow::kMax},
    {"Persistence", "*_time_sec", InfoHow::kMax},
    {"Persistence", "*_in_progress", InfoHow::kMax},
    {"Persistence", "*_scheduled", InfoHow::kMax},
    {"Persistence", "*_age", InfoHow::kMax},
    {"Persistence", "loading_eta_seconds", InfoHow::kMax},
    {"Persistence", "aof_rewrites_consecutive_failures", InfoHow::kMax},
    {"Persistence", "*", InfoHow::kSum},

    {"Stats", "total_connections_received", InfoHow::kOwn},
    {"Stats", "rejected_connections", InfoHow::kOwn},
    {"Stats", "tracking_total_prefixes", InfoHow::kDrop},
    {"Stats", "tracking_total_*", InfoHow::kOwn},
    {"Stats", "expired_stale_perc", InfoHow::kMax},
    {"Stats", "current_*_time", InfoHow::kMax},
    {"Stats", "latest_fork_usec", InfoHow::kMax},
    {"Stats", "instantaneous_eventloop_duration_usec", InfoHow::kMax},
    {"Stats", "*_max", InfoHow::kMax},
    {"Stats", "*", InfoHow::kSum},

    {"Replication", "role", InfoHow::kOwn},
    {"Replication", "connected_slaves", InfoHow::kSum},
    {"Replication", "min_slaves_good_slaves", InfoHow::kMin},
    {"Replication", "master_failover_state", InfoHow::kStatus, "no-failover"},
    {"Replication", "master_replid", InfoHow::kOwn},
    {"Replication", "master_repl_offset", InfoHow::kSum},
    {"Replication", "repl_backlog_active", InfoHow::kMin},
    {"Replication", "repl_backlog_size", InfoHow::kSum},
    {"Replication", "repl_backlog_histlen", InfoHow::kSum},
    {"Replication", "replicas_*", InfoHow::kSum},
    // Addresses behind rcproxy, and what only a replica has.
    {"Replication", "*", InfoHow::kDrop},

    {"CPU", "*", InfoHow::kSum},
    {"Modules", "*", InfoHow::kLines},
    {"Commandstats", "*", InfoHow::kParts},
    {"Errorstats", "*", InfoHow::kParts},
    {"Latencystats", "*", InfoHow::kParts},
    {"Cluster", "*", InfoHow::kOwn},
    {"Keyspace", "*", InfoHow::kParts},
    {"Keysizes", "*", InfoHow::kParts},
    {"Proxy", "*", InfoHow::kOwn},
    {"Nodes", "*", InfoHow::kOwn},
};

constexpr InfoRule kPartRules[] = {
    {"Commandstats", "usec_per_call", InfoHow::kMean, "calls"},
    // No percentile of all can be had from those of each: the slowest node's.
    {"Latencystats", "*", InfoHow::kMax},
    {"Keyspace", "avg_ttl", InfoHow::kMean, "expires"},
};

constexpr InfoRule kAddUp = {"*", "*", InfoHow::kSum};
constexpr InfoRule kNotOurs = {"*", "*", InfoHow::kDrop};  // Modules write sections of their own.

const InfoRule& FirstThatFits(std::span<const InfoRule> rules, std::string_view section,
                              std::string_view field, const InfoRule& otherwise) {
  const auto rule = std::ranges::find_if(rules, [&](const InfoRule& candidate) {
    return candidate.section == section && MatchesGlob(candidate.field, field);
  });
  return rule == rules.end() ? otherwise : *rule;
}

bool IsNamed(const InfoSection& section, std::string_view name) {
  if (EqualsIgnoreCase(name, section.title)) return true;
  if (EqualsIgnoreCase(name, "all") || EqualsIgnoreCase(name, "everything")) return true;
  return EqualsIgnoreCase(name, "default") && section.when == InfoWhen::kDefault;
}

}  // namespace

std::span<const InfoSection> InfoSections() { return kSections; }

std::vector<InfoSection> InfoSectionsNamed(std::span<const std::string_view> names) {
  constexpr std::string_view kNone[] = {"default"};
  if (names.empty()) names = kNone;
  std::vector<InfoSection> named;
  for (const InfoSection& section : kSections) {
    const auto names_it = [&section](std::string_view name) { return IsNamed(section, name); };
    if (std::ranges::any_of(names, names_it)) named.push_back(section);
  }
  return named;
}

const InfoRule& FindInfoRule(std::string_view section, std::string_view field) {
  return FirstThatFits(kRules, section, field, kNotOurs);
}

const InfoRule& FindInfoPartRule(std::string_view section, std::string_view part) {
  return FirstThatFits(kPartRules, section, part, kAddUp);
}

}  // namespace rcproxy::proxy
