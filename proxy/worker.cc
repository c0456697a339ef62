#include "proxy/worker.h"

#include <glog/logging.h>
#include <time.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cluster/command_table.h"
#include "proxy/client_filter.h"
#include "proxy/client_info.h"
#include "proxy/client_summary.h"
#include "proxy/node_use.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kTickNs = 100'000'000;

int64_t ThreadCpuNs() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

}  // namespace

Worker::Worker(int index, uring::Io& io, const Config& config, const ServerFacts& facts,
               Stats& stats, WorkerHost& host)
    : index_(index),
      stats_(stats),
      host_(host),
      resources_(io, config, stats),
      mailbox_(io),
      table_(resources_, router_, *this),
      router_(resources_, table_, *this),
      local_(facts, static_cast<LocalHost&>(*this)),
      operations_(resources_, facts, table_, router_, *this, static_cast<LocalHost&>(*this)),
      pubsub_(resources_, table_, router_, *this, index),
      monitors_(resources_, *this),
      tracking_(resources_, table_, router_, *this),
      refresher_(resources_, table_, router_, /*seed=*/io.NowNs() + index,
                 [this](std::shared_ptr<const cluster::Topology> topology) {
                   host_.PublishTopology(std::move(topology));
                 }),
      learner_(resources_, table_, router_,
               [this](std::shared_ptr<const cluster::LearntCommands> commands) {
                 host_.PublishCommands(std::move(commands));
               }),
      function_sync_(resources_, table_, router_),
      node_health_(resources_, table_, *this),
      hedger_(resources_, table_, router_),
      client_context_{resources_, router_,   local_,    operations_,
                      pubsub_,    monitors_, tracking_, *this},
      batch_policy_(config.batch_wait_us),
      tick_(
          resources_.timers, [](void* self) { static_cast<Worker*>(self)->Tick(); }, this),
      pause_timer_(
          resources_.timers, [](void* self) { static_cast<Worker*>(self)->UnpauseClients(); },
          this) {}

Worker::~Worker() { CHECK(clients_.IsEmpty()); }

void Worker::Start() {
  if (index_ == 0) refresher_.Start();
}

void Worker::RunTurn() {
  Wait();
  stats_.loop_turns.Add();
  mailbox_.Drain();
  resources_.timers.RunExpired(resources_.io.NowNs());
  FlushAll();
  DestroyGone();
  state_ == State::kRunning ? hedger_.OnTurn() : AdvanceDrain();
  ArmTick();
}

void Worker::Wait() {
  const bool dirty = !resources_.dirty_clients.IsEmpty() || !resources_.dirty_upstreams.IsEmpty();
  if (dirty) {
    resources_.io.Poll(0);
    return;
  }
  resources_.io.Poll(resources_.timers.NextDeadlineNs());
  NoteTraffic();
}

void Worker::NoteTraffic() {
  Arrivals& arrivals = resources_.arrivals;
  const int64_t now_ns = resources_.io.NowNs();
  const int64_t length_ns = now_ns - arrivals.since_ns;
  if (length_ns < BatchPolicy::kWindowNs) return;
  const int64_t cpu_ns = ThreadCpuNs();
  const BatchPolicy::Hint hint =
      batch_policy_.OnWindow(arrivals, length_ns, cpu_ns - window_cpu_ns_);
  resources_.io.SetBatchHint(hint.completions, hint.wait_us);
  window_cpu_ns_ = cpu_ns;
  arrivals = {.since_ns = now_ns};
}

void Worker::FlushAll() {
  // What a client may do now can make nodes and other clients dirty, so this comes first. Clients
  // that become dirty meanwhile join the end of the list and are visited too.
  DirtyList& clients = resources_.dirty_clients;
  for (Flushable* client = clients.Front(); client != nullptr;) {
    Flushable* next_known = client;
    client->BeforeFlush();
    client = next_known->IsLinked() ? clients.Next(next_known) : clients.Front();
  }
  while (Flushable* upstream = resources_.dirty_upstreams.PopFront()) upstream->Flush();
  while (Flushable* client = clients.PopFront()) client->Flush();
}

// ---- clients

