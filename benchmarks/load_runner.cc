#include "benchmarks/load_runner.h"

#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rcproxy::benchmarks {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kReconnectNs = kSecondNs / 20;
constexpr uint64_t kDrainNs = 2 * kSecondNs;
constexpr uint64_t kPreloadTimeoutNs = 60 * kSecondNs;
constexpr uint32_t kPreloadPipeline = 16;

uint64_t NowNs() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

// For a JSON string: what is not plain text becomes '?'.
std::string Plain(const std::string& text) {
  std::string plain = text;
  for (char& c : plain) {
    if (c < ' ' || c > '~' || c == '"' || c == '\\') c = '?';
  }
  return plain;
}

}  // namespace

uint64_t LoadReport::wrong() const {
  uint64_t sum = 0;
  for (uint64_t count : verdicts) sum += count;
  return sum - verdicts[static_cast<size_t>(Verdict::kRight)];
}

std::string LoadReport::ToJson() const {
  auto us = [this](double fraction) {
    return static_cast<double>(latency.Percentile(fraction)) * 1e-3;
  };
  std::string json = absl::StrFormat(
      "{\"seconds\": %.3f, \"requests\": %d, \"requests_per_second\": %.1f, \"reads\": %d, "
      "\"writes\": %d, \"errors\": %d, \"lost\": %d, \"unanswered\": %d, \"disconnects\": %d, "
      "\"connections\": %d, \"longest_silence_seconds\": %.3f, \"wrong\": %d",
      seconds, requests(), static_cast<double>(requests()) / std::max(seconds, 1e-9), reads, writes,
      errors, lost, unanswered, disconnects, connections, longest_silence_seconds, wrong());
  for (size_t i = 0; i < kVerdictCount; ++i) {
    absl::StrAppendFormat(&json, ", \"%s\": %d", VerdictName(static_cast<Verdict>(i)), verdicts[i]);
  }
  absl::StrAppendFormat(&json, ", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f", us(0.5),
                        us(0.99), us(0.999));
  absl::StrAppendFormat(&json, ", \"max_us\": %.1f, \"first_error\": \"%s\"}",
                        static_cast<double>(latency.max_nanoseconds()) * 1e-3, Plain(first_error));
  return json;
}

LoadRunner::LoadRunner(const LoadOptions& options)
    : options_(options),
      ledger_(options.key_prefix, std::max(options.keys, options.clients), options.value_bytes),
      random_(options.seed * 2 + 1) {}

absl::StatusOr<LoadReport> LoadRunner::Run() {
  if (absl::Status status = ConnectAll(); !status.ok()) return status;
  if (absl::Status status = Preload(); !status.ok()) return status;
  Measure();
  Drain();
  return report_;
}

absl::Status LoadRunner::ConnectAll() {
  epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  for (uint32_t i = 0; i < options_.clients; ++i) {
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->index = i;
    ++disconnected_;
    Reconnect(clients_.back().get());
    if (disconnected_ != 0) return absl::UnavailableError(report_.first_error);
  }
  return absl::OkStatus();
}

absl::Status LoadRunner::Preload() {
  phase_ = Phase::kPreload;
  now_ns_ = NowNs();
  uint64_t end_ns = now_ns_ + kPreloadTimeoutNs;
  for (auto& client : clients_) Refill(client.get());
  auto loaded = [this] {
    return std::all_of(clients_.begin(), clients_.end(), [this](const auto& client) {
      return client->preloaded == KeysOf(*client) && client->connection.pending().empty();
    });
  };
  while (!loaded() && report_.first_error.empty() && now_ns_ < end_ns) Turn(now_ns_ + kReconnectNs);
  if (loaded() && report_.first_error.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "writing the keys: ", report_.first_error.empty() ? "timeout" : report_.first_error));
}

