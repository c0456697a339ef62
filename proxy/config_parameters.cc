#include "proxy/config_parameters.h"

#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "proxy/glob_pattern.h"
#include "proxy/operation.h"
#include "proxy/text.h"
#include "proxy/zone.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

// ---- log level

struct LogLevel {
  std::string_view name;
  int severity_min;  // What glog writes.
  int verbosity;     // Of VLOG.
};

constexpr LogLevel kLogLevels[] = {
    {"debug", 0, 2},
    {"verbose", 0, 1},
    {"notice", 0, 0},
    {"warning", 1, 0},
};
constexpr std::string_view kLogLevelNames = "debug, verbose, notice, warning";

// glog reads these from every thread without a lock, so they are written in one piece.
int Load(int& flag) { return std::atomic_ref<int>(flag).load(std::memory_order_relaxed); }
void Store(int& flag, int value) {
  std::atomic_ref<int>(flag).store(value, std::memory_order_relaxed);
}

const LogLevel* FindLogLevel(std::string_view name) {
  for (const LogLevel& level : kLogLevels) {
    if (EqualsIgnoreCase(level.name, name)) return &level;
  }
  return nullptr;
}

// The name nearest to what glog does now; flags may have set what has no name.
std::string LogLevelNow(const ServerFacts&) {
  if (Load(FLAGS_minloglevel) > 0) return "warning";
  const int verbosity = Load(FLAGS_v);
  return verbosity >= 2 ? "debug" : verbosity == 1 ? "verbose" : "notice";
}

void SetLogLevel(const LogLevel& level) {
  Store(FLAGS_v, level.verbosity);
  Store(FLAGS_minloglevel, level.severity_min);
}

// ---- values

template <auto kMember>
std::string Field(const ServerFacts& facts) {
  return Concat(facts.config->*kMember);
}

template <auto kMember>
std::string Milliseconds(const ServerFacts& facts) {
  return absl::FormatDuration(absl::Milliseconds(facts.config->*kMember));
}

std::string ReadYourWrites(const ServerFacts& facts) {
  if (facts.config->read_your_writes_by_offset) return "offset";
  return Milliseconds<&Config::read_your_writes_ms>(facts);
}

std::string Bind(const ServerFacts& facts) {
  std::string hosts;
  for (const ListenAddress& address : facts.config->listen) {
    if (address.unix_path.empty()) hosts += Concat(hosts.empty() ? "" : " ", address.host);
  }
  return hosts;
}

std::string UnixSocket(const ServerFacts& facts) {
  for (const ListenAddress& address : facts.config->listen) {
    if (!address.unix_path.empty()) return address.unix_path;
  }
  return "";
}

std::string Port(const ServerFacts& facts) { return Concat(facts.tcp_port); }

// Passwords are never shown, not even to those who know them.
template <std::string Config::*kField>
std::string Password(const ServerFacts& facts) {
  return (facts.config->*kField).empty() ? "" : "(hidden)";
}

template <bool Config::*kField>
std::string Boolean(const ServerFacts& facts) {
  return facts.config->*kField ? "true" : "false";
}

template <std::vector<ListenAddress> Config::*kField>
std::string ListenAddresses(const ServerFacts& facts) {
  std::string list;
  for (const ListenAddress& address : facts.config->*kField)
    list += Concat(list.empty() ? "" : ",", address.ToString());
  return list;
}

std::string NodeAddresses(const ServerFacts& facts) {
  std::string list;
  for (const auto& [announced, reached] : facts.config->node_addresses)
    list += Concat(list.empty() ? "" : ",", announced, "=", reached.ToString());
  return list;
}

template <auto kField>
std::string PreferenceName(const ServerFacts& facts) {
  return std::string(NameOf(facts.config->*kField));
}

std::string Zone(const ServerFacts& facts) { return facts.config->zones.own; }
std::string ZonePrefix(const ServerFacts& facts) { return facts.config->zones.own_prefix; }

std::string ZoneMap(const ServerFacts& facts) {
  std::string list;
  for (const ZoneRule& rule : facts.config->zones.rules)
    list += Concat(list.empty() ? "" : ",", rule.prefix, "=", rule.zone);
  return list;
}

std::string TransactionsName(const ServerFacts& facts) {
  return facts.config->transactions == Transactions::kSplit ? "split" : "slot";
}