void Worker::AdoptClient(const NewClient& new_client) {
  if (state_ != State::kRunning) {
    resources_.io.Close(new_client.fd);
    host_.OnClientGone(index_);
    return;
  }
  ClientConnection* client = client_pool_.New(client_context_);
  clients_.PushBack(client);
  ++client_count_;
  stats_.clients_accepted.Add();
  stats_.clients_connected.Add();
  client->Start(new_client);
  if (pause_ != Pause::kNone) client->SetPause(pause_);
}

void Worker::OnClientGone(ClientConnection* client) {
  client->ListLink<struct InClientList>::Unlink();
  if (!told_.empty()) told_.erase(client->session().id);
  gone_.push_back(client);
  --client_count_;
  stats_.clients_connected.Sub();
  host_.OnClientGone(index_);
}

void Worker::DestroyGone() {
  for (ClientConnection* client : gone_) client_pool_.Delete(client);
  gone_.clear();
}

template <class F>
void Worker::ForEachClient(F&& f) {
  for (ClientConnection* client = clients_.Front(); client != nullptr;) {
    ClientConnection* next = clients_.Next(client);
    f(*client);
    client = next;
  }
}

// ---- for all workers' clients

void WorkerHost::AskWorkers(Worker& asker, WorkerQuestion question, WorkerAnswers done) {
  asker.mailbox().Post([&asker, question = std::move(question), done = std::move(done)] {
    done({question(asker)});
  });
}

void Worker::AskWorkers(WorkerQuestion question, uint64_t wait_id) {
  host_.AskWorkers(*this, std::move(question),
                   [this, wait_id](const std::vector<std::string>& answers) {
                     const std::vector<std::string_view> views(answers.begin(), answers.end());
                     router_.Resume(wait_id, views);
                   });
}

std::string Worker::ListClients(const ClientFilter& filter) {
  std::string lines;
  ForEachClient([&](const ClientConnection& client) {
    if (filter.Matches(client.session())) lines += ClientLine(client);
  });
  return lines;
}

std::string Worker::ClientLine(const ClientConnection& client) const {
  const Session& session = client.session();
  const cluster::CommandSpec* last = cluster::CommandById(session.last_command);
  const std::string_view command = last != nullptr ? last->name : "NULL";
  ClientUse use = {.now_ns = resources_.io.NowNs(),
                   .input_bytes = client.InputBytes(),
                   .output_bytes = client.replies().BytesHeld(),
                   .is_blocked = client.replies().blocking()};
  if (const ClientBindings* bindings = client.bindings()) {
    use.monitors = bindings->monitor != nullptr;
    if (bindings->transaction != nullptr)
      use.queued = static_cast<int>(bindings->transaction->part_of_command().size());
  }
  return ClientInfoLine(session, command, use);
}

std::string Worker::SummarizeClients() {
  ClientSummary summary;
  std::vector<std::pair<size_t, const ClientConnection*>> by_bytes;
  ForEachClient([&](const ClientConnection& client) {
    const size_t output_bytes = client.replies().BytesHeld();
    const size_t bytes = output_bytes + client.InputBytes();
    summary.Count(
        client.session(),
        {.output_bytes = output_bytes, .bytes = bytes, .is_blocked = client.replies().blocking()});
    by_bytes.emplace_back(bytes, &client);
  });
  const size_t count = std::min(by_bytes.size(), ClientSummary::kLargestMax);
  std::partial_sort(by_bytes.begin(), by_bytes.begin() + count, by_bytes.end(),
                    [](const auto& a, const auto& b) { return a.first > b.first; });
  by_bytes.resize(count);
  for (const auto& [bytes, client] : by_bytes) summary.AddLargest(bytes, ClientLine(*client));
  return summary.Encode();
}

std::string Worker::DescribeNodes() {
  std::string lines;
  for (UpstreamNode* node : table_.Nodes()) {
    NodeUse use = {.is_failing = node->InBackoff()};
    node->ForEachLink([&use](const UpstreamConnection& link) {
      if (link.state() == UpstreamConnection::State::kReady) ++use.connections;
      use.requests += link.CountRequests();
    });
    lines += EncodeNodeUse(node->address().ToString(), use);
  }
  return lines;
}

int Worker::KillClients(const ClientFilter& filter, int64_t asker) {
  int killed = 0;
  ForEachClient([&](ClientConnection& client) {
    if (client.IsClosing() || !filter.Matches(client.session())) return;
    ++killed;
    client.session().id == asker ? client.Drain() : client.Close();
  });
  return killed;
}

