// One thread's complete proxy: its clients, its connections to nodes, its view of the cluster.
// Shares nothing with other workers but immutable snapshots and its counters.
//
// One turn: submit and wait -> completions run (parse, route, answer) -> mailbox -> timers ->
// clients that may go on -> one send per node with something to say -> one send per client with
// something to hear.
//
// Owner: Server (or a test). Thread: its own; only mailbox() may be used from another.
// Invariants: 1. only RunTurn submits to the kernel; 2. a client that has gone is destroyed at the
// end of the turn, never inside a callback; 3. after stopped() nothing is in flight.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/learnt_commands.h"
#include "cluster/topology.h"
#include "proxy/batch_policy.h"
#include "proxy/client_connection.h"
#include "proxy/command_learner.h"
#include "proxy/config.h"
#include "proxy/function_sync.h"
#include "proxy/hedger.h"
#include "proxy/known_commands.h"
#include "proxy/local_commands.h"
#include "proxy/local_host.h"
#include "proxy/monitors.h"
#include "proxy/node_health.h"
#include "proxy/operations/operations.h"
#include "proxy/pubsub/channel_use.h"
#include "proxy/pubsub/pubsub.h"
#include "proxy/resolver.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/stats.h"
#include "proxy/topology_refresher.h"
#include "proxy/tracking/tracking.h"
#include "uring/io.h"
#include "uring/mailbox.h"

namespace rcproxy::proxy {

class Worker;

// What a worker needs from whoever runs it. Called on the worker's thread.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  // Some worker has noticed that the map is wrong.
  virtual void RequestRefresh() = 0;
  // The nodes may have other commands than they had.
  virtual void RequestLearning() = 0;
  // The first worker has read a map: give it to every worker, this one included (AdoptTopology).
  virtual void PublishTopology(std::shared_ptr<const cluster::Topology> topology) = 0;
  // The first worker has learnt commands: give them to every worker, this one included
  // (AdoptCommands).
  virtual void PublishCommands(std::shared_ptr<const cluster::LearntCommands> commands) = 0;
  // A client of worker `worker` has left.
  virtual void OnClientGone(int worker) = 0;
  // Looks a host name up and calls `done` on the calling worker's thread.
  virtual void Resolve(const cluster::NodeAddress& address, uring::Mailbox& mailbox,
                       Resolved done) = 0;
  // Puts `question` to every worker on its thread, and calls `done` with all answers on `asker`'s.
  // By default `asker` is the only one.
  using WorkerAnswers = std::function<void(const std::vector<std::string>& answers)>;
  virtual void AskWorkers(Worker& asker, WorkerQuestion question, WorkerAnswers done);
};