std::string CrossSlotName(const ServerFacts& facts) {
  switch (facts.config->cross_slot) {
    case CrossSlot::kStrict:
      return "strict";
    case CrossSlot::kSplit:
      return "split";
    case CrossSlot::kCompute:
      return "compute";
  }
  return "";
}

std::string FaceName(const ServerFacts& facts) { return std::string(facts.ModeName()); }

std::string ClusterEnabled(const ServerFacts& facts) {
  return facts.config->face == Face::kCluster ? "yes" : "no";
}

template <std::vector<cluster::NodeAddress> Config::*kField>
std::string Addresses(const ServerFacts& facts) {
  std::string nodes;
  for (const cluster::NodeAddress& address : facts.config->*kField) {
    nodes += Concat(nodes.empty() ? "" : ",", address.ToString());
  }
  return nodes;
}

constexpr bool kOfNodes = true;

struct Parameter {
  std::string_view name;
  std::string (*value)(const ServerFacts& facts);  // nullptr: `fixed`.
  std::string_view fixed = {};
  bool is_of_nodes = false;  // What a primary says; `fixed` when none does.

  std::string Value(const ServerFacts& facts) const {
    return value == nullptr ? std::string(fixed) : value(facts);
  }
};

constexpr std::string_view kLogLevelParameter = "loglevel";