bool Worker::UnblockClient(int64_t id, bool with_error) {
  bool unblocked = false;
  ForEachClient([&](ClientConnection& client) {
    if (client.session().id == id) unblocked = router_.Unblock(client.replies(), with_error);
  });
  return unblocked;
}

ClientConnection* Worker::FindClient(int64_t id) {
  ClientConnection* found = nullptr;
  ForEachClient([&](ClientConnection& client) {
    if (client.session().id == id && !client.IsClosing()) found = &client;
  });
  return found;
}

bool Worker::TellChangedKeys(int64_t id, ChangedKeys keys) {
  auto target = told_.find(id);
  if (target == told_.end()) {
    ClientConnection* client = FindClient(id);
    if (client == nullptr) return false;
    target = told_.emplace(id, client).first;
  }
  return target->second->TellChangedKeys(keys);
}

void Worker::TellClient(int64_t target, ChangedKeys keys, int64_t tracker) {
  host_.AskWorkers(
      *this,
      [target, kept = std::vector<std::string>(keys.begin(), keys.end())](WorkerClients& worker) {
        const std::vector<std::string_view> views(kept.begin(), kept.end());
        return std::string(worker.TellChangedKeys(target, views) ? "1" : "");
      },
      [this, tracker](const std::vector<std::string>& answers) {
        if (std::ranges::find(answers, "1") == answers.end()) tracking_.OnTargetGone(tracker);
      });
}

void Worker::ForgetSlotOnAllWorkers(uint16_t slot) {
  AskWorkers(
      [slot](WorkerClients& worker) {
        worker.ForgetTrackedSlot(slot);
        return std::string();
      },
      /*wait_id=*/0);
}

void Worker::PauseClients(Pause pause, int64_t until_ns) {
  pause_ = std::max(pause_, pause);
  paused_until_ns_ = std::max(paused_until_ns_, until_ns);
  pause_timer_.Disarm();
  pause_timer_.Arm(paused_until_ns_);
  ForEachClient([this](ClientConnection& client) { client.SetPause(pause_); });
}

void Worker::UnpauseClients() {
  pause_timer_.Disarm();
  pause_ = Pause::kNone;
  paused_until_ns_ = 0;
  ForEachClient([](ClientConnection& client) { client.SetPause(Pause::kNone); });
}

void Worker::OnAllWorkers(std::function<void(Monitors&)> what, uint64_t wait_id) {
  AskWorkers(
      [what = std::move(what)](WorkerClients& worker) {
        what(worker.monitors());
        return std::string();
      },
      wait_id);
}

// ---- the cluster

void Worker::AdoptTopology(const cluster::Topology& topology) {
  if (state_ == State::kClosing || state_ == State::kStopped) return;
  const bool moved = table_.Adopt(topology);
  pubsub_.OnTopologyChanged();
  tracking_.OnTopologyChanged(moved);
  table_.Sweep(resources_.io.NowNs());
  node_health_.OnMap(topology);
  router_.OnTopologyChanged();
  if (index_ != 0) return;
  learner_.OnMapAdopted();
  function_sync_.OnMap(topology);
}

void Worker::AdoptCommands(std::shared_ptr<const cluster::LearntCommands> commands) {
  resources_.commands.Adopt(std::move(commands));
}

// ---- from time to time

void Worker::ArmTick() {
  if (state_ == State::kStopped) return;
  const Config& config = resources_.config;
  const bool in_flight = stats_.requests_in_flight.value() > 0;
  // Clients that block keep nobody awake.
  const bool timed = timed_at_tick_ || stats_.requests_sent.value() != sent_at_tick_ ||
                     resources_.requests_waiting > 0;
  int64_t pause_ns = 10 * kTickNs;
  if ((in_flight && timed) || memory_pressure_ || state_ != State::kRunning ||
      resources_.BytesInUse() > config.memory_limit_bytes / 2) {
    pause_ns = kTickNs;
  } else if (!in_flight && config.client_idle_timeout_s == 0 &&
             config.backend_idle_connections != 0 && !table_.NeedsSweep()) {
    return;  // There is nothing to look after: an idle worker does not wake.
  }
  const int64_t at_ns = resources_.io.NowNs() + pause_ns;
  if (!tick_.armed() || tick_.deadline_ns() > at_ns) tick_.Arm(at_ns);
}