class Worker final : public WorkerClients,
                     private LocalHost,
                     private ClientOwner,
                     private TopologySource,
                     private NameResolver,
                     private MonitorHost,
                     private TrackingHost {
 public:
  // `index` 0 reads the cluster map, and the nodes' commands, for all.
  Worker(int index, uring::Io& io, const Config& config, const ServerFacts& facts, Stats& stats,
         WorkerHost& host);
  ~Worker();

  // Worker 0: begins to read the map.
  void Start();
  void RunTurn();
  // A new client. Takes over the descriptor.
  void AdoptClient(const NewClient& new_client);
  void AdoptTopology(const cluster::Topology& topology);
  void AdoptCommands(std::shared_ptr<const cluster::LearntCommands> commands);
  // Worker 0.
  void RefreshTopology() { refresher_.RequestRefresh(); }
  void RelearnCommands() { learner_.Forget(); }
  // Lets clients finish what is under way, at most until `deadline_ns`, then closes everything.
  void BeginDrain(int64_t deadline_ns);
  bool stopped() const { return state_ == State::kStopped; }

  // WorkerClients
  std::string ListClients(const ClientFilter& filter) override;
  int KillClients(const ClientFilter& filter, int64_t asker) override;
  bool UnblockClient(int64_t id, bool with_error) override;
  void PauseClients(Pause pause, int64_t until_ns) override;
  void UnpauseClients() override;
  void ResetCounters() override { stats_.ResetCounters(); }
  bool HasClient(int64_t id) override { return FindClient(id) != nullptr; }
  bool TellChangedKeys(int64_t id, ChangedKeys keys) override;
  void ForgetTrackedSlot(uint16_t slot) override { tracking_.ForgetSlot(slot); }
  Monitors& monitors() override { return monitors_; }
  std::string DescribeChannels(ChannelKind kind, const std::vector<std::string>& names) override {
    return EncodeChannelUses(pubsub_.Uses(kind, names));
  }
  std::string SummarizeClients() override;
  std::string DescribeNodes() override;

  uring::Mailbox& mailbox() { return mailbox_; }
  uring::Io& io() { return resources_.io; }
  Resources& resources() { return resources_; }
  const RoutingTable& table() const { return table_; }
  size_t client_count() const { return client_count_; }
  void CheckInvariants();

 private:
  enum class State : uint8_t { kRunning, kDraining, kClosing, kStopped };

  // LocalHost
  void AskWorkers(WorkerQuestion question, uint64_t wait_id) override;
  void AwaitTracking(int64_t id, uint64_t wait_id) override { tracking_.AwaitFeeds(id, wait_id); }
  bool Resp3Known() const override { return resources_.resp3_known; }
  std::string_view DatabaseRefused(uint16_t database) const override {
    return resources_.database_refusal.Find(database, resources_.io.NowNs());
  }
  int SlotsServed() const override { return table_.SlotsServed(); }
  int64_t NowNs() const override { return resources_.io.NowNs(); }
  const KnownCommands& Commands() const override { return resources_.commands; }
  Stats& WorkerStats() override { return stats_; }
  // ClientOwner
  void OnClientGone(ClientConnection* client) override;
  bool UnderMemoryPressure() const override { return memory_pressure_; }
  // MonitorHost
  void OnAllWorkers(std::function<void(Monitors&)> what, uint64_t wait_id) override;
  // TrackingHost
  void TellClient(int64_t target, ChangedKeys keys, int64_t tracker) override;
  void ForgetSlotOnAllWorkers(uint16_t slot) override;
  // TopologySource
  void RequestRefresh() override { host_.RequestRefresh(); }
  void RequestLearning() override { host_.RequestLearning(); }
  // NameResolver
  void Resolve(const cluster::NodeAddress& address, Resolved done) override {
    host_.Resolve(address, mailbox_, std::move(done));
  }

  template <class F>
  void ForEachClient(F&& f);
  // One that is not being closed, or nullptr.
  ClientConnection* FindClient(int64_t id);
  std::string ClientLine(const ClientConnection& client) const;
  void Tick();
  void CheckMemory();
  void CloseIdleClients(int64_t now_ns);
  void CloseLargestClient();
  void Wait();
  void NoteTraffic();
  void FlushAll();
  void DestroyGone();
  void AdvanceDrain();
  void EndBlocked();
  void ArmTick();

  const int index_;
  Stats& stats_;
  WorkerHost& host_;
  Resources resources_;
  uring::Mailbox mailbox_;
  RoutingTable table_;
  Router router_;
  LocalCommands local_;
  const Operations operations_;
  PubSub pubsub_;
  Monitors monitors_;
  Tracking tracking_;
  TopologyRefresher refresher_;
  CommandLearner learner_;
  FunctionSync function_sync_;
  NodeHealth node_health_;
  Hedger hedger_;
  const ClientContext client_context_;
  IntrusiveList<ClientConnection, struct InClientList> clients_;
  std::vector<ClientConnection*> gone_;
  // Whom other clients have redirected to, by id.
  std::unordered_map<int64_t, ClientConnection*> told_;
  ObjectPool<ClientConnection> client_pool_;
  size_t client_count_ = 0;
  BatchPolicy batch_policy_;
  int64_t window_cpu_ns_ = 0;  // Of the thread, when the window of BatchPolicy began.
  State state_ = State::kRunning;
  bool memory_pressure_ = false;
  int64_t drain_deadline_ns_ = 0;
  Pause pause_ = Pause::kNone;
  int64_t paused_until_ns_ = 0;
  uring::Timer tick_;
  // When it ran last: whether time ran for any request, and how many had been sent.
  bool timed_at_tick_ = false;
  uint64_t sent_at_tick_ = 0;
  uring::Timer pause_timer_;
};

}  // namespace rcproxy::proxy
