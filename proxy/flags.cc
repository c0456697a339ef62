#include "proxy/flags.h"

#include <gflags/gflags.h>

#include <limits>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proxy/config_parser.h"
#include "proxy/nodes_file.h"
#include "proxy/zone_parser.h"

DEFINE_string(
    addr, "127.0.0.1:8088",
    "Where to listen: HOST:PORT or the path of a Unix socket; several separated by commas");
DEFINE_string(replica_addr, "",
              "As --addr, for clients whose reads replicas serve: as if they had said READONLY");
DEFINE_string(startup_nodes, "", "Nodes to read the cluster map from at start: HOST:PORT,...");
DEFINE_string(
    nodes_file, "",
    "Where to keep the addresses of the cluster's nodes: at the next start they are asked "
    "beside --startup_nodes; empty = nowhere");
DEFINE_string(node_addresses, "",
              "Where to reach nodes that announce addresses of another network (NAT): "
              "ANNOUNCED_HOST:PORT=REACHED_HOST:PORT,...");
DEFINE_int32(workers, 0, "Worker threads; 0 = one per processor");
DEFINE_string(connect_timeout, "1s", "Longest time to open a connection to a node");
DEFINE_string(
    request_timeout, "5s",
    "Longest time a request may wait for its answer, retries included; what blocks, and a "
    "reply that has begun to reach its client, may take longer");
DEFINE_string(slots_reload_interval, "60s",
              "How often the cluster map is read when nothing happens");
DEFINE_int64(timeout, 0, "Seconds after which an idle client is closed; 0 = never");
DEFINE_int64(
    startup_timeout_s, 0,
    "Exit with code 1 when no node describes the cluster within so many seconds of the start; "
    "0 = try for ever");
DEFINE_int64(drain_timeout_s, 10,
             "On SIGTERM, longest time clients have to finish what they asked");
DEFINE_uint32(maxclients, 10000,
              "Most clients at a time; more get the server's error and are closed");
DEFINE_uint32(client_pipeline_max, 1024,
              "Most requests of one client in flight; its input is not read beyond that");
DEFINE_uint64(client_output_soft_bytes, 1 << 20,
              "Bytes waiting for one client from which on its input is not read");
DEFINE_uint64(client_output_hard_bytes, 256 << 20,
              "Bytes waiting for one client from which on it is closed");
DEFINE_uint64(
    memory_limit_bytes, 1 << 30,
    "Bytes of buffers per worker from which on no client is read, and the one that holds most "
    "is closed");
DEFINE_uint32(request_args_max, 1 << 20, "Most arguments of one command");
DEFINE_uint32(request_bulk_bytes_max, 512u << 20, "Longest argument of a command");
DEFINE_uint32(request_bytes_max, 1u << 30, "Longest command");
DEFINE_uint32(redirects_max, 16,
              "Most redirects of one request before it is answered with an error");
DEFINE_string(
    read_prefer, "primary",
    "Who serves reads: primary (0), prefer_primary (a replica while it cannot be reached), "
    "replica, prefer_replica (1; the primary while none can be reached), any, or nearest. "
    "2 is prefer_replica, and wants to know the zone");
DEFINE_string(replica_read_prefer, "",
              "The same for the clients of --replica_addr; empty = as --read_prefer says, and "
              "prefer_replica where that is primary");
DEFINE_string(zone, "", "rcproxy's availability zone: nodes in it are preferred by --read_prefer");
DEFINE_string(zone_map, "",
              "Zones of nodes that do not announce theirs: BEGINNING_OF_ADDRESS=ZONE,...");
DEFINE_string(zone_prefix, "", "Beginning of the addresses of the nodes in rcproxy's zone");
DEFINE_uint32(zone_spill_requests, 512,
              "Requests in flight at a node in the zone from which on others are asked, too");
DEFINE_string(read_your_writes, "0",
              "For how long after a write of a client its own reads go to the primary; offset = "
              "until a replica is known to have applied it");
