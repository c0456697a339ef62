#include "proxy/config.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cluster/topology_parser.h"
#include "proxy/config_parser.h"

namespace rcproxy::proxy {

namespace {

absl::Status AtLeast(int64_t value, int64_t minimum, const std::string& flag) {
  if (value >= minimum) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " must be at least ", minimum, ", not ", value));
}

// Ten years: more than anybody means, and little enough to be counted in nanoseconds.
constexpr int64_t kSecondsMax = 10 * 365 * 86400LL;
// More than machines have processors. Each takes memory and connections to all nodes.
constexpr int kWorkersMax = 1024;
// The worker looks at its nodes ten times a second.
constexpr int64_t kHealthTimeMinMs = 100;

absl::Status AtMostTenYears(int64_t value, int64_t unit_per_s, const std::string& flag) {
  if (value <= kSecondsMax * unit_per_s) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is too long: at most ten years"));
}

absl::Status AtMost(int64_t value, int64_t maximum, const std::string& flag) {
  if (value <= maximum) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " must be at most ", maximum, ", not ", value));
}

std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> parts = absl::StrSplit(std::string(list), ',', absl::SkipWhitespace());
  for (std::string& part : parts) absl::StripAsciiWhitespace(&part);
  return parts;
}

absl::StatusOr<std::vector<cluster::NodeAddress>> ParseNodeAddresses(const char* flag,
                                                                     std::string_view list) {
  std::vector<cluster::NodeAddress> nodes;
  for (const std::string& text : SplitList(list)) {
    absl::StatusOr<cluster::NodeAddress> node = cluster::ParseNodeAddress(text);
    if (!node.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", node.status().message()));
    }
    nodes.push_back(*std::move(node));
  }
  return nodes;
}

}  // namespace

std::string ListenAddress::ToString() const {
  if (!unix_path.empty()) return unix_path;
  if (host.find(':') != host.npos) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host.empty() ? "*" : host, ":", port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  ListenAddress address;
  if (text.starts_with("unix:")) text.remove_prefix(5);
  if (text.starts_with("/")) {
    address.unix_path = std::string(text);
    return address;
  }
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == text.npos || !absl::SimpleAtoi(std::string(text.substr(colon + 1)), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", std::string(text), "\" is neither HOST:PORT nor the path of a Unix socket"));
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  address.host = std::string(host);
  address.port = static_cast<uint16_t>(port);
  return address;
}

