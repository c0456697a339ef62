// The process: opens the listeners, runs one worker per thread, hands each accepted client to the
// worker with the fewest, brings the map from the first worker to all, and ends cleanly on SIGTERM.
//
// Owner: main. Thread: the main thread, except the WorkerHost calls, which come from workers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/config.h"
#include "proxy/debug_server.h"
#include "proxy/listener.h"
#include "proxy/local_commands.h"
#include "proxy/nodes_file.h"
#include "proxy/resolver.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "uring/ring.h"

namespace rcproxy::proxy {

class Server final : private WorkerHost {
 public:
  explicit Server(const Config& config);
  ~Server() override;

  // Opens the listeners and starts the workers. Errors are about this machine: ports, kernel,
  // memory.
  absl::Status Start();
  // Returns when rcproxy serves; or an error when no node could be reached within
  // --startup_timeout, an address has been taken meanwhile, or a signal came first.
  absl::Status WaitUntilReady();
  // Drains and ends the workers.
  void Stop();

  // Asks WaitUntilReady and the caller's loop to end. Any thread.
  void Interrupt();

  // Requires: started, and not stopped.
  const ServerFacts& facts() const { return facts_; }

 private:
  struct WorkerThread;

  // WorkerHost
  void RequestRefresh() override;
  void RequestLearning() override;
  void PublishTopology(std::shared_ptr<const cluster::Topology> topology) override;
  void PublishCommands(std::shared_ptr<const cluster::LearntCommands> commands) override;
  void OnClientGone(int worker) override;
  void Resolve(const cluster::NodeAddress& address, uring::Mailbox& mailbox,
               Resolved done) override;
  void AskWorkers(Worker& asker, WorkerQuestion question, WorkerAnswers done) override;

  absl::Status OpenListeners();
  void RunWorker(WorkerThread* thread);
  absl::Status SetUpWorker(WorkerThread* thread);
  void StartListening();
  void FailToListen(absl::Status status);
  bool ListenersStopped() const;
  void OnAccept(int fd, bool is_reader);
  WorkerThread* LeastLoaded();

  const Config& config_;
  ServerFacts facts_;
  std::unique_ptr<DebugServer> debug_server_;  // Reads the counters of workers_.
  Resolver resolver_;
  NodesFile nodes_file_;  // The first worker's.
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::atomic<bool> refresh_requested_{false};
  int64_t next_client_id_ = 1;  // Of the accepting worker's thread.
  bool listening_ = false;      // Likewise.

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  absl::Status listening_failed_;
  bool interrupted_ = false;
  int workers_running_ = 0;  // Set up; the main thread's.
  int workers_ended_ = 0;
  bool release_workers_ = false;
};

}  // namespace rcproxy::proxy
