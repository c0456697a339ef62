#include "testing/simulator.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "cluster/hash_slot.h"
#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kReadyTimeoutNs = 30 * kSecond;
// The time limits that DrawOptions draws are far below it.
constexpr int64_t kReplyTimeoutNs = 60 * kSecond;
constexpr int64_t kHealNs = 5 * kSecond;
// Until the last change is told of: longer than a sign of life is waited for. That slots have moved
// is known by then, as all keys have been read.
constexpr int64_t kQuietNs = 10 * kSecond;
// Whoever acts on the warning of a fault does so shortly before or after it.
constexpr int64_t kHurryMaxNs = 3 * kMillisecond;
// Counters of the subject that tell what a sweep has exercised.
constexpr const char* kCounters[] = {
    "commands_split_by_key",
    "errors_outcome_unknown",
    "errors_overload",
    "errors_shed",
    "errors_unreachable",
    "fences",
    "hedges_won",
    "redirects_ask",
    "redirects_moved",
    "replicas_left_out",
    "retries_cluster_down",
    "retries_tryagain",
    "topology_changes",
    "topology_views_refused",
    "tracking_interrupted",
    "upstream_failures",
    "upstream_silences",
    "upstream_timeouts",
    "writes_repeated",
};

}  // namespace

Simulator::Simulator(uint64_t seed, int64_t duration_ns, SubjectFactory factory,
                     const SimulatorLimits& limits)
    : duration_ns_(duration_ns),
      limits_(limits),
      hedges_reads_(seed % 8 == 0),
      reads_own_writes_(seed % 20 == 1),
      world_(seed, std::move(factory)),
      random_(seed ^ 0x5eed),
      health_(world_) {}

Simulator::~Simulator() {
  if (world_.started()) world_.StopSubject();
}

SimulatorResult Simulator::Run() {
  DrawSetting();
  BuildCluster();
  SimulatorResult result;
  result.setting = setting_;
  using Phase = std::string (Simulator::*)();
  const Phase phases[] = {
      &Simulator::Chaos,    &Simulator::AwaitReplies, &Simulator::CheckDelays,  &Simulator::Probe,
      &Simulator::CheckMap, &Simulator::CheckCaches,  &Simulator::CheckCluster,
  };
  if (!world_.StartSubject()) {
    result.problem = "the settings were not understood";
  } else if (!world_.RunUntil([this] { return world_.subject().IsReady(); }, kReadyTimeoutNs)) {
    result.problem = "not ready in time";
  } else {
    MakeClients();
    for (Phase phase : phases) {
      if (result.problem.empty()) result.problem = (this->*phase)();
    }
  }
  CountHappenings(&result);
  if (result.problem.empty()) result.problem = End();
  return result;
}

void Simulator::CountHappenings(SimulatorResult* result) {
  if (chaos_ != nullptr) {
    result->history = chaos_->history();
    result->faults = chaos_->faults();
    result->happenings = chaos_->happenings();
  }
  result->happenings["stream broken"] = world_.network().broken_streams();
  for (const char* name : kCounters) {
    if (world_.started()) result->counters[name] = world_.subject().Counter(name).value_or(0);
  }
  for (const auto& client : clients_) {
    result->commands += client->commands();
    result->errors += client->errors();
    if (client->slowest_reply_ns() - request_timeout_ns_ <= result->reply_late_ns) continue;
    result->reply_late_ns = client->slowest_reply_ns() - request_timeout_ns_;
    result->latest_reply = client->slowest_command();
  }
  if (health_.all_served()) {
    result->healthy_after_ns = health_.slowest_ns();
    result->last_healthy = health_.slowest();
  }
  for (const auto& cache : caches_) result->commands += cache->commands();
}

