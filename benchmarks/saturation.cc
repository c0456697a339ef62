#include "benchmarks/saturation.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace rcproxy::benchmarks {
namespace {

constexpr uint32_t kKeys = 1'000'000;
constexpr int kTurnsPerClockLook = 16;

uint64_t NowNs() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

// Spreads the keys of a batch over all slots without a random generator.
uint32_t KeyOf(int client, int request) {
  uint64_t mixed = (static_cast<uint64_t>(client) * 7919 + static_cast<uint64_t>(request) + 1) *
                   uint64_t{0x9e3779b97f4a7c15};
  return static_cast<uint32_t>((mixed >> 32) % kKeys);
}

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

absl::StatusOr<std::unique_ptr<Saturation>> Saturation::Create(const SaturationOptions& options) {
  std::unique_ptr<Saturation> saturation(new Saturation(options));
  if (absl::Status status = saturation->StartNodes(); !status.ok()) return status;
  return saturation;
}

absl::Status Saturation::StartNodes() {
  epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  for (uint16_t port : options_.node_ports) {
    absl::StatusOr<OwnedFd> listener = ListenTcp(port);
    if (!listener.ok()) return listener.status();
    node_ports_.push_back(LocalPort(listener->get()));
    Add(Peer::Kind::kListener, std::move(*listener));
  }
  cluster_ = std::make_unique<FakeCluster>(node_ports_, options_.value_bytes);
  std::string reply = options_.read ? EncodeGetReply(options_.value_bytes) : "+OK\r\n";
  for (int i = 0; i < options_.pipeline; ++i) expected_replies_ += reply;
  return absl::OkStatus();
}

void Saturation::Add(Peer::Kind kind, OwnedFd fd) {
  auto peer = std::make_unique<Peer>();
  peer->kind = kind;
  peer->fd = std::move(fd);
  if (kind == Peer::Kind::kNode) peer->session = std::make_unique<FakeNodeSession>(cluster_.get());
  epoll_event event{};
  // Edge-triggered for both directions: no system call to ask for writability.
  bool connection = kind == Peer::Kind::kNode || kind == Peer::Kind::kClient;
  event.events = connection ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET : EPOLLIN;
  event.data.ptr = peer.get();
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, peer->fd.get(), &event);
  peers_.push_back(std::move(peer));
}

absl::Status Saturation::ServeUntilReadable(int fd) {
  Peer signal{};
  signal.kind = Peer::Kind::kSignal;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &signal;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  signalled_ = false;
  while (!signalled_ && status_.ok()) Turn(/*timeout_ms=*/1000);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  return status_;
}

std::string Saturation::MakeBatch(int client) const {
  std::string batch;
  for (int i = 0; i < options_.pipeline; ++i) {
    uint32_t key = KeyOf(client, i);
    batch += options_.read ? EncodeGet(key) : EncodeSet(key, options_.value_bytes);
  }
  return batch;
}

absl::Status Saturation::ConnectClients(const std::string& address) {
  for (int client = 0; client < options_.clients; ++client) {
    absl::StatusOr<OwnedFd> fd = ConnectTcp(address);
    if (!fd.ok()) return fd.status();
    Add(Peer::Kind::kClient, std::move(*fd));
    peers_.back()->output = MakeBatch(client);
    StartBatch(peers_.back().get());
    Turn(/*timeout_ms=*/0);
  }
  return status_;
}

absl::StatusOr<SaturationResult> Saturation::Run(const std::string& address, int pid) {
  if (absl::Status status = ConnectClients(address); !status.ok()) return status;
  auto run_until = [this](uint64_t end_ns) {
    while (status_.ok() && NowNs() < end_ns) {
      for (int i = 0; i < kTurnsPerClockLook && status_.ok(); ++i) Turn(/*timeout_ms=*/10);
    }
  };
  run_until(NowNs() + static_cast<uint64_t>(options_.warmup_seconds * 1e9));
  latencies_.Clear();
  Snapshot from = TakeSnapshot(pid);
  run_until(NowNs() + static_cast<uint64_t>(options_.seconds * 1e9));
  if (!status_.ok()) return status_;
  return Compare(from, TakeSnapshot(pid));
}

Saturation::Snapshot Saturation::TakeSnapshot(int pid) const {
  return {.seconds = static_cast<double>(NowNs()) * 1e-9,
          .requests = requests_done_,
          .proxy = ReadProcessCpu(pid),
          .generator = ReadOwnCpuSeconds(),
          .machine = ReadMachineCpuSeconds()};
}