void Worker::Tick() {
  const int64_t now_ns = resources_.io.NowNs();
  timed_at_tick_ = false;
  sent_at_tick_ = stats_.requests_sent.value();
  table_.ForEachNode([this, now_ns](UpstreamNode& node) {
    node.ForEachLink([this, now_ns](UpstreamConnection& link) {
      link.CheckStall(now_ns);
      link.CheckTimeout(now_ns);
      timed_at_tick_ |= link.IsTimed() || link.stalled();
    });
  });
  node_health_.OnTick(now_ns);
  table_.Sweep(now_ns);
  if (state_ == State::kDraining) EndBlocked();
  CheckMemory();
  CloseIdleClients(now_ns);
}

void Worker::CloseIdleClients(int64_t now_ns) {
  const int64_t idle_ns = resources_.config.client_idle_timeout_s * 1'000'000'000;
  if (idle_ns == 0) return;
  ForEachClient([&](ClientConnection& client) {
    if (client.IsIdle() && now_ns - client.session().last_command_ns > idle_ns) {
      stats_.clients_closed_idle.Add();
      client.Close();
    }
  });
}

// Over the limit nothing more is read from clients until a quarter is free again; meanwhile the
// client that holds most is closed, one per tick.
void Worker::CheckMemory() {
  const size_t used = resources_.BytesInUse();
  const size_t limit = resources_.config.memory_limit_bytes;
  stats_.memory_bytes.Set(used);
  const bool before = memory_pressure_;
  memory_pressure_ = used > (before ? limit - limit / 4 : limit);
  if (memory_pressure_) {
    CloseLargestClient();
  } else if (before) {
    ForEachClient([this](ClientConnection& client) {
      resources_.MarkDirty(resources_.dirty_clients, &client);
    });
  }
}

void Worker::CloseLargestClient() {
  ClientConnection* largest = nullptr;
  size_t largest_bytes = 0;
  ForEachClient([&](ClientConnection& client) {
    const size_t bytes = client.BytesHeld();
    if (bytes <= largest_bytes) return;
    largest = &client;
    largest_bytes = bytes;
  });
  if (largest == nullptr) return;
  stats_.clients_closed_memory.Add();
  largest->Close();
}

// ---- the end

void Worker::BeginDrain(int64_t deadline_ns) {
  if (state_ != State::kRunning) return;
  state_ = State::kDraining;
  UnpauseClients();
  drain_deadline_ns_ = deadline_ns;
  ForEachClient([](ClientConnection& client) { client.Drain(); });
  EndBlocked();
}

// Commands that might wait for ever get the answer that they would get at the end of their time.
// Those whose connection is not open yet are ended by a later tick.
void Worker::EndBlocked() {
  ForEachClient([this](const ClientConnection& client) {
    router_.Unblock(client.replies(), /*with_error=*/false);
  });
}

void Worker::AdvanceDrain() {
  if (state_ == State::kDraining) {
    if (!clients_.IsEmpty() && resources_.io.NowNs() < drain_deadline_ns_) return;
    state_ = State::kClosing;
    refresher_.Stop();
    learner_.Stop();
    function_sync_.Stop();
    node_health_.Stop();
    hedger_.Stop();
  }
  if (state_ != State::kClosing) return;
  // Each turn: until its client has gone, a request whose pause is over opens connections anew.
  ForEachClient([](ClientConnection& client) { client.Close(); });
  table_.ForEachNode([](UpstreamNode& node) {
    node.ForEachLink([](UpstreamConnection& link) {
      link.HasRequests() ? link.Fail("rcproxy is stopping") : link.CloseIdle();
    });
  });
  if (!clients_.IsEmpty()) return;
  bool quiet = true;
  table_.ForEachNode([&quiet](UpstreamNode& node) { quiet &= node.IsQuiet(); });
  if (!quiet) return;
  router_.RunDelayed();  // Their clients have gone: frees them.
  mailbox_.Close();
  tick_.Disarm();
  pause_timer_.Disarm();
  state_ = State::kStopped;
}

void Worker::CheckInvariants() {
  table_.CheckInvariants();
  ForEachClient([](ClientConnection& client) { client.CheckInvariants(); });
  table_.ForEachNode([](UpstreamNode& node) {
    node.ForEachLink([](UpstreamConnection& link) { link.CheckInvariants(); });
  });
}

}  // namespace rcproxy::proxy