void Simulator::DrawSetting() {
  client_count_ = static_cast<int>(random_.Between(1, 12));
  DrawPace();
  habits_.leave_one_in = random_.OneIn(2) ? 20 : 0;
  habits_.stop_reading_one_in = random_.OneIn(3) ? 10 : 0;
  strict_ = !random_.OneIn(4);
  habits_.tagged = !strict_ && random_.OneIn(2);
  plan_.refusing_nodes = !strict_;
  plan_.failovers = !random_.OneIn(3);
  plan_.migrations = !random_.OneIn(3);
  plan_.broken_nodes = !random_.OneIn(3);
  plan_.paused_nodes = plan_.partitions = plan_.broken_nodes;
  plan_.lying_nodes = !random_.OneIn(3);
  plan_.new_addresses = plan_.failovers && random_.OneIn(2);
  if (plan_.new_addresses) world_.subject_options().startup_nodes = {"cluster.test:7000"};
  setting_ = Concat("clients ", client_count_, ", pipeline ", habits_.pipeline_max, ", strict ",
                    strict_, ", failovers ", plan_.failovers, ", new addresses ",
                    plan_.new_addresses, ", migrations ", plan_.migrations, ", broken nodes ",
                    plan_.broken_nodes, ", liars ", plan_.lying_nodes, ", tagged ", habits_.tagged);
  DrawFaults();
  DrawOptions();
  if (hedges_reads_) DrawHedging();
  cache_count_ = static_cast<int>(random_.Between(0, SimulatorCache::kModes));
  if (reads_own_writes_) DrawOwnWrites();
  setting_ += Concat(", caches ", cache_count_);
}

// A run costs what its commands cost, however long it lasts: so clients pause the longer the more
// they are and the more they send at once.
void Simulator::DrawPace() {
  const int pipelines[] = {4, 20, 20, 200};
  habits_.pipeline_max = pipelines[random_.Below(std::size(pipelines))];
  hurries_one_in_ = habits_.pipeline_max > 20 ? 12 : 3;
  const int64_t commands_per_ms = random_.Between(1, 3);
  habits_.pause_max_ns = client_count_ * habits_.pipeline_max * kMillisecond / commands_per_ms;
}

// Each client reads its own writes (--read_your_writes=offset) from replicas that lag. That is a
// promise to one connection, for what the cluster does not lose; and of several requests on their
// way a replica may execute a read behind a younger write.
void Simulator::DrawOwnWrites() {
  habits_.pipeline_max = 1;
  habits_.pause_max_ns = client_count_ * kMillisecond;
  habits_.waits = true;
  habits_.leave_one_in = 0;
  strict_ = true;
  plan_ = {.failovers = false,
           .migrations = false,
           .broken_nodes = false,
           .partitions = false,
           .lying_nodes = false};
  link_resets_ = false;
  world_.network().default_link().reset_one_in = 0;
  cache_count_ = 0;
  world_.cluster().set_lost_reply_one_in(0);
  const int64_t lag_ns = random_.Between(1, 100) * kMillisecond;
  world_.cluster().set_replication_lag_ns(lag_ns);
  world_.subject_options().settings["read_your_writes_by_offset"] = "1";
  world_.subject_options().settings["read_prefer"] = "replica";
  setting_ += Concat(", but one command at a time and no faults of nodes: replicas lag ",
                     lag_ns / kMillisecond, " ms");
}

void Simulator::DrawFaults() {
  SimLink& link = world_.network().default_link();
  link.cut_one_in = random_.Below(4);
  link.short_send_one_in = random_.Below(4);
  link.stall_one_in = random_.OneIn(2) ? 100 : 0;
  link_resets_ = random_.OneIn(3);
  link.reset_one_in = link_resets_ ? 1000 : 0;
  if (random_.OneIn(4)) link.window_bytes = 4096;
  SimIoOptions& io = world_.io_options();
  if (random_.OneIn(3)) {
    io.receive_chunk_bytes = 512;
    io.receive_limit_bytes = 4096 * 1024;
  }
  io.open_failure_one_in = random_.OneIn(4) ? 10 : 0;
  if (plan_.broken_nodes && random_.OneIn(2)) world_.cluster().set_lost_reply_one_in(300);
  if (random_.OneIn(2)) world_.cluster().set_gossip_max_ns(200 * kMillisecond);
  setting_ +=
      Concat(", cut ", link.cut_one_in, ", short ", link.short_send_one_in, ", resets ",
             link.reset_one_in, ", window ", link.window_bytes, ", chunk ", io.receive_chunk_bytes);
}

