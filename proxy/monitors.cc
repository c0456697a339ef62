#include "proxy/monitors.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/client_info.h"
#include "proxy/monitor_line.h"
#include "proxy/text.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr size_t kArgumentBytesMax = 1024;

}  // namespace

Monitors::Monitors(Resources& resources, MonitorHost& host) : resources_(resources), host_(host) {
  SetObserved();
}

Monitors::~Monitors() { CHECK(monitors_.IsEmpty()); }

// Tells all workers of the client, then lets it see.
class MonitorOperation final : public Operation {
 public:
  MonitorOperation(Monitors& monitors, Monitor* monitor, MonitorFilter filter)
      : monitors_(monitors), monitor_(monitor), filter_(std::move(filter)) {}

  void Next(std::span<const std::string_view>, Round* round) override {
    if (!std::exchange(told_, true)) return TellAll(round->Wait());
    if (!monitor_->IsLinked()) monitors_.monitors_.PushBack(monitor_);
    round->Finish("+OK\r\n");
  }

 private:
  void TellAll(uint64_t wait_id) {
    monitors_.host_.OnAllWorkers([client = monitor_->client, filter = std::move(filter_)](
                                     Monitors& monitors) { monitors.AddFilter(client, filter); },
                                 wait_id);
  }

  Monitors& monitors_;
  Monitor* const monitor_;
  MonitorFilter filter_;
  bool told_ = false;
};

std::unique_ptr<Operation> Monitors::Begin(Monitor* monitor, MonitorFilter filter) {
  return std::make_unique<MonitorOperation>(*this, monitor, std::move(filter));
}

void Monitors::Remove(Monitor* monitor) {
  if (monitor->IsLinked()) monitor->Unlink();
  host_.OnAllWorkers(
      [client = monitor->client](Monitors& monitors) { monitors.RemoveFilter(client); },
      /*wait_id=*/0);
}

void Monitors::AddFilter(int64_t client, const MonitorFilter& filter) {
  filters_.insert_or_assign(client, filter);
  SetObserved();
}

void Monitors::RemoveFilter(int64_t client) {
  filters_.erase(client);
  SetObserved();
}

void Monitors::SetObserved() {
  resources_.observed = !filters_.empty() || resources_.config.log_every_n > 0;
}

void Monitors::Note(const Session& session, const cluster::CommandSpec& spec,
                    const resp::CommandView& command) {
  if (!IsShownToMonitors(spec)) return;
  std::vector<int64_t> clients;
  for (const auto& [client, filter] : filters_) {
    if (filter.Matches(session, spec, command)) clients.push_back(client);
  }
  if (clients.empty()) return;
  if (!IsWithinRate()) {
    resources_.stats.monitor_lines_dropped.Add();
    return;
  }
  const std::string client = Concat(session.database, " ", PeerAddress(session));
  std::string line =
      MonitorLine(absl::ToUnixMicros(absl::Now()), client, spec, command, kArgumentBytesMax);
  host_.OnAllWorkers([line = std::move(line), clients = std::move(clients)](
                         Monitors& monitors) { monitors.Show(line, clients); },
                     /*wait_id=*/0);
}

void Monitors::NoteAll(const Session& session, std::string_view commands) {
  resp::RequestScanner scanner;
  while (!commands.empty()) {
    scanner.Reset();
    // They had been scanned before they were queued.
    CHECK(scanner.Scan(commands, resp::kDefaultRequestLimits) == resp::ScanStatus::kCommand);
    if (const cluster::CommandSpec* spec = resources_.commands.FindFor(scanner.command()))
      Note(session, *spec, scanner.command());
    commands.remove_prefix(scanner.consumed());
  }
}

bool Monitors::IsWithinRate() {
  const int64_t now_ns = resources_.io.NowNs();
  if (now_ns - second_began_ns_ >= kNsPerSecond) {
    second_began_ns_ = now_ns;
    lines_in_second_ = 0;
  }
  return lines_in_second_++ < resources_.config.monitor_lines_per_s;
}

void Monitors::Show(std::string_view line, const std::vector<int64_t>& clients) {
  if (monitors_.IsEmpty()) return;
  const Staging::Block block = resources_.client_staging.Take(line.size(), line.size());
  std::ranges::copy(line, block.begin);
  const uring::Slice slice = uring::Slice::Adopt(block.chunk, block.begin, line.size());
  for (Monitor* monitor = monitors_.Front(); monitor != nullptr;
       monitor = monitors_.Next(monitor)) {
    if (std::ranges::find(clients, monitor->client) != clients.end())
      monitor->output.Send({}, slice.chunk(), slice.view());
  }
}

}  // namespace rcproxy::proxy
