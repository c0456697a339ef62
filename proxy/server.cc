#include "proxy/server.h"

#include <glog/logging.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proxy/errors.h"

namespace rcproxy::proxy {

namespace {

std::string RandomRunId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&id, absl::StrFormat("%08x", random()));
  return id;
}

uring::Ring::Options RingOptions(const Config& config) {
  uring::Ring::Options options;
  options.receive_limit_bytes = config.memory_limit_bytes;
  options.zero_copy_min_bytes = config.zero_copy_min_bytes;
  return options;
}

}  // namespace

struct Server::WorkerThread {
  explicit WorkerThread(int index) : index(index) {}
  const int index;
  Stats stats;
  std::unique_ptr<uring::Ring> ring;
  std::unique_ptr<Worker> worker;
  std::atomic<uint32_t> clients{0};  // Given to it, and not gone; for balance only.
  std::promise<absl::Status> set_up;
  std::thread thread;
};

Server::Server(const Config& config) : config_(config), nodes_file_(config.nodes_file) {}

Server::~Server() { Stop(); }

absl::Status Server::Start() {
  if (absl::Status status = OpenListeners(); !status.ok()) return status;
  facts_.config = &config_;
  facts_.run_id = RandomRunId();
  facts_.started_unix_s = std::time(nullptr);
  facts_.tcp_port = listeners_.front()->port();
  facts_.config_file = config_.flagfile;
  char path[4096] = {};
  if (readlink("/proc/self/exe", path, sizeof(path) - 1) > 0) facts_.executable = path;
  for (int i = 0; i < config_.workers; ++i) {
    workers_.push_back(std::make_unique<WorkerThread>(i));
    facts_.workers.push_back(&workers_.back()->stats);
  }
  for (auto& thread : workers_) {
    std::future<absl::Status> set_up = thread->set_up.get_future();
    thread->thread = std::thread([this, t = thread.get()] { RunWorker(t); });
    if (absl::Status status = set_up.get(); !status.ok()) return status;
    ++workers_running_;
    if (thread->index == 0) {
      facts_.kernel_features = thread->ring->features().ToString();
      LOG(INFO) << "io_uring: " << facts_.kernel_features;
    }
  }
  if (!config_.debug_addr.empty()) {
    auto debug_server = DebugServer::Start(config_.debug_addr, facts_.workers);
    if (!debug_server.ok()) return debug_server.status();
    debug_server_ = *std::move(debug_server);
    LOG(INFO) << "metrics on " << config_.debug_addr << " port " << debug_server_->port();
  }
  // Only now, when all workers are there to receive the map.
  Worker* first = workers_.front()->worker.get();
  first->mailbox().Post([first] { first->Start(); });
  return absl::OkStatus();
}

absl::Status Server::OpenListeners() {
  // Those of --replica_addr come last: see StartListening.
  for (const auto* addresses : {&config_.listen, &config_.replica_listen}) {
    for (const ListenAddress& address : *addresses) {
      absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Open(address);
      if (!listener.ok()) return listener.status();
      listeners_.push_back(*std::move(listener));
    }
  }
  return absl::OkStatus();
}

void Server::RunWorker(WorkerThread* thread) {
  const absl::Status status = SetUpWorker(thread);
  thread->set_up.set_value(status);
  if (!status.ok()) return;
  // The first worker's ring also serves the listeners.
  const auto done = [this, thread] {
    return thread->worker->stopped() && (thread->index != 0 || ListenersStopped());
  };
  uint64_t exhausted_before = 0;
  while (!done()) {
    thread->worker->RunTurn();
    const uint64_t exhausted = thread->ring->stats().buffers_exhausted;
    thread->stats.receive_no_buffers.Add(exhausted - std::exchange(exhausted_before, exhausted));
  }
  // Others may still post to the mailbox, so everything lives until all have ended; but a ring is
  // destroyed by its thread.
  std::unique_lock<std::mutex> lock(mutex_);
  ++workers_ended_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return release_workers_; });
  lock.unlock();
  thread->worker.reset();
  thread->ring.reset();
}

absl::Status Server::SetUpWorker(WorkerThread* thread) {
  // The ring belongs to the thread that makes it.
  absl::StatusOr<std::unique_ptr<uring::Ring>> ring = uring::Ring::Create(RingOptions(config_));
  if (!ring.ok()) return ring.status();
  thread->ring = *std::move(ring);
  thread->worker = std::make_unique<Worker>(thread->index, *thread->ring, config_, facts_,
                                            thread->stats, static_cast<WorkerHost&>(*this));
  return absl::OkStatus();
}

absl::Status Server::WaitUntilReady() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto done = [this] { return ready_ || interrupted_ || !listening_failed_.ok(); };
  if (config_.startup_timeout_s == 0) {
    changed_.wait(lock, done);
  } else {
    changed_.wait_for(lock, std::chrono::seconds(config_.startup_timeout_s), done);
  }
  if (ready_) return absl::OkStatus();
  if (!listening_failed_.ok()) return listening_failed_;
  if (interrupted_) return absl::CancelledError("interrupted before any node could be reached");
  return absl::DeadlineExceededError(
      absl::StrCat("no node of --startup_nodes described the cluster within --startup_timeout_s=",
                   config_.startup_timeout_s, "; see the log for each node's error"));
}