int Simulator::Option(const std::string& name, const std::vector<int>& values) {
  const int value = values[random_.Below(values.size())];
  world_.subject_options().settings[name] = Concat(value);
  setting_ += Concat(", ", name, " ", value);
  return value;
}

void Simulator::DrawOptions() {
  request_timeout_ns_ = Option("request_timeout_ms", {200, 1000, 5000}) * kMillisecond;
  Option("connect_timeout_ms", {50, 1000});
  Option("retry_delay_ms", {1, 20});
  Option("refresh_min_interval_ms", {10, 100});
  believes_liars_ = Option("topology_nodes_asked", {1, 3, 5}) == 1 && plan_.lying_nodes;
  Option("hold_requests_max", {200, 10000});
  Option("hold_bytes_max", {4096, 64 << 20});
  Option("hold_timeout_ms", {0, 50, 1000});
  repeats_sets_ = Option("retry_idempotent_writes", {0, 1}) != 0;
  Option("shed_queue_delay_ms", {0, 0, 1, 20});
  Option("upstream_silence_ms", {0, 0, 50, 200});
  Option("client_pipeline_max", {2, 16, 1024});
  Option("client_output_soft_bytes", {4096, 1 << 20});
  Option("stream_reply_bytes_min", {1024, 64 << 10});
  Option("client_stall_timeout_ms", {100, 1000});
  Option("learn_commands", {0, 1});
  Option("learn_commands_interval_ms", {1, 100});
}

// Reads that a node keeps waiting are sent to another copy as well. Replicas do not know of keys
// that have left half moved slots; and where a client may miss its own writes the model has to be
// lenient: otherwise nodes are slow, but nothing is lost that could be asked of a replica instead.
void Simulator::DrawHedging() {
  plan_.migrations = false;
  world_.subject_options().settings["read_prefer"] = strict_ ? "prefer_primary" : "any";
  Option("hedge_reads_after_ms", {1, 2, 10});
  Option("hedge_reads_budget", {5, 100});
  if (!strict_) return;
  plan_.failovers = plan_.new_addresses = plan_.broken_nodes = plan_.partitions = false;
  world_.cluster().set_lost_reply_one_in(0);
  world_.io_options().open_failure_one_in = 0;
  world_.network().default_link().reset_one_in = 0;
  request_timeout_ns_ = Option("request_timeout_ms", {5000}) * kMillisecond;
  Option("upstream_silence_ms", {0});
}

void Simulator::BuildCluster() {
  FakeCluster& cluster = world_.cluster();
  const int shards = static_cast<int>(random_.Between(2, 4));
  const int replicas = static_cast<int>(random_.Between(reads_own_writes_ ? 1 : 0, 2));
  for (int shard = 0; shard < shards; ++shard) {
    FakeNode& primary = cluster.AddPrimary(Concat("P", shard));
    cluster.AssignSlots(cluster::kSlotCount * shard / shards,
                        cluster::kSlotCount * (shard + 1) / shards - 1, primary);
    for (int i = 0; i < replicas; ++i) cluster.AddReplica(Concat("R", shard, ".", i), primary);
  }
}

void Simulator::MakeClients() {
  const ModelRules rules = {.strict = strict_, .sets_may_repeat = repeats_sets_};
  std::vector<std::string> keys;
  for (int i = 0; i < client_count_; ++i) {
    clients_.push_back(std::make_unique<SimulatorClient>(i, habits_, rules, world_));
    for (std::string& key : clients_.back()->AllKeys()) keys.push_back(std::move(key));
  }
  for (int i = 0; i < cache_count_; ++i) {
    const auto mode = static_cast<SimulatorCache::Mode>(random_.Below(SimulatorCache::kModes));
    caches_.push_back(std::make_unique<SimulatorCache>(i, mode, keys, world_));
  }
  // Only what is used in the end, too: nobody hears that other slots have moved.
  if (cache_count_ > 0) {
    for (std::string& key : SimulatorCache::OwnKeys()) keys.push_back(std::move(key));
  }
  std::vector<uint16_t> slots;
  for (const std::string& key : keys) slots.push_back(cluster::HashSlot(key));
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  chaos_ = std::make_unique<SimulatorChaos>(plan_, std::move(slots), world_);
}