void LoadRunner::Measure() {
  uint64_t connections = report_.connections;
  report_ = LoadReport();
  report_.connections = connections;
  phase_ = Phase::kMeasure;
  const uint64_t start_ns = now_ns_ = last_good_ns_ = next_due_ns_ = NowNs();
  const uint64_t end_ns = start_ns + static_cast<uint64_t>(options_.seconds * 1e9);
  if (options_.rate == 0) {
    for (auto& client : clients_) Refill(client.get());
  }
  while (now_ns_ < end_ns) {
    if (options_.rate > 0) IssueDue();
    uint64_t until_ns = options_.rate > 0 ? std::min(end_ns, next_due_ns_) : end_ns;
    Turn(disconnected_ > 0 ? std::min(until_ns, now_ns_ + kReconnectNs) : until_ns);
  }
  report_.seconds = static_cast<double>(now_ns_ - start_ns) * 1e-9;
  EndSilence();
}

void LoadRunner::Drain() {
  phase_ = Phase::kDrain;
  uint64_t end_ns = now_ns_ + kDrainNs;
  while (CountPending() > 0 && now_ns_ < end_ns) Turn(now_ns_ + kReconnectNs);
  report_.unanswered = CountPending();
}

void LoadRunner::Turn(uint64_t until_ns) {
  uint64_t wait_ns = until_ns > now_ns_ ? until_ns - now_ns_ : 0;
  timespec timeout = {.tv_sec = static_cast<time_t>(wait_ns / kSecondNs),
                      .tv_nsec = static_cast<long>(wait_ns % kSecondNs)};
  epoll_event events[128];
  int count = epoll_pwait2(epoll_.get(), events, std::size(events), &timeout, nullptr);
  now_ns_ = NowNs();
  for (int i = 0; i < count; ++i) {
    ServeEvent(static_cast<Client*>(events[i].data.ptr), events[i].events);
  }
  if (disconnected_ > 0) ReconnectAllDue();
}

void LoadRunner::ServeEvent(Client* client, uint32_t events) {
  if (!client->connection.connected()) return;
  if (events & EPOLLOUT) client->connection.Flush();
  if ((events & ~EPOLLOUT) == 0) return;
  now_ns_ = NowNs();
  bool ending = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  absl::Status status = client->connection.Receive(
      ending,
      [this](const LoadRequest& request, std::string_view reply) { OnReply(request, reply); });
  if (!status.ok()) {
    ++report_.disconnects;
    Disconnect(client, status);
    return;
  }
  bool used_up = options_.requests_per_connection != 0 &&
                 client->sent_on_connection >= options_.requests_per_connection;
  if (used_up && phase_ == Phase::kMeasure && client->connection.pending().empty()) {
    Disconnect(client, absl::OkStatus());
    Reconnect(client);
  }
  if (options_.rate == 0 || phase_ == Phase::kPreload) Refill(client);
}

void LoadRunner::Disconnect(Client* client, const absl::Status& why) {
  report_.lost += client->connection.Close().size();
  if (!why.ok() && report_.first_error.empty()) {
    report_.first_error = std::string(why.message());
  }
  client->connect_at_ns = now_ns_ + kReconnectNs;
  ++disconnected_;
}

void LoadRunner::Reconnect(Client* client) {
  client->connect_started_ns = phase_ == Phase::kMeasure ? NowNs() : 0;
  absl::Status status = client->connection.Connect(options_.address);
  if (!status.ok()) {
    if (report_.first_error.empty()) report_.first_error = std::string(status.message());
    client->connect_at_ns = NowNs() + kReconnectNs;
    return;
  }
  client->sent_on_connection = 0;
  --disconnected_;
  ++report_.connections;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = client;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client->connection.fd(), &event);
}

void LoadRunner::ReconnectAllDue() {
  for (auto& client : clients_) {
    if (client->connection.connected() || client->connect_at_ns > now_ns_) continue;
    Reconnect(client.get());
    if (client->connection.connected() && (options_.rate == 0 || phase_ == Phase::kPreload)) {
      Refill(client.get());
    }
  }
}