// First the server's parameters, then rcproxy's own flags; each sorted.
constexpr Parameter kParameters[] = {
    {"appendonly", nullptr, "no", kOfNodes},
    {"bind", Bind},
    {"client-query-buffer-limit", Field<&Config::request_bytes_max>},
    {"cluster-enabled", ClusterEnabled},
    {"databases", nullptr, "1"},
    {"io-threads", Field<&Config::workers>},
    {"latency-monitor-threshold", nullptr, "0"},
    {kLogLevelParameter, LogLevelNow},
    {"maxclients", Field<&Config::maxclients>},
    {"maxmemory", nullptr, "0", kOfNodes},
    {"maxmemory-policy", nullptr, "noeviction", kOfNodes},
    {"notify-keyspace-events", nullptr, "", kOfNodes},
    {"port", Port},
    {"proto-max-bulk-len", Field<&Config::request_bulk_bytes_max>},
    {"requirepass", Password<&Config::requirepass>},
    {"save", nullptr, "", kOfNodes},
    {"slowlog-log-slower-than", nullptr, "-1"},
    {"slowlog-max-len", nullptr, "0"},
    {"timeout", Field<&Config::client_idle_timeout_s>},
    {"unixsocket", UnixSocket},

    {"addr", ListenAddresses<&Config::listen>},
    {"announce", Addresses<&Config::announce>},
    {"backend_idle_connections", Field<&Config::backend_idle_connections>},
    {"backend_idle_timeout_s", Field<&Config::backend_idle_timeout_s>},
    {"batch_wait_us", Field<&Config::batch_wait_us>},
    {"client_output_hard_bytes", Field<&Config::client_output_hard_bytes>},
    {"client_output_soft_bytes", Field<&Config::client_output_soft_bytes>},
    {"client_pipeline_max", Field<&Config::client_pipeline_max>},
    {"client_stall_timeout", Milliseconds<&Config::client_stall_timeout_ms>},
    {"compute_bytes_max", Field<&Config::compute_bytes_max>},
    {"connect_timeout", Milliseconds<&Config::connect_timeout_ms>},
    {"cross_slot", CrossSlotName},
    {"databases_max", Field<&Config::databases_max>},
    {"debug_addr", Field<&Config::debug_addr>},
    {"drain_timeout_s", Field<&Config::drain_timeout_s>},
    {"face", FaceName},
    {"function_bytes_max", Field<&Config::function_bytes_max>},
    {"hedge_reads_after", Milliseconds<&Config::hedge_reads_after_ms>},
    {"hedge_reads_budget", Field<&Config::hedge_reads_budget>},
    {"hold_bytes_max", Field<&Config::hold_bytes_max>},
    {"hold_requests_max", Field<&Config::hold_requests_max>},
    {"hold_timeout", Milliseconds<&Config::hold_timeout_ms>},
    {"learn_commands", Boolean<&Config::learn_commands>},
    {"learn_commands_interval", Milliseconds<&Config::learn_commands_interval_ms>},
    {"log_every_n", Field<&Config::log_every_n>},
    {"memory_limit_bytes", Field<&Config::memory_limit_bytes>},
    {"monitor_lines_per_s", Field<&Config::monitor_lines_per_s>},
    {"node_addresses", NodeAddresses},
    {"nodes_file", Field<&Config::nodes_file>},
    {"own_connections_max", Field<&Config::own_connections_max>},
    {"own_connections_opening_max", Field<&Config::own_connections_opening_max>},
    {"own_connections_total_max", Field<&Config::own_connections_total_max>},
    {"read_prefer", PreferenceName<&Config::read_prefer>},
    {"read_your_writes", ReadYourWrites},
    {"reconnect_delay_max", Milliseconds<&Config::reconnect_delay_max_ms>},
    {"reconnect_delay_min", Milliseconds<&Config::reconnect_delay_min_ms>},
    {"redirects_max", Field<&Config::redirects_max>},
    {"refresh_min_interval", Milliseconds<&Config::refresh_min_interval_ms>},
    {"refresh_timeout", Milliseconds<&Config::refresh_timeout_ms>},
    {"replica_addr", ListenAddresses<&Config::replica_listen>},
    {"replica_lag_bytes_max", Field<&Config::replica_lag_bytes_max>},
    {"replica_read_prefer", PreferenceName<&Config::replica_read_prefer>},
    {"request_args_max", Field<&Config::request_args_max>},
    {"request_bulk_bytes_max", Field<&Config::request_bulk_bytes_max>},
    {"request_bytes_max", Field<&Config::request_bytes_max>},
    {"request_timeout", Milliseconds<&Config::request_timeout_ms>},
    {"retry_blocking_pops", Boolean<&Config::retry_blocking_pops>},
    {"retry_delay", Milliseconds<&Config::retry_delay_ms>},
    {"retry_idempotent_writes", Boolean<&Config::retry_idempotent_writes>},
    {"script_cache_bytes", Field<&Config::script_cache_bytes>},
    {"shed_queue_delay", Milliseconds<&Config::shed_queue_delay_ms>},
    {"slots_reload_interval", Milliseconds<&Config::slots_reload_interval_ms>},
    {"spread_publishes", Boolean<&Config::spread_publishes>},
    {"startup_nodes", Addresses<&Config::startup_nodes>},
    {"startup_timeout_s", Field<&Config::startup_timeout_s>},
    {"stream_command_bytes_min", Field<&Config::stream_command_bytes_min>},
    {"stream_reply_bytes_min", Field<&Config::stream_reply_bytes_min>},
    {"subscriber_output_hard_bytes", Field<&Config::subscriber_output_hard_bytes>},
    {"subscriber_output_soft_bytes", Field<&Config::subscriber_output_soft_bytes>},
    {"subscriber_output_soft_s", Field<&Config::subscriber_output_soft_s>},
    {"subscription_ping_interval", Milliseconds<&Config::subscription_ping_ms>},
    {"subscriptions_per_client_max", Field<&Config::subscriptions_per_client_max>},
    {"topology_nodes_asked", Field<&Config::topology_nodes_asked>},
    {"tracking_keys_max", Field<&Config::tracking_keys_max>},
    {"tracking_prefixes_max", Field<&Config::tracking_prefixes_max>},
    {"transaction_commands_max", Field<&Config::transaction_commands_max>},
    {"transactions", TransactionsName},
    {"upstream_password", Password<&Config::upstream_password>},
    {"upstream_ping_interval", Milliseconds<&Config::upstream_ping_ms>},
    {"upstream_queue_bytes_max", Field<&Config::upstream_queue_bytes_max>},
    {"upstream_silence_timeout", Milliseconds<&Config::upstream_silence_ms>},
    {"upstream_username", Field<&Config::upstream_username>},
    {"workers", Field<&Config::workers>},
    {"zero_copy_min_bytes", Field<&Config::zero_copy_min_bytes>},
    {"zone", Zone},
    {"zone_map", ZoneMap},
    {"zone_prefix", ZonePrefix},
    {"zone_spill_requests", Field<&Config::zone_spill_requests>},
};

const Parameter* FindParameter(std::string_view name) {
  for (const Parameter& parameter : kParameters) {
    if (EqualsIgnoreCase(parameter.name, name)) return &parameter;
  }
  return nullptr;
}