void Simulator::RunUntilNextAction(int64_t end_ns) {
  int64_t next_ns = std::min(end_ns, chaos_->next_ns());
  for (const auto& client : clients_) next_ns = std::min(next_ns, client->next_ns());
  for (const auto& cache : caches_) next_ns = std::min(next_ns, cache->next_ns());
  world_.RunFor(std::max<int64_t>(1, next_ns - world_.now_ns()));
}

std::string Simulator::Chaos() {
  const int64_t end_ns = world_.now_ns() + duration_ns_;
  while (world_.now_ns() < end_ns) {
    RunUntilNextAction(end_ns);
    if (chaos_->Step()) HurrySome();
    for (const auto& client : clients_) {
      std::string problem = client->Step();
      if (!problem.empty()) return problem;
    }
    for (const auto& cache : caches_) {
      std::string problem = cache->Step();
      if (!problem.empty()) return problem;
    }
  }
  chaos_->Heal();
  health_.Begin();
  world_.io().set_open_failure_one_in(0);
  for (const auto& client : clients_) client->CalmDown();
  for (const auto& cache : caches_) cache->CalmDown();
  return "";
}

void Simulator::HurrySome() {
  for (const auto& client : clients_) {
    if (random_.OneIn(hurries_one_in_)) client->Hurry(kHurryMaxNs);
  }
}

std::string Simulator::AwaitReplies() {
  std::string problem;
  auto all_answered = [&] {
    if (problem.empty()) problem = health_.Step();
    bool answered = health_.all_served();
    for (const auto& client : clients_) {
      if (problem.empty()) problem = client->CheckReplies();
      answered &= client->answered();
    }
    for (const auto& cache : caches_) {
      if (problem.empty()) problem = cache->TakeReplies();
      answered &= cache->answered();
    }
    return answered || !problem.empty();
  };
  if (!world_.RunUntil(all_answered, kReplyTimeoutNs)) return "a reply has not come";
  if (!problem.empty()) return problem;
  uint64_t closed = 0, allowed = 0;
  for (const auto& client : clients_) closed += client->closed_by_subject();
  for (const auto& cache : caches_) closed += cache->closed_by_subject();
  for (const char* name :
       {"clients_closed_output_limit", "clients_closed_memory", "clients_closed_partial_reply"}) {
    allowed += world_.subject().Counter(name).value_or(0);
  }
  if (closed > allowed && !link_resets_) return "a client was closed without a reason";
  return "";
}

std::string Simulator::CheckDelays() {
  if (limits_.healthy_within_ns > 0 && health_.slowest_ns() > limits_.healthy_within_ns)
    return Concat("not healthy soon enough: ", health_.slowest());
  for (const auto& client : clients_) {
    const int64_t late_ns = client->slowest_reply_ns() - request_timeout_ns_;
    if (limits_.reply_slack_ns > 0 && late_ns > limits_.reply_slack_ns) {
      return Concat("a reply came ", late_ns / kMillisecond,
                    " ms after the time limit: ", client->slowest_command());
    }
  }
  return "";
}

// Slots too that no client has used since: it must not have taken a redirect to learn of them.
std::string Simulator::CheckMap() {
  if (believes_liars_) return "";
  const ClusterView& truth = world_.cluster().truth();
  for (const OwnedSlots& slots : world_.subject().Map()) {
    const FakeMember* owner = nullptr;
    for (int slot = slots.first; slot <= slots.last; ++slot) {
      if (truth.OwnerOf(slot) == owner) continue;
      owner = truth.OwnerOf(slot);
      if (owner->Address() == slots.owner) continue;
      return Concat("the map has slot ", slot, " at ", slots.owner, ", it is at ",
                    owner->Address());
    }
  }
  return "";
}

