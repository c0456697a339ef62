#include "testing/sim_proxy.h"

#include <glog/logging.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "cluster/learnt_commands.h"
#include "cluster/topology.h"
#include "cluster/topology_parser.h"
#include "proxy/config.h"
#include "proxy/config_parser.h"
#include "proxy/local_commands.h"
#include "proxy/resolver.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kDrainNs = 5 * kSecond;

using Setter = std::function<bool(proxy::Config*, const std::string&)>;

template <class T>
Setter Number(T proxy::Config::*field) {
  return [field](proxy::Config* config, const std::string& text) {
    const std::optional<int64_t> number = ParseNumber(text);
    if (number.has_value()) config->*field = static_cast<T>(*number);
    return number.has_value();
  };
}

Setter Text(std::string proxy::Config::*field) {
  return [field](proxy::Config* config, const std::string& text) {
    config->*field = text;
    return true;
  };
}

bool SetReadPreference(proxy::Config* config, const std::string& text) {
  const auto preference = proxy::ParseReadPreference(text);
  if (preference.ok()) config->read_prefer = *preference;
  return preference.ok();
}

bool SetZonePrefix(proxy::Config* config, const std::string& text) {
  config->zones.own_prefix = text;
  return true;
}

const std::map<std::string_view, Setter>& Setters() {
  using proxy::Config;
  static const auto& setters = *new std::map<std::string_view, Setter>{
      {"connect_timeout_ms", Number(&Config::connect_timeout_ms)},
      {"request_timeout_ms", Number(&Config::request_timeout_ms)},
      {"client_idle_timeout_s", Number(&Config::client_idle_timeout_s)},
      {"slots_reload_interval_ms", Number(&Config::slots_reload_interval_ms)},
      {"refresh_min_interval_ms", Number(&Config::refresh_min_interval_ms)},
      {"refresh_timeout_ms", Number(&Config::refresh_timeout_ms)},
      {"topology_nodes_asked", Number(&Config::topology_nodes_asked)},
      {"hold_requests_max", Number(&Config::hold_requests_max)},
      {"hold_bytes_max", Number(&Config::hold_bytes_max)},
      {"upstream_queue_bytes_max", Number(&Config::upstream_queue_bytes_max)},
      {"hold_timeout_ms", Number(&Config::hold_timeout_ms)},
      {"learn_commands", Number(&Config::learn_commands)},
      {"learn_commands_interval_ms", Number(&Config::learn_commands_interval_ms)},
      {"retry_delay_ms", Number(&Config::retry_delay_ms)},
      {"reconnect_delay_min_ms", Number(&Config::reconnect_delay_min_ms)},
      {"reconnect_delay_max_ms", Number(&Config::reconnect_delay_max_ms)},
      {"client_stall_timeout_ms", Number(&Config::client_stall_timeout_ms)},
      {"redirects_max", Number(&Config::redirects_max)},
      {"client_pipeline_max", Number(&Config::client_pipeline_max)},
      {"client_output_soft_bytes", Number(&Config::client_output_soft_bytes)},
      {"client_output_hard_bytes", Number(&Config::client_output_hard_bytes)},
      {"memory_limit_bytes", Number(&Config::memory_limit_bytes)},
      {"stream_reply_bytes_min", Number(&Config::stream_reply_bytes_min)},
      {"request_args_max", Number(&Config::request_args_max)},
      {"request_bulk_bytes_max", Number(&Config::request_bulk_bytes_max)},
      {"request_bytes_max", Number(&Config::request_bytes_max)},
      {"backend_idle_connections", Number(&Config::backend_idle_connections)},
      {"backend_idle_timeout_s", Number(&Config::backend_idle_timeout_s)},
      {"read_prefer", SetReadPreference},
      {"zone_prefix", SetZonePrefix},
      {"read_your_writes_ms", Number(&Config::read_your_writes_ms)},
      {"read_your_writes_by_offset", Number(&Config::read_your_writes_by_offset)},
      {"replica_lag_bytes_max", Number(&Config::replica_lag_bytes_max)},
      {"hedge_reads_after_ms", Number(&Config::hedge_reads_after_ms)},
      {"hedge_reads_budget", Number(&Config::hedge_reads_budget)},
      {"retry_idempotent_writes", Number(&Config::retry_idempotent_writes)},
      {"shed_queue_delay_ms", Number(&Config::shed_queue_delay_ms)},
      {"upstream_silence_ms", Number(&Config::upstream_silence_ms)},
      {"stream_command_bytes_min", Number(&Config::stream_command_bytes_min)},
      {"requirepass", Text(&Config::requirepass)},
      {"upstream_username", Text(&Config::upstream_username)},
      {"upstream_password", Text(&Config::upstream_password)},
  };
  return setters;
}

