// Everything that can be set, validated once (config_parser.h). No flag is read anywhere else.
//
// Owner: Server, for the life of the process. Thread: any, it does not change after start.
// Units are in the names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"
#include "proxy/zone.h"

namespace rcproxy::proxy {

// Who serves reads.
enum class ReadPreference : uint8_t {
  kPrimary,
  kPreferPrimary,  // A replica while the primary cannot be reached.
  kReplica,        // Never the primary.
  kPreferReplica,  // The primary while no replica can be reached.
  kAny,
  kNearest,  // Whichever answers soonest.
};
// What becomes of a command whose keys lie in several slots.
enum class CrossSlot : uint8_t {
  kStrict,   // CROSSSLOT, as from a cluster.
  kSplit,    // Split where the parts' replies add up to the server's: MGET, DEL.
  kCompute,  // Also computed from what the nodes have: SINTER, ZUNION.
};

// What becomes of a transaction whose keys lie in several slots.
enum class Transactions : uint8_t {
  kSlot,   // CROSSSLOT when the command is queued.
  kSplit,  // One transaction for each slot.
};

// As what rcproxy shows itself to clients.
enum class Face : uint8_t {
  kStandalone,  // One server.
  kCluster,     // A cluster whose nodes are rcproxy's instances.
};

struct ListenAddress {
  std::string host;  // Empty for a Unix socket.
  uint16_t port = 0;
  std::string unix_path;  // Empty for TCP.

  std::string ToString() const;
};

struct Config {
  std::vector<ListenAddress> listen;
  std::vector<ListenAddress> replica_listen;  // For clients whose reads replicas serve.
  std::vector<cluster::NodeAddress> startup_nodes;
  // Nodes of the last map of an earlier run.
  std::vector<cluster::NodeAddress> remembered_nodes;
  std::string nodes_file;  // Where they are kept; empty: nowhere.
  // Where to reach nodes that announce addresses of another network, by "host:port".
  std::map<std::string, cluster::NodeAddress> node_addresses;
  int workers = 1;

  int64_t connect_timeout_ms = 1000;
  int64_t request_timeout_ms = 5000;
  int64_t client_idle_timeout_s = 0;  // 0: never.
  int64_t slots_reload_interval_ms = 60000;
  int64_t refresh_min_interval_ms = 100;
  int64_t refresh_timeout_ms = 1000;
  uint32_t topology_nodes_asked = 5;
  bool learn_commands = true;
  int64_t learn_commands_interval_ms = 10000;
  int64_t retry_delay_ms = 20;
  int64_t hold_timeout_ms = 0;                   // 0: as request_timeout_ms.
  uint32_t hold_requests_max = 16'384;           // Per worker and shard.
  uint64_t hold_bytes_max = 64 << 20;            // Likewise.
  uint64_t upstream_queue_bytes_max = 64 << 20;  // Per worker and connection to a node.
  int64_t startup_timeout_s = 0;                 // 0: try for ever.
  int64_t drain_timeout_s = 10;
  int64_t reconnect_delay_min_ms = 20;
  int64_t reconnect_delay_max_ms = 75;
  int64_t client_stall_timeout_ms = 1000;

  uint32_t redirects_max = 16;
  uint32_t maxclients = 10000;
  uint32_t client_pipeline_max = 1024;  // Requests in flight per client.
  uint64_t client_output_soft_bytes = 1 << 20;
  uint64_t client_output_hard_bytes = 256 << 20;
  uint64_t memory_limit_bytes = 1 << 30;  // Per worker.
  uint64_t stream_reply_bytes_min = 64 << 10;
  uint64_t stream_command_bytes_min = 1 << 20;  // 0: never.

  uint32_t request_args_max = 1 << 20;
  uint32_t request_bulk_bytes_max = 512u << 20;
  uint32_t request_bytes_max = 1u << 30;

  uint32_t backend_idle_connections = 1;
  int64_t backend_idle_timeout_s = 300;
  uint32_t own_connections_max = 10'000;        // Per worker and node.
  uint32_t own_connections_total_max = 50'000;  // Per worker.
  uint32_t own_connections_opening_max = 256;   // Per worker and node.
  uint32_t databases_max = 16;
  uint32_t transaction_commands_max = 1 << 20;
  uint32_t subscriptions_per_client_max = 100'000;
  uint64_t subscriber_output_soft_bytes = 8 << 20;
  int64_t subscriber_output_soft_s = 60;
  uint64_t subscriber_output_hard_bytes = 32 << 20;
  int64_t subscription_ping_ms = 1000;
  bool retry_idempotent_writes = false;
  bool retry_blocking_pops = false;
  int64_t shed_queue_delay_ms = 0;         // 0: nothing is refused because others wait.
  int64_t upstream_ping_ms = 10'000;       // 0: idle connections are not asked.
  int64_t upstream_silence_ms = 0;         // 0: only the request's own timeout counts.
  uint64_t tracking_keys_max = 1'000'000;  // Per worker, counted once for each client.
  uint32_t tracking_prefixes_max = 1000;   // Of one client.
  bool spread_publishes = false;
  uint64_t monitor_lines_per_s = 10'000;  // Per worker.
  ReadPreference read_prefer = ReadPreference::kPrimary;
  // Of clients that come through replica_listen.
  ReadPreference replica_read_prefer = ReadPreference::kPreferReplica;
  Zones zones;
  uint32_t zone_spill_requests = 512;
  int64_t read_your_writes_ms = 0;          // 0: reads of a client may miss its last writes,
  bool read_your_writes_by_offset = false;  // unless replicas are asked what they have.
  uint64_t replica_lag_bytes_max = 0;       // 0: any.
  int64_t hedge_reads_after_ms = 0;         // 0: no read is hedged.
  uint32_t hedge_reads_budget = 5;  // Percent of the reads that --read_prefer chose a copy for.
  CrossSlot cross_slot = CrossSlot::kSplit;
  Transactions transactions = Transactions::kSlot;
  Face face = Face::kStandalone;
  // Every instance, with Face::kCluster; none: where the client has connected to.
  std::vector<cluster::NodeAddress> announce;
  uint64_t function_bytes_max = 16 << 20;  // Given to a new primary; 0: none.
  uint64_t script_cache_bytes = 4 << 20;   // Per worker.
  uint64_t compute_bytes_max = 64 << 20;

  std::string requirepass;
  std::string upstream_username;
  std::string upstream_password;

  uint64_t log_every_n = 0;  // 0: no access sample.
  std::string debug_addr;
  std::string flagfile;              // For INFO only.
  int64_t batch_wait_us = 200;       // 0: never gather completions.
  uint64_t zero_copy_min_bytes = 0;  // 0: never.

  // What may wait for one node: a quarter of the memory at most, so that it is not all that there
  // is for clients of the others.
  uint64_t UpstreamQueueBytes() const {
    return std::min(upstream_queue_bytes_max, memory_limit_bytes / 4);
  }
  const cluster::NodeAddress& WhereToReach(const cluster::NodeAddress& announced) const;
};

std::string_view NameOf(ReadPreference preference);

// What holds for a client that wants replicas to be read where `preference` is for all: that, or,
// where it is the primary and the client has said READONLY, replicas first.
constexpr ReadPreference PreferenceOfReaders(ReadPreference preference) {
  return preference == ReadPreference::kPrimary ? ReadPreference::kPreferReplica : preference;
}

}  // namespace rcproxy::proxy