std::string Simulator::Probe() {
  health_.Leave();
  world_.RunFor(kHealNs);
  for (const auto& client : clients_) client->SendProbe();
  for (const auto& cache : caches_) cache->ReadAll();
  return AwaitReplies();
}

std::string Simulator::CheckCaches() {
  if (caches_.empty()) return "";
  world_.RunFor(kQuietNs);
  for (const auto& cache : caches_) {
    std::string problem = cache->TakeReplies();
    if (problem.empty()) problem = cache->CheckValues();
    if (!problem.empty()) return problem;
  }
  return "";
}

std::string Simulator::CheckCluster() {
  for (const auto& client : clients_) {
    for (const std::string& key : client->model().Keys()) {
      const auto value = world_.cluster().OwnerOf(key).store().Get(key);
      const std::string problem = client->model().CheckStored(key, value);
      if (!problem.empty()) return Concat("in the cluster, key ", key, ": ", problem);
    }
  }
  const std::string problem = CheckExecutions();
  return problem.empty() ? CheckDeletions() : problem;
}

std::string Simulator::CheckExecutions() {
  std::map<std::pair<std::string, std::string>, int> executions;
  for (const ExecutedCommand& command : world_.cluster().log()) {
    const FakeArgs& args = command.args;
    const std::string name = UpperCase(args[0]);
    if (name != "SET" && name != "MSET" && name != "APPEND") continue;
    for (size_t i = 1; i + 1 < args.size(); i += 2) {
      const bool is_again = ++executions[{args[i], args[i + 1]}] > 1;
      if (is_again && !(repeats_sets_ && name != "APPEND")) {
        return Concat("executed twice: ", Printable(EncodeCommand(args)));
      }
      for (const auto& client : clients_) {
        if (client->Owns(args[i]) && client->model().MustNotBeExecuted(args[i], args[i + 1])) {
          return Concat("refused, but executed: ", Printable(EncodeCommand(args)));
        }
      }
    }
  }
  return "";
}

// DEL and UNLINK name no value by which one could be told from another.
std::string Simulator::CheckDeletions() {
  std::map<std::string, size_t> deletions;
  for (const ExecutedCommand& command : world_.cluster().log()) {
    const std::string name = UpperCase(command.args[0]);
    if (name != "DEL" && name != "UNLINK") continue;
    for (size_t i = 1; i < command.args.size(); ++i) ++deletions[command.args[i]];
  }
  for (const auto& [key, count] : deletions) {
    for (const auto& client : clients_) {
      if (client->Owns(key) && count > client->model().DeletionsMax(key))
        return Concat("deleted more often than asked for: ", key);
    }
  }
  return "";
}

std::string Simulator::ExecutionsOf(const std::string& key) {
  std::string text;
  for (const ExecutedCommand& command : world_.cluster().log()) {
    if (std::find(command.args.begin(), command.args.end(), key) == command.args.end()) continue;
    text += Concat("  ", command.time_ns / kMicrosecond, " us: ", command.node->name(),
                   ", connection ", command.connection, ": ",
                   Printable(EncodeCommand(command.args)), " -> ", Printable(command.reply), "\n");
  }
  return text;
}

std::string Simulator::End() {
  for (const auto& client : clients_) client->Leave();
  for (const auto& cache : caches_) cache->Leave();
  // A PING on an idle connection may be on its way at any one moment.
  world_.RunUntil([this] { return world_.subject().Leaks().empty(); }, 2 * kSecond);
  std::string leaks = world_.subject().Leaks();
  if (!leaks.empty()) return Concat("kept after the last client:", leaks);
  leaks = world_.StopSubject();
  return leaks.empty() ? "" : Concat("left at the end: ", leaks);
}

}  // namespace rcproxy::sim