DEFINE_uint64(
    replica_lag_bytes_max, 0,
    "Replicas that the last cluster map shows to be further behind their primary serve no reads "
    "(see --slots_reload_interval); 0 = any may");
DEFINE_string(
    hedge_reads_after, "0",
    "A read that --read_prefer allows other copies of its shard for, and that has not been "
    "answered for so long, is sent to one of them, too; the first good reply counts. "
    "0 = none is");
DEFINE_uint32(
    hedge_reads_budget, 5,
    "Most reads that are sent twice so, in percent of those that --read_prefer chose a copy "
    "for; ten at a time may be beyond that");
DEFINE_string(
    cross_slot, "split",
    "Commands whose keys lie in several slots: strict answers CROSSSLOT, split splits those whose "
    "parts add up (MGET, DEL), compute also computes SINTER, ZUNION, PFCOUNT and their like");
DEFINE_string(face, "standalone",
              "As what rcproxy shows itself to clients: standalone, one server, or cluster, a "
              "cluster of its instances, for clients that speak to clusters only");
DEFINE_string(announce, "",
              "With --face=cluster: HOST:PORT of every instance, separated by commas, this one "
              "first when clients reach it through another address; empty = this instance alone, "
              "at the address that a client has connected to");
DEFINE_uint64(
    function_bytes_max, 16 << 20,
    "Most bytes of functions that a primary that joins without any is given; 0 = none are");
DEFINE_uint64(
    script_cache_bytes, 4 << 20,
    "Bytes of scripts that a worker remembers, to give them to nodes that lost them; 0 = none");
DEFINE_uint64(compute_bytes_max, 64 << 20,
              "Most bytes that one computed command may fetch from the nodes, see --cross_slot");
DEFINE_uint32(backend_idle_connections, 1,
              "Connections kept open per node and worker while unused; 0 closes them after "
              "--backend_idle_timeout_s");
DEFINE_int64(backend_idle_timeout_s, 300, "See --backend_idle_connections");
DEFINE_uint32(
    own_connections_max, 10'000,
    "Most connections per node and worker that belong to one client each, which may block");