SaturationResult Saturation::Compare(const Snapshot& from, const Snapshot& to) const {
  double seconds = to.seconds - from.seconds;
  double requests = std::max<double>(1, static_cast<double>(to.requests - from.requests));
  CpuSeconds proxy = to.proxy - from.proxy;
  double ticks = proxy.user + proxy.system;
  double user_share = ticks > 0 ? proxy.user / ticks : 0;
  double generator = to.generator - from.generator;
  SaturationResult result;
  result.requests_per_second = requests / seconds;
  result.requests_total = static_cast<double>(to.requests);
  result.proxy_us = proxy.total / requests * 1e6;
  result.proxy_user_us = result.proxy_us * user_share;
  result.proxy_system_us = result.proxy_us - result.proxy_user_us;
  result.proxy_busy = proxy.total / seconds;
  result.generator_us = generator / requests * 1e6;
  result.generator_busy = generator / seconds;
  result.other_busy =
      std::max(0.0, (to.machine - from.machine - proxy.total - generator) / seconds);
  result.p50_us = static_cast<double>(latencies_.Percentile(0.5)) * 1e-3;
  result.p99_us = static_cast<double>(latencies_.Percentile(0.99)) * 1e-3;
  return result;
}

void Saturation::Turn(int timeout_ms) {
  epoll_event events[128];
  int count = epoll_wait(epoll_.get(), events, std::size(events), timeout_ms);
  for (int i = 0; i < count && status_.ok(); ++i) {
    Serve(static_cast<Peer*>(events[i].data.ptr), events[i].events);
  }
}

void Saturation::Serve(Peer* peer, uint32_t events) {
  switch (peer->kind) {
    case Peer::Kind::kSignal:
      signalled_ = true;
      return;
    case Peer::Kind::kListener:
      AcceptNodes(*peer);
      return;
    case Peer::Kind::kNode:
    case Peer::Kind::kClient:
      break;
  }
  if (!peer->fd.valid()) return;
  if (events & EPOLLOUT) Flush(peer);
  if ((events & ~EPOLLOUT) == 0) return;
  // An edge-triggered end that comes with data is not announced again: read up to it.
  bool ending = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (peer->kind == Peer::Kind::kNode) {
    ServeNode(peer, ending);
  } else {
    ServeClient(peer, ending);
  }
}

void Saturation::AcceptNodes(const Peer& listener) {
  for (OwnedFd fd = AcceptTcp(listener.fd.get()); fd.valid(); fd = AcceptTcp(listener.fd.get())) {
    Add(Peer::Kind::kNode, std::move(fd));
  }
}

void Saturation::ServeNode(Peer* peer, bool ending) {
  for (;;) {
    std::span<char> space = peer->session->ReceiveSpace();
    ssize_t received = recv(peer->fd.get(), space.data(), space.size(), 0);
    if (received < 0 && WouldBlock()) return;
    // A proxy may give up a connection at any time: that is no error.
    if (received <= 0 || !peer->session->Received(static_cast<size_t>(received), &peer->output)) {
      peer->fd.Close();
      return;
    }
    Flush(peer);
    // Less than was asked for: the socket is empty, and more makes a new event.
    if (static_cast<size_t>(received) < space.size() && !ending) return;
  }
}

void Saturation::StartBatch(Peer* peer) {
  peer->sent_bytes = 0;
  peer->received_bytes = 0;
  peer->batch_start_ns = NowNs();
  Flush(peer);
}

void Saturation::ServeClient(Peer* peer, bool ending) {
  for (;;) {
    ssize_t received = recv(peer->fd.get(), receive_buffer_.data(), receive_buffer_.size(), 0);
    if (received < 0 && WouldBlock()) return;
    if (received <= 0) {
      status_ = absl::UnavailableError("the proxy closed a client's connection");
      return;
    }
    size_t size = static_cast<size_t>(received);
    std::string_view bytes(receive_buffer_.data(), size);
    std::string_view expected(expected_replies_);
    if (expected.substr(peer->received_bytes, size) != bytes) {
      status_ = absl::DataLossError("unexpected reply: " + std::string(bytes.substr(0, 80)));
      return;
    }
    peer->received_bytes += size;
    if (peer->received_bytes == expected.size()) {
      latencies_.Record(NowNs() - peer->batch_start_ns);
      requests_done_ += static_cast<uint64_t>(options_.pipeline);
      StartBatch(peer);
    }
    if (size < receive_buffer_.size() && !ending) return;
  }
}

void Saturation::Flush(Peer* peer) {
  while (peer->sent_bytes < peer->output.size()) {
    std::string_view rest = std::string_view(peer->output).substr(peer->sent_bytes);
    ssize_t sent = send(peer->fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) return;  // The socket is full, or closed, which receiving will tell.
    peer->sent_bytes += static_cast<size_t>(sent);
  }
  if (peer->kind == Peer::Kind::kNode) {
    peer->output.clear();
    peer->sent_bytes = 0;
  }
}

}  // namespace rcproxy::benchmarks