void Server::Interrupt() {
  std::lock_guard<std::mutex> lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

// ---- from workers

void Server::RequestRefresh() {
  if (refresh_requested_.load(std::memory_order_relaxed)) return;
  if (refresh_requested_.exchange(true)) return;
  Worker* first = workers_.front()->worker.get();
  first->mailbox().Post([this, first] {
    refresh_requested_.store(false);
    first->RefreshTopology();
  });
}

void Server::RequestLearning() {
  Worker* first = workers_.front()->worker.get();
  first->mailbox().Post([first] { first->RelearnCommands(); });
}

void Server::PublishTopology(std::shared_ptr<const cluster::Topology> topology) {
  for (auto& thread : workers_) {
    Worker* worker = thread->worker.get();
    worker->mailbox().Post([worker, topology] { worker->AdoptTopology(*topology); });
  }
  if (absl::Status status = nodes_file_.Save(*topology); !status.ok()) {
    LOG_EVERY_T(ERROR, 60) << status.message();
  }
  // A worker adopts the map before it sees the first client, because its mailbox keeps the order.
  if (!listening_) StartListening();
}

void Server::PublishCommands(std::shared_ptr<const cluster::LearntCommands> commands) {
  for (auto& thread : workers_) {
    Worker* worker = thread->worker.get();
    worker->mailbox().Post([worker, commands] { worker->AdoptCommands(commands); });
  }
}

void Server::Resolve(const cluster::NodeAddress& address, uring::Mailbox& mailbox, Resolved done) {
  resolver_.Start(address, [&mailbox, done = std::move(done)](const SocketAddress& result) {
    mailbox.Post([done, result] { done(result); });
  });
}

namespace {

// The answers of all workers. Whoever drops the last reference sends them on their way: the worker
// that answered last, or one that is stopping and will not answer.
struct Gathering {
  Gathering(uring::Mailbox& asker, WorkerHost::WorkerAnswers done, size_t workers)
      : asker(asker), done(std::move(done)), answers(workers) {}
  ~Gathering() {
    asker.Post([done = std::move(done), answers = std::move(answers)] { done(answers); });
  }

  uring::Mailbox& asker;
  WorkerHost::WorkerAnswers done;
  std::vector<std::string> answers;  // Each worker writes its own.
};

}  // namespace

void Server::AskWorkers(Worker& asker, WorkerQuestion question, WorkerAnswers done) {
  const auto gathering =
      std::make_shared<Gathering>(asker.mailbox(), std::move(done), workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i]->worker.get();
    worker->mailbox().Post(
        [gathering, question, worker, i] { gathering->answers[i] = question(*worker); });
  }
}

bool Server::ListenersStopped() const {
  for (const auto& listener : listeners_) {
    if (!listener->IsStopped()) return false;
  }
  return true;
}

void Server::StartListening() {
  listening_ = true;
  WorkerThread* first = workers_.front().get();
  for (size_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = *listeners_[i];
    const bool for_readers = i >= config_.listen.size();
    absl::Status status =
        listener.Start(*first->ring, first->worker->resources().timers,
                       [this, for_readers](int fd) { OnAccept(fd, for_readers); });
    if (!status.ok()) return FailToListen(std::move(status));
    LOG(INFO) << "listening on " << listener.address().ToString() << " port " << listener.port();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  ready_ = true;
  changed_.notify_all();
}

void Server::FailToListen(absl::Status status) {
  std::lock_guard<std::mutex> lock(mutex_);
  listening_failed_ = std::move(status);
  changed_.notify_all();
}

Server::WorkerThread* Server::LeastLoaded() {
  WorkerThread* least = workers_.front().get();
  for (auto& thread : workers_) {
    if (thread->clients.load(std::memory_order_relaxed) <
        least->clients.load(std::memory_order_relaxed)) {
      least = thread.get();
    }
  }
  return least;
}

void Server::OnAccept(int fd, bool is_reader) {
  uint32_t clients = 0;
  for (auto& thread : workers_) clients += thread->clients.load(std::memory_order_relaxed);
  if (clients >= config_.maxclients) {
    workers_.front()->stats.clients_rejected.Add();
    (void)send(fd, kErrorMaxClients.data(), kErrorMaxClients.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
    return;
  }
  const NewClient client = {.fd = fd, .id = next_client_id_++, .is_reader = is_reader};
  WorkerThread* thread = LeastLoaded();
  thread->clients.fetch_add(1, std::memory_order_relaxed);
  Worker* worker = thread->worker.get();
  if (thread->index == 0) return worker->AdoptClient(client);
  worker->mailbox().Post([worker, client] { worker->AdoptClient(client); });
}

void Server::OnClientGone(int worker) {
  workers_[worker]->clients.fetch_sub(1, std::memory_order_relaxed);
}

// ---- the end

void Server::Stop() {
  if (workers_.empty()) return;
  WorkerThread* first = workers_.front().get();
  if (first->worker != nullptr) {
    std::promise<void> stopped;
    first->worker->mailbox().Post([this, &stopped] {
      for (auto& listener : listeners_) listener->Stop();
      listening_ = true;  // Too late to start.
      stopped.set_value();
    });
    stopped.get_future().wait();
  }
  for (auto& thread : workers_) {
    Worker* worker = thread->worker.get();
    if (worker == nullptr) continue;
    const int64_t drain_ns = config_.drain_timeout_s * 1'000'000'000;
    worker->mailbox().Post(
        [worker, drain_ns] { worker->BeginDrain(worker->io().NowNs() + drain_ns); });
  }
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return workers_ended_ == workers_running_; });
  }
  resolver_.Stop();  // Its answers go to the workers' mailboxes.
  listeners_.clear();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    release_workers_ = true;
    changed_.notify_all();
  }
  for (auto& thread : workers_) {
    if (thread->thread.joinable()) thread->thread.join();  // Not all, when the start has failed.
  }
  debug_server_.reset();
  workers_.clear();
}

}  // namespace rcproxy::proxy