DEFINE_uint32(own_connections_total_max, 50'000, "The same for all nodes together, per worker");
DEFINE_uint32(
    own_connections_opening_max, 256,
    "Most of them that are being opened at a time, per node and worker: when a node comes back its "
    "clients return in portions");
DEFINE_uint32(databases_max, 16,
              "Databases that clients may select where the nodes have several: each that is in use "
              "takes connections of its own to every node; 1 = only database 0");
DEFINE_uint32(transaction_commands_max, 1 << 20, "Most commands that one transaction may queue");
DEFINE_string(
    transactions, "slot",
    "Transactions with keys in several slots: slot answers CROSSSLOT, split executes what they "
    "have for each slot as a transaction of its own: each is atomic, they are not together");
DEFINE_uint32(subscriptions_per_client_max, 100'000,
              "Most channels, patterns and shard channels that one client may be subscribed to");
DEFINE_uint64(subscriber_output_soft_bytes, 8 << 20,
              "A subscriber for which so much waits for --subscriber_output_soft_s is closed");
DEFINE_int64(subscriber_output_soft_s, 60, "See --subscriber_output_soft_bytes");
DEFINE_uint64(subscriber_output_hard_bytes, 32 << 20,
              "A subscriber for which more waits is closed");
DEFINE_string(subscription_ping_interval, "1s",
              "How often a node that messages come from is asked whether it is there");
DEFINE_uint64(tracking_keys_max, 1'000'000,
              "Most keys that a worker remembers to have been read by clients that track them, "
              "counted once for each client");
DEFINE_uint32(tracking_prefixes_max, 1000,
              "Most prefixes that one client may track (CLIENT TRACKING ... BCAST PREFIX)");
DEFINE_uint64(monitor_lines_per_s, 10'000,
              "Most commands per second and worker that clients who MONITOR are shown");
DEFINE_bool(
    spread_publishes, false,
    "PUBLISH goes to the primary of the channel's hash slot, instead of one primary for all "
    "channels: less for one node to do, but messages to different channels may change "
    "places");
DEFINE_string(
    upstream_ping_interval, "10s",
    "A connection to a node that clients share and nobody has used for so long gets a PING, so "
    "that a node that has gone is known before the next request; 0 = none does");
DEFINE_string(
    upstream_silence_timeout, "0",
    "A node that owes replies and has sent nothing on any connection for so long is taken as "
    "silent: all its connections are closed. Longer than the slowest script; 0 = each connection "
    "is closed after --request_timeout");
DEFINE_string(refresh_timeout, "1s", "Longest time one node may take to describe the cluster");
DEFINE_uint32(
    topology_nodes_asked, 5,
    "How many nodes are asked at a time what the cluster looks like; half of them decide");
DEFINE_string(refresh_min_interval, "100ms", "Shortest time between two reads of the cluster map");
DEFINE_bool(
    learn_commands, true,
    "Ask the nodes which commands they have (COMMAND), to route those of modules and of newer "
    "servers as the nodes describe them, and to list in COMMAND what there is");
DEFINE_string(learn_commands_interval, "10s",
              "Shortest time between two readings of the nodes' commands, see --learn_commands");
DEFINE_string(retry_delay, "20ms",
              "Pause before a request is offered again after TRYAGAIN, CLUSTERDOWN, or a lost "
              "connection; a new cluster map ends it");
DEFINE_bool(
    retry_idempotent_writes, false,
    "Send SET, MSET, SETEX and their like again when the node closed the connection before it "
    "answered; another client's write in between may then be undone. See docs/COMMANDS.md, Retry");
DEFINE_bool(
    retry_blocking_pops, false,
    "Ask BLPOP, BRPOP, BLMPOP, BZPOPMIN, BZPOPMAX and BZMPOP again when the node they waited at is "
    "lost, rather than answer that it is not known whether they were executed; an element that the "
    "node had taken for them in its last moment is then lost without an error");
DEFINE_string(
    shed_queue_delay, "0",
    "When every request for a node has waited longer than this for ten times as long, new ones "
    "get an error while the oldest in flight has waited so long; 0 = all are sent");
DEFINE_string(
    hold_timeout, "0",
    "Longest time a request waits for a primary of its shard; 0 = --request_timeout, which "
    "is the longest in any case");
DEFINE_uint32(hold_requests_max, 16'384,
              "Most requests per worker that wait for one shard without a primary; 0 = none waits");
DEFINE_uint64(hold_bytes_max, 64 << 20,
              "Most bytes of requests that wait so, see "
              "--hold_requests_max");
DEFINE_uint64(upstream_queue_bytes_max, 64 << 20,
              "Most bytes that wait for one connection to a node to take them, 128 more for each "
              "request that is not answered, per worker; beyond, a client that has requests under "
              "way waits for their replies first. At most a quarter of --memory_limit_bytes");
DEFINE_string(reconnect_delay_min, "20ms",
              "First pause after a node could not be reached; doubles");
DEFINE_string(reconnect_delay_max, "75ms",
              "Longest pause after a node could not be reached: how soon its return is noticed");
DEFINE_string(client_stall_timeout, "1s",
              "Longest time a node's connection waits for a client that a long reply streams to");
DEFINE_uint64(stream_reply_bytes_min, 64 << 10,
              "A reply of which so much has arrived is passed on while the rest arrives");
DEFINE_uint64(
    stream_command_bytes_min, 1 << 20,
    "A write with one key and an argument of so many bytes is passed on to its node while "
    "it arrives; 0 = all are gathered first");
DEFINE_string(requirepass, "", "Password that clients must give with AUTH; empty = none");
DEFINE_string(upstream_username, "", "User for AUTH at the nodes; empty = the default user");
DEFINE_string(upstream_password, "", "Password for AUTH at the nodes; empty = no AUTH");
DEFINE_uint64(log_every_n, 0, "Log one of so many commands: client, name, size; 0 = none");
DEFINE_string(debug_addr, "", "HOST:PORT of the metrics page (Prometheus); empty = none");
DEFINE_int64(
    batch_wait_us, 200,
    "Longest time in microseconds to gather completions while many clients keep the worker busy, "
    "so that more requests share a send; 0 = never");
DEFINE_uint64(
    zero_copy_min_bytes, 0,
    "Try to send pieces of at least so many bytes without a copy; stops by itself when the "
    "kernel copies them after all; 0 = never");

DECLARE_string(flagfile);

namespace rcproxy::proxy {

namespace {

// "1s", "250ms", or a plain number of milliseconds.
absl::Status ParseMilliseconds(const char* flag, const std::string& text, int64_t* result) {
  absl::Duration duration;
  if (absl::SimpleAtoi(text, result)) return absl::OkStatus();
  if (absl::ParseDuration(text, &duration)) {
    *result = absl::ToInt64Milliseconds(duration);
    if (absl::Milliseconds(*result) == duration) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": \"", text, "\" is not a whole number of milliseconds"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": \"", text, "\" is not a time such as 250ms or 5s"));
}

absl::Status ReadZones(Config* config) {
  auto rules = ParseZoneMap(FLAGS_zone_map);
  if (!rules.ok()) return rules.status();
  config->zones = {.own = FLAGS_zone, .own_prefix = FLAGS_zone_prefix, .rules = *std::move(rules)};
  const std::pair<const char*, std::string> preferences[] = {
      {"--read_prefer=", FLAGS_read_prefer}, {"--replica_read_prefer=", FLAGS_replica_read_prefer}};
  for (const auto& [flag, preference] : preferences) {
    const bool wants_zone = preference == "2" || preference == "replica_same_zone";
    if (!wants_zone || !FLAGS_zone.empty() || !FLAGS_zone_prefix.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(flag, preference,
                     " needs --zone, or --zone_prefix: the beginning of the addresses of the nodes "
                     "in this zone, for example 10.1."));
  }
  config->zone_spill_requests = FLAGS_zone_spill_requests;
  return absl::OkStatus();
}

absl::Status ReadAddresses(Config* config) {
  auto listen = ParseListenAddresses("addr", FLAGS_addr);
  if (!listen.ok()) return listen.status();
  config->listen = *std::move(listen);
  if (config->listen.empty()) return absl::InvalidArgumentError("--addr is empty");
  auto replica_listen = ParseListenAddresses("replica_addr", FLAGS_replica_addr);
  if (!replica_listen.ok()) return replica_listen.status();
  config->replica_listen = *std::move(replica_listen);
  auto nodes = ParseStartupNodes(FLAGS_startup_nodes);
  if (!nodes.ok()) return nodes.status();
  config->startup_nodes = *std::move(nodes);
  auto node_addresses = ParseNodeAddressMap(FLAGS_node_addresses);
  if (!node_addresses.ok()) return node_addresses.status();
  config->node_addresses = *std::move(node_addresses);
  config->nodes_file = FLAGS_nodes_file;
  config->remembered_nodes = ReadNodesFile(FLAGS_nodes_file);
  return absl::OkStatus();
}

absl::Status ReadYourWrites(Config* config) {
  config->read_your_writes_by_offset = FLAGS_read_your_writes == "offset";
  if (config->read_your_writes_by_offset) return absl::OkStatus();
  const absl::Status status =
      ParseMilliseconds("read_your_writes", FLAGS_read_your_writes, &config->read_your_writes_ms);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrCat("--read_your_writes: \"", FLAGS_read_your_writes,
                   "\" is neither offset nor a time such as 250ms or 5s"));
}

absl::Status ReadReplicas(Config* config) {
  auto preference = ParseReadPreference(FLAGS_read_prefer);
  if (!preference.ok()) return preference.status();
  config->read_prefer = *preference;
  config->replica_read_prefer = PreferenceOfReaders(*preference);
  if (!FLAGS_replica_read_prefer.empty()) {
    auto of_readers = ParseReadPreference(FLAGS_replica_read_prefer, "replica_read_prefer");
    if (!of_readers.ok()) return of_readers.status();
    config->replica_read_prefer = *of_readers;
  }
  config->replica_lag_bytes_max = FLAGS_replica_lag_bytes_max;
  config->hedge_reads_budget = FLAGS_hedge_reads_budget;
  if (absl::Status status = ReadYourWrites(config); !status.ok()) return status;
  return ReadZones(config);
}

absl::Status ReadCrossSlot(Config* config) {
  auto cross_slot = ParseCrossSlot(FLAGS_cross_slot);
  if (!cross_slot.ok()) return cross_slot.status();
  config->cross_slot = *cross_slot;
  auto transactions = ParseTransactions(FLAGS_transactions);
  if (!transactions.ok()) return transactions.status();
  config->transactions = *transactions;
  return absl::OkStatus();
}

absl::Status ReadFace(Config* config) {
  auto face = ParseFace(FLAGS_face);
  if (!face.ok()) return face.status();
  config->face = *face;
  auto announce = ParseAnnounce(FLAGS_announce);
  if (!announce.ok()) return announce.status();
  config->announce = *std::move(announce);
  return absl::OkStatus();
}

absl::Status ReadTimes(Config* config) {
  const struct {
    const char* flag;
    const std::string& text;
    int64_t* result;
  } times[] = {
      {"connect_timeout", FLAGS_connect_timeout, &config->connect_timeout_ms},
      {"request_timeout", FLAGS_request_timeout, &config->request_timeout_ms},
      {"slots_reload_interval", FLAGS_slots_reload_interval, &config->slots_reload_interval_ms},
      {"refresh_timeout", FLAGS_refresh_timeout, &config->refresh_timeout_ms},
      {"refresh_min_interval", FLAGS_refresh_min_interval, &config->refresh_min_interval_ms},
      {"learn_commands_interval", FLAGS_learn_commands_interval,
       &config->learn_commands_interval_ms},
      {"retry_delay", FLAGS_retry_delay, &config->retry_delay_ms},
      {"hedge_reads_after", FLAGS_hedge_reads_after, &config->hedge_reads_after_ms},
      {"hold_timeout", FLAGS_hold_timeout, &config->hold_timeout_ms},
      {"reconnect_delay_min", FLAGS_reconnect_delay_min, &config->reconnect_delay_min_ms},
      {"reconnect_delay_max", FLAGS_reconnect_delay_max, &config->reconnect_delay_max_ms},
      {"client_stall_timeout", FLAGS_client_stall_timeout, &config->client_stall_timeout_ms},
      {"subscription_ping_interval", FLAGS_subscription_ping_interval,
       &config->subscription_ping_ms},
      {"shed_queue_delay", FLAGS_shed_queue_delay, &config->shed_queue_delay_ms},
      {"upstream_ping_interval", FLAGS_upstream_ping_interval, &config->upstream_ping_ms},
      {"upstream_silence_timeout", FLAGS_upstream_silence_timeout, &config->upstream_silence_ms},
  };
  for (const auto& time : times) {
    absl::Status status = ParseMilliseconds(time.flag, time.text, time.result);
    if (!status.ok()) return status;
  }
  config->client_idle_timeout_s = FLAGS_timeout;
  config->startup_timeout_s = FLAGS_startup_timeout_s;
  config->drain_timeout_s = FLAGS_drain_timeout_s;
  config->backend_idle_timeout_s = FLAGS_backend_idle_timeout_s;
  return absl::OkStatus();
}

void ReadLimits(Config* config) {
  config->maxclients = FLAGS_maxclients;
  config->client_pipeline_max = FLAGS_client_pipeline_max;
  config->client_output_soft_bytes = FLAGS_client_output_soft_bytes;
  config->client_output_hard_bytes = FLAGS_client_output_hard_bytes;
  config->memory_limit_bytes = FLAGS_memory_limit_bytes;
  config->request_args_max = FLAGS_request_args_max;
  config->request_bulk_bytes_max = FLAGS_request_bulk_bytes_max;
  config->request_bytes_max = FLAGS_request_bytes_max;
  config->redirects_max = FLAGS_redirects_max;
  config->hold_requests_max = FLAGS_hold_requests_max;
  config->hold_bytes_max = FLAGS_hold_bytes_max;
  config->upstream_queue_bytes_max = FLAGS_upstream_queue_bytes_max;
  config->topology_nodes_asked = FLAGS_topology_nodes_asked;
  config->script_cache_bytes = FLAGS_script_cache_bytes;
  config->function_bytes_max = FLAGS_function_bytes_max;
  config->compute_bytes_max = FLAGS_compute_bytes_max;
  config->stream_reply_bytes_min = FLAGS_stream_reply_bytes_min;
  config->stream_command_bytes_min = FLAGS_stream_command_bytes_min;
  config->backend_idle_connections = FLAGS_backend_idle_connections;
  config->own_connections_max = FLAGS_own_connections_max;
  config->own_connections_total_max = FLAGS_own_connections_total_max;
  config->own_connections_opening_max = FLAGS_own_connections_opening_max;
  config->databases_max = FLAGS_databases_max;
  config->transaction_commands_max = FLAGS_transaction_commands_max;
  config->spread_publishes = FLAGS_spread_publishes;
  config->monitor_lines_per_s = FLAGS_monitor_lines_per_s;
  config->subscriptions_per_client_max = FLAGS_subscriptions_per_client_max;
  config->tracking_keys_max = FLAGS_tracking_keys_max;
  config->tracking_prefixes_max = FLAGS_tracking_prefixes_max;
  config->subscriber_output_soft_bytes = FLAGS_subscriber_output_soft_bytes;
  config->subscriber_output_soft_s = FLAGS_subscriber_output_soft_s;
  config->subscriber_output_hard_bytes = FLAGS_subscriber_output_hard_bytes;
}

}  // namespace