void LoadRunner::Refill(Client* client) {
  if (!client->connection.connected() || phase_ == Phase::kDrain) return;
  bool preload = phase_ == Phase::kPreload;
  uint32_t wanted = preload ? kPreloadPipeline : options_.pipeline;
  uint32_t limit = preload ? 0 : options_.requests_per_connection;
  while (client->connection.pending().size() < wanted) {
    if (preload && client->preloaded == KeysOf(*client)) break;
    if (limit != 0 && client->sent_on_connection >= limit) break;
    // With connections that are used up, opening one is part of its first request.
    bool first = limit != 0 && client->sent_on_connection == 0 && client->connect_started_ns != 0;
    Issue(client, first ? client->connect_started_ns : now_ns_);
  }
  client->connection.Flush();
}

void LoadRunner::IssueDue() {
  const uint64_t interval_ns = static_cast<uint64_t>(1e9 / options_.rate);
  while (next_due_ns_ <= now_ns_ && disconnected_ < clients_.size()) {
    Client* client = clients_[next_client_++ % clients_.size()].get();
    if (!client->connection.connected()) continue;
    Issue(client, next_due_ns_);
    client->connection.Flush();
    next_due_ns_ += interval_ns;
  }
}

void LoadRunner::Issue(Client* client, uint64_t due_ns) {
  LoadRequest request{.due_ns = due_ns, .key = ChooseKey(client)};
  // The upper 53 bits as a number from 0 to 1.
  double dice = static_cast<double>(Random() >> 11) * 0x1p-53;
  request.read = phase_ != Phase::kPreload && dice < options_.read_ratio;
  std::string* output = client->connection.output();
  if (request.read) {
    ledger_.AppendGet(request.key, output);
    request.sequence = ledger_.issued(request.key);
  } else {
    request.sequence = ledger_.AppendSet(request.key, output);
  }
  client->connection.Queue(request);
  if (phase_ == Phase::kMeasure) ++client->sent_on_connection;
}

uint32_t LoadRunner::KeysOf(const Client& client) const {
  return (ledger_.keys() - client.index + options_.clients - 1) / options_.clients;
}

uint32_t LoadRunner::ChooseKey(Client* client) {
  uint32_t which = phase_ == Phase::kPreload
                       ? client->preloaded++
                       : static_cast<uint32_t>((Random() >> 32) % KeysOf(*client));
  return client->index + which * options_.clients;
}

// xorshift64*: quick, and any seed but 0 will do.
uint64_t LoadRunner::Random() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * uint64_t{0x2545f4914f6cdd1d};
}

void LoadRunner::OnReply(const LoadRequest& request, std::string_view reply) {
  ++(request.read ? report_.reads : report_.writes);
  report_.latency.Record(now_ns_ - std::min(now_ns_, request.due_ns));
  if (reply[0] == '-') {
    OnError(reply);
    return;
  }
  if (phase_ == Phase::kMeasure) EndSilence();
  Verdict verdict = Verdict::kRight;
  if (!request.read) {
    if (reply == "+OK\r\n") {
      ledger_.Acknowledge(request.key, request.sequence);
    } else {
      verdict = Verdict::kMalformed;
    }
  } else if (options_.verify) {
    verdict = ledger_.CheckRead(request.key, request.sequence, reply);
  }
  ++report_.verdicts[static_cast<size_t>(verdict)];
}

void LoadRunner::EndSilence() {
  double silence = static_cast<double>(now_ns_ - last_good_ns_) * 1e-9;
  report_.longest_silence_seconds = std::max(report_.longest_silence_seconds, silence);
  last_good_ns_ = now_ns_;
}

void LoadRunner::OnError(std::string_view reply) {
  ++report_.errors;
  if (report_.first_error.empty()) report_.first_error = std::string(reply.substr(1, 120));
}

size_t LoadRunner::CountPending() const {
  size_t sum = 0;
  for (const auto& client : clients_) sum += client->connection.pending().size();
  return sum;
}

}  // namespace rcproxy::benchmarks