// What the client gets to read as the parameter's name; empty when it has not asked for it. A name
// that is no pattern comes back as the client wrote it.
std::string_view NameAsAsked(const resp::CommandView& command, std::string_view name) {
  for (size_t i = 2; i < command.size(); ++i) {
    if (!MatchesGlobIgnoringCase(command[i], name)) continue;
    return EqualsIgnoreCase(command[i], name) ? command[i] : name;
  }
  return {};
}

struct Pair {
  std::string name;  // As the client gets it.
  const Parameter* parameter;
  std::string value;
};
using Pairs = std::vector<Pair>;

std::string ReplyOf(const Pairs& pairs, resp::Protocol protocol) {
  std::string reply;
  resp::AppendMapHeader(&reply, protocol, pairs.size());
  for (const Pair& pair : pairs) {
    resp::AppendBulk(&reply, pair.name);
    resp::AppendBulk(&reply, pair.value);
  }
  return reply;
}

// Clients decide by these what they may do with the data (evicted or not, events of keys), so the
// values are those of a primary. One question for each: servers before 7.0 take one name.
class GetFromNodes final : public Operation {
 public:
  GetFromNodes(Pairs pairs, resp::Protocol protocol)
      : pairs_(std::move(pairs)), protocol_(protocol) {}

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (!answers.empty()) {
      TakeValues(answers);
      return round->Finish(ReplyOf(pairs_, protocol_));
    }
    for (const Pair& pair : pairs_) {
      if (pair.parameter->is_of_nodes)
        round->AskAnyPrimary(resp::CommandOf({"CONFIG", "GET", pair.parameter->name}), true);
    }
  }

 private:
  void TakeValues(std::span<const std::string_view> answers) {
    auto answer = answers.begin();
    for (Pair& pair : pairs_) {
      if (!pair.parameter->is_of_nodes || answer == answers.end()) continue;
      const absl::StatusOr<resp::Value> said = resp::ParseValue(*answer++);
      const resp::Value* value = said.ok() ? said->Find(pair.parameter->name) : nullptr;
      if (value != nullptr && value->IsString()) pair.value = value->text;
    }
  }

  Pairs pairs_;
  const resp::Protocol protocol_;
};

void Get(LocalCall& call) {
  Pairs pairs;
  for (const Parameter& parameter : kParameters) {
    const std::string_view name = NameAsAsked(call.command, parameter.name);
    if (!name.empty())
      pairs.push_back({std::string(name), &parameter, parameter.Value(call.facts)});
  }
  const auto is_of_nodes = [](const Pair& pair) { return pair.parameter->is_of_nodes; };
  if (std::ranges::none_of(pairs, is_of_nodes)) {
    call.reply = ReplyOf(pairs, call.protocol());
  } else {
    call.operation = std::make_unique<GetFromNodes>(std::move(pairs), call.protocol());
  }
}

// ---- CONFIG SET

void SetFailed(LocalCall& call, std::string_view name, std::string_view why) {
  call.Error(Concat("ERR CONFIG SET failed (possibly related to argument '", ForErrorText(name),
                    "') - ", why));
}

// Returns false after having answered with an error. As on the server, nothing is set unless all
// can be.
bool CheckNames(LocalCall& call) {
  bool has_log_level = false;
  for (size_t i = 2; i < call.command.size(); i += 2) {
    const std::string_view name = call.command[i];
    const Parameter* parameter = FindParameter(name);
    if (parameter == nullptr) {
      call.Error(Concat("ERR Unknown option or number of arguments for CONFIG SET - '",
                        ForErrorText(name), "'"));
      return false;
    }
    if (parameter->name != kLogLevelParameter) {
      SetFailed(call, name, "can't set immutable config");
      return false;
    }
    if (has_log_level) {
      SetFailed(call, name, "duplicate parameter");
      return false;
    }
    has_log_level = true;
  }
  return true;
}

void Set(LocalCall& call) {
  if (call.command.size() % 2 != 0) return call.Error("ERR syntax error");
  if (!CheckNames(call)) return;
  const LogLevel* level = FindLogLevel(call.command[3]);
  if (level == nullptr) {
    return SetFailed(call, call.command[2],
                     Concat("argument(s) must be one of the following: ", kLogLevelNames));
  }
  SetLogLevel(*level);
  call.Ok();
}

constexpr LocalHandlerRow kRows[] = {
    {"config|get", Get, /*waits=*/true},
    {"config|set", Set},
};

}  // namespace

std::span<const LocalHandlerRow> ConfigHandlers() { return kRows; }

}  // namespace rcproxy::proxy