absl::StatusOr<std::vector<ListenAddress>> ParseListenAddresses(std::string_view flag,
                                                                std::string_view list) {
  std::vector<ListenAddress> addresses;
  for (const std::string& text : SplitList(list)) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    if (!address.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", std::string(flag), ": ", address.status().message()));
    }
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

absl::StatusOr<std::vector<cluster::NodeAddress>> ParseStartupNodes(std::string_view list) {
  absl::StatusOr<std::vector<cluster::NodeAddress>> nodes =
      ParseNodeAddresses("startup_nodes", list);
  if (nodes.ok() && nodes->empty()) {
    return absl::InvalidArgumentError(
        "--startup_nodes is empty: name at least one node of the cluster, HOST:PORT");
  }
  return nodes;
}

absl::StatusOr<std::vector<cluster::NodeAddress>> ParseAnnounce(std::string_view list) {
  return ParseNodeAddresses("announce", list);
}

absl::StatusOr<std::map<std::string, cluster::NodeAddress>> ParseNodeAddressMap(
    std::string_view list) {
  std::map<std::string, cluster::NodeAddress> addresses;
  for (const std::string& pair : SplitList(list)) {
    const size_t equals = pair.find('=');
    if (equals == pair.npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--node_addresses: \"", pair, "\" is not ANNOUNCED_HOST:PORT=REACHED_HOST:PORT"));
    }
    absl::StatusOr<cluster::NodeAddress> announced =
        cluster::ParseNodeAddress(std::string_view(pair).substr(0, equals));
    absl::StatusOr<cluster::NodeAddress> reached =
        cluster::ParseNodeAddress(std::string_view(pair).substr(equals + 1));
    for (const auto* address : {&announced, &reached}) {
      if (address->ok()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--node_addresses: ", address->status().message()));
    }
    if (!addresses.emplace(announced->ToString(), *std::move(reached)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--node_addresses names ", announced->ToString(), " twice"));
    }
  }
  return addresses;
}

const cluster::NodeAddress& Config::WhereToReach(const cluster::NodeAddress& announced) const {
  if (node_addresses.empty()) return announced;
  const auto found = node_addresses.find(announced.ToString());
  return found == node_addresses.end() ? announced : found->second;
}

absl::StatusOr<Face> ParseFace(std::string_view text) {
  if (text == "standalone") return Face::kStandalone;
  if (text == "cluster") return Face::kCluster;
  return absl::InvalidArgumentError(
      absl::StrCat("--face: \"", std::string(text), "\" is not standalone or cluster"));
}

namespace {

// The first name of each is what CONFIG GET shows; the others, and the numbers, are habit.
constexpr struct {
  std::string_view name;
  ReadPreference preference;
} kReadPreferences[] = {
    {"primary", ReadPreference::kPrimary}, {"prefer_primary", ReadPreference::kPreferPrimary},
    {"replica", ReadPreference::kReplica}, {"prefer_replica", ReadPreference::kPreferReplica},
    {"any", ReadPreference::kAny},         {"nearest", ReadPreference::kNearest},
    {"0", ReadPreference::kPrimary},       {"master", ReadPreference::kPrimary},
    {"1", ReadPreference::kPreferReplica}, {"slave", ReadPreference::kPreferReplica},
    {"2", ReadPreference::kPreferReplica}, {"replica_same_zone", ReadPreference::kPreferReplica},
};

}  // namespace

absl::StatusOr<ReadPreference> ParseReadPreference(std::string_view text, std::string_view flag) {
  const auto* found =
      std::ranges::find(kReadPreferences, text, [](auto& known) { return known.name; });
  if (found != std::end(kReadPreferences)) return found->preference;
  return absl::InvalidArgumentError(
      absl::StrCat("--", std::string(flag), ": \"", std::string(text),
                   "\" is not primary, prefer_primary, replica, prefer_replica, any or nearest"));
}

std::string_view NameOf(ReadPreference preference) {
  return std::ranges::find(kReadPreferences, preference,
                           [](auto& known) { return known.preference; })
      ->name;
}

absl::StatusOr<CrossSlot> ParseCrossSlot(std::string_view text) {
  if (text == "strict") return CrossSlot::kStrict;
  if (text == "split") return CrossSlot::kSplit;
  if (text == "compute") return CrossSlot::kCompute;
  return absl::InvalidArgumentError(
      absl::StrCat("--cross_slot: \"", std::string(text), "\" is not strict, split or compute"));
}

absl::StatusOr<Transactions> ParseTransactions(std::string_view text) {
  if (text == "slot") return Transactions::kSlot;
  if (text == "split") return Transactions::kSplit;
  return absl::InvalidArgumentError(
      absl::StrCat("--transactions: \"", std::string(text), "\" is not slot or split"));
}

namespace {

absl::Status ValidateLongestTimes(const Config& config) {
  const struct {
    int64_t value;
    int64_t unit_per_s;
    const char* flag;
  } times[] = {
      {config.connect_timeout_ms, 1000, "connect_timeout"},
      {config.request_timeout_ms, 1000, "request_timeout"},
      {config.slots_reload_interval_ms, 1000, "slots_reload_interval"},
      {config.refresh_timeout_ms, 1000, "refresh_timeout"},
      {config.refresh_min_interval_ms, 1000, "refresh_min_interval"},
      {config.learn_commands_interval_ms, 1000, "learn_commands_interval"},
      {config.retry_delay_ms, 1000, "retry_delay"},
      {config.hold_timeout_ms, 1000, "hold_timeout"},
      {config.reconnect_delay_min_ms, 1000, "reconnect_delay_min"},
      {config.reconnect_delay_max_ms, 1000, "reconnect_delay_max"},
      {config.client_stall_timeout_ms, 1000, "client_stall_timeout"},
      {config.subscription_ping_ms, 1000, "subscription_ping_interval"},
      {config.shed_queue_delay_ms, 1000, "shed_queue_delay"},
      {config.upstream_ping_ms, 1000, "upstream_ping_interval"},
      {config.upstream_silence_ms, 1000, "upstream_silence_timeout"},
      {config.subscriber_output_soft_s, 1, "subscriber_output_soft_s"},
      {config.read_your_writes_ms, 1000, "read_your_writes"},
      {config.client_idle_timeout_s, 1, "timeout"},
      {config.startup_timeout_s, 1, "startup_timeout_s"},
      {config.drain_timeout_s, 1, "drain_timeout_s"},
      {config.backend_idle_timeout_s, 1, "backend_idle_timeout_s"},
  };
  for (const auto& time : times) {
    absl::Status status = AtMostTenYears(time.value, time.unit_per_s, time.flag);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ValidateHealth(const Config& config) {
  const struct {
    int64_t ms;
    const char* flag;
  } times[] = {{config.upstream_ping_ms, "upstream_ping_interval"},
               {config.upstream_silence_ms, "upstream_silence_timeout"}};
  for (const auto& time : times) {
    if (time.ms == 0 || time.ms >= kHealthTimeMinMs) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", time.flag, " must be 0 or at least ", kHealthTimeMinMs, "ms"));
  }
  return absl::OkStatus();
}

// What would never come, as the request's own time is over before.
absl::Status ValidateWithinRequest(const Config& config) {
  const struct {
    int64_t ms;
    const char* flag;
  } times[] = {{config.upstream_silence_ms, "upstream_silence_timeout"},
               {config.hedge_reads_after_ms, "hedge_reads_after"}};
  for (const auto& time : times) {
    if (time.ms < config.request_timeout_ms) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--", time.flag, " must be smaller than --request_timeout, which ends the wait otherwise"));
  }
  return absl::OkStatus();
}

absl::Status ValidateUpperBounds(const Config& config) {
  const struct {
    int64_t value;
    int64_t maximum;
    const char* flag;
  } bounds[] = {
      {config.workers, kWorkersMax, "workers"},
      {config.redirects_max, 200, "redirects_max"},
      {config.databases_max, 1024, "databases_max"},
      {config.hedge_reads_budget, 100, "hedge_reads_budget"},
  };
  for (const auto& bound : bounds) {
    if (absl::Status status = AtMost(bound.value, bound.maximum, bound.flag); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// Port 0 is another one each time.
absl::Status ValidateListenAddresses(const Config& config) {
  std::set<std::string> addresses;
  for (const auto* listen : {&config.listen, &config.replica_listen}) {
    for (const ListenAddress& address : *listen) {
      const bool is_any_port = address.unix_path.empty() && address.port == 0;
      if (is_any_port || addresses.insert(address.ToString()).second) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--addr and --replica_addr name ", address.ToString(), " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const Config& config) {
  const struct {
    int64_t value;
    int64_t minimum;
    const char* flag;
  } bounds[] = {
      {config.workers, 1, "workers"},
      {config.connect_timeout_ms, 1, "connect_timeout"},
      {config.request_timeout_ms, 10, "request_timeout"},
      {config.client_idle_timeout_s, 0, "timeout"},
      {config.slots_reload_interval_ms, 100, "slots_reload_interval"},
      {config.refresh_timeout_ms, 10, "refresh_timeout"},
      {config.refresh_min_interval_ms, 1, "refresh_min_interval"},
      {config.topology_nodes_asked, 1, "topology_nodes_asked"},
      {config.learn_commands_interval_ms, 100, "learn_commands_interval"},
      {config.retry_delay_ms, 1, "retry_delay"},
      {config.hold_timeout_ms, 0, "hold_timeout"},
      {static_cast<int64_t>(config.upstream_queue_bytes_max), 4096, "upstream_queue_bytes_max"},
      {config.reconnect_delay_min_ms, 1, "reconnect_delay_min"},
      {config.reconnect_delay_max_ms, config.reconnect_delay_min_ms, "reconnect_delay_max"},
      {config.client_stall_timeout_ms, 1, "client_stall_timeout"},
      {config.subscription_ping_ms, 10, "subscription_ping_interval"},
      {config.shed_queue_delay_ms, 0, "shed_queue_delay"},
      {config.upstream_ping_ms, 0, "upstream_ping_interval"},
      {config.upstream_silence_ms, 0, "upstream_silence_timeout"},
      {config.zone_spill_requests, 1, "zone_spill_requests"},
      {config.read_your_writes_ms, 0, "read_your_writes"},
      {config.hedge_reads_after_ms, 0, "hedge_reads_after"},
      {config.hedge_reads_budget, 1, "hedge_reads_budget"},
      {config.subscriptions_per_client_max, 1, "subscriptions_per_client_max"},
      {static_cast<int64_t>(config.tracking_keys_max), 1, "tracking_keys_max"},
      {config.tracking_prefixes_max, 1, "tracking_prefixes_max"},
      {config.subscriber_output_soft_s, 0, "subscriber_output_soft_s"},
      {static_cast<int64_t>(config.subscriber_output_soft_bytes), 4096,
       "subscriber_output_soft_bytes"},
      {config.batch_wait_us, 0, "batch_wait_us"},
      {config.own_connections_opening_max, 1, "own_connections_opening_max"},
      {config.maxclients, 1, "maxclients"},
      {config.databases_max, 1, "databases_max"},
      {config.client_pipeline_max, 1, "client_pipeline_max"},
      {static_cast<int64_t>(config.client_output_soft_bytes), 4096, "client_output_soft_bytes"},
      {static_cast<int64_t>(config.memory_limit_bytes), 16 << 20, "memory_limit_bytes"},
      {config.request_args_max, 16, "request_args_max"},
      {config.request_bulk_bytes_max, 1 << 20, "request_bulk_bytes_max"},
      {config.request_bytes_max, 1 << 20, "request_bytes_max"},
      {config.drain_timeout_s, 0, "drain_timeout_s"},
      {config.startup_timeout_s, 0, "startup_timeout_s"},
      {config.backend_idle_timeout_s, 0, "backend_idle_timeout_s"},
  };
  for (const auto& bound : bounds) {
    if (absl::Status status = AtLeast(bound.value, bound.minimum, bound.flag); !status.ok()) {
      return status;
    }
  }
  if (absl::Status status = ValidateListenAddresses(config); !status.ok()) return status;
  if (absl::Status status = ValidateLongestTimes(config); !status.ok()) return status;
  if (absl::Status status = ValidateUpperBounds(config); !status.ok()) return status;
  if (config.client_output_hard_bytes < config.client_output_soft_bytes) {
    return absl::InvalidArgumentError(
        "--client_output_hard_bytes must not be smaller than --client_output_soft_bytes");
  }
  if (config.subscriber_output_hard_bytes < config.subscriber_output_soft_bytes) {
    return absl::InvalidArgumentError(
        "--subscriber_output_hard_bytes must not be smaller than --subscriber_output_soft_bytes");
  }
  if (absl::Status status = ValidateHealth(config); !status.ok()) return status;
  if (absl::Status status = ValidateWithinRequest(config); !status.ok()) return status;
  if (!config.announce.empty() && config.face != Face::kCluster) {
    return absl::InvalidArgumentError("--announce needs --face=cluster: nobody would be told");
  }
  if (config.announce.size() > cluster::kSlotCount) {
    return absl::InvalidArgumentError(absl::StrCat("--announce names ", config.announce.size(),
                                                   " addresses, but a cluster has ",
                                                   cluster::kSlotCount, " slots to share"));
  }
  if (!config.zones.rules.empty() && config.zones.own.empty()) {
    return absl::InvalidArgumentError("--zone_map needs --zone: the name of rcproxy's own");
  }
  return absl::OkStatus();
}

}  // namespace rcproxy::proxy