std::optional<proxy::Config> ParseConfig(const SubjectOptions& options) {
  proxy::Config config;
  config.learn_commands = false;  // Conversations would begin with COMMAND.
  for (const std::string& text : options.startup_nodes) {
    absl::StatusOr<cluster::NodeAddress> address = cluster::ParseNodeAddress(text);
    if (!address.ok()) return std::nullopt;
    config.startup_nodes.push_back(*std::move(address));
  }
  for (const auto& [name, value] : options.settings) {
    const auto setter = Setters().find(name);
    if (setter == Setters().end() || !setter->second(&config, value)) {
      LOG(ERROR) << "unknown setting or value: " << name << " " << value;
      return std::nullopt;
    }
  }
  return config;
}

class ProxyUnderTest final : public SystemUnderTest, private proxy::WorkerHost {
 public:
  ProxyUnderTest(SimIo& io, proxy::Config config, const SubjectOptions& options)
      : config_(std::move(config)),
        look_up_(options.look_up),
        io_(io),
        worker_(0, io, config_, facts_, stats_, *this) {
    facts_.config = &config_;
    facts_.workers = {&stats_};
    facts_.run_id = std::string(40, '0');
    worker_.Start();
  }

  void AcceptClient(int fd) override { worker_.AdoptClient({.fd = fd, .id = next_client_id_++}); }
  void Turn() override { worker_.RunTurn(); }
  bool IsReady() const override { return worker_.table().Primaries().size() > 0; }
  std::vector<OwnedSlots> Map() const override {
    std::vector<OwnedSlots> map;
    const proxy::UpstreamNode* owner = nullptr;
    for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
      const proxy::UpstreamNode* node = worker_.table().Find(slot).primary;
      if (slot == 0 || node != owner)
        map.push_back({slot, slot, node == nullptr ? "" : node->address().ToString()});
      map.back().last = slot;
      owner = node;
    }
    return map;
  }
  void CheckInvariants() const override { const_cast<proxy::Worker&>(worker_).CheckInvariants(); }
  void Stop() override { worker_.BeginDrain(io_.NowNs() + kDrainNs); }
  bool IsStopped() const override { return worker_.stopped(); }

  std::optional<uint64_t> Counter(std::string_view name) const override {
#define RCPROXY_FIND(counter, type, help) \
  if (name == #counter) return stats_.counter.value();
    RCPROXY_STATS(RCPROXY_FIND)
#undef RCPROXY_FIND
    return std::nullopt;
  }

  std::string Leaks() const override {
    const proxy::Resources& resources = const_cast<proxy::Worker&>(worker_).resources();
    std::string leaks;
    auto count = [&leaks](std::string_view what, size_t number) {
      if (number != 0) leaks += Concat(" ", what, ": ", number);
    };
    count("clients", worker_.client_count());
    count("requests", resources.requests.live());
    count("segments", resources.segments.live());
    count("batches", resources.batches.live());
    return leaks;
  }

 private:
  // As the server does it: by message, never nested in the call.
  void RequestRefresh() override {
    worker_.mailbox().Post([this] { worker_.RefreshTopology(); });
  }
  void RequestLearning() override {
    worker_.mailbox().Post([this] { worker_.RelearnCommands(); });
  }
  void PublishTopology(std::shared_ptr<const cluster::Topology> topology) override {
    worker_.mailbox().Post([this, topology] { worker_.AdoptTopology(*topology); });
  }
  void PublishCommands(std::shared_ptr<const cluster::LearntCommands> commands) override {
    worker_.mailbox().Post([this, commands] { worker_.AdoptCommands(commands); });
  }
  void OnClientGone(int) override {}
  void Resolve(const cluster::NodeAddress& address, uring::Mailbox& mailbox,
               proxy::Resolved done) override {
    mailbox.Post([this, address, done = std::move(done)] {
      proxy::SocketAddress resolved;
      const auto found = cluster::ParseNodeAddress(look_up_(address.host));
      if (found.ok()) proxy::ResolveLiteral(*found, &resolved);
      done(resolved);
    });
  }

  const proxy::Config config_;
  const std::function<std::string(const std::string&)> look_up_;
  SimIo& io_;
  proxy::Stats stats_;
  proxy::ServerFacts facts_;
  int64_t next_client_id_ = 1;
  proxy::Worker worker_;
};

}  // namespace

std::unique_ptr<SystemUnderTest> MakeProxy(SimIo& io, const SubjectOptions& options) {
  std::optional<proxy::Config> config = ParseConfig(options);
  if (!config.has_value()) return nullptr;
  return std::make_unique<ProxyUnderTest>(io, *std::move(config), options);
}

}  // namespace rcproxy::sim