absl::StatusOr<Config> ConfigFromFlags() {
  Config config;
  if (absl::Status status = ReadAddresses(&config); !status.ok()) return status;
  if (absl::Status status = ReadReplicas(&config); !status.ok()) return status;
  if (absl::Status status = ReadCrossSlot(&config); !status.ok()) return status;
  if (absl::Status status = ReadFace(&config); !status.ok()) return status;
  if (absl::Status status = ReadTimes(&config); !status.ok()) return status;
  ReadLimits(&config);
  const unsigned cores = std::thread::hardware_concurrency();
  config.workers = FLAGS_workers == 0 ? static_cast<int>(cores == 0 ? 1 : cores) : FLAGS_workers;
  config.learn_commands = FLAGS_learn_commands;
  config.retry_idempotent_writes = FLAGS_retry_idempotent_writes;
  config.retry_blocking_pops = FLAGS_retry_blocking_pops;
  config.requirepass = FLAGS_requirepass;
  config.upstream_username = FLAGS_upstream_username;
  config.upstream_password = FLAGS_upstream_password;
  config.log_every_n = FLAGS_log_every_n;
  config.debug_addr = FLAGS_debug_addr;
  config.zero_copy_min_bytes = FLAGS_zero_copy_min_bytes;
  config.batch_wait_us = FLAGS_batch_wait_us;
  config.flagfile = FLAGS_flagfile;
  if (absl::Status status = Validate(config); !status.ok()) return status;
  return config;
}

}  // namespace rcproxy::proxy
