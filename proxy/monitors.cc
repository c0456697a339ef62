#include "proxy/monitors.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/client_info.h"
#include "proxy/monitor_line.h"
#include "proxy/text.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr size_t kArgumentBytesMax = 1024;

}  // namespace

Monitors::Monitors(Resources& resources, MonitorHost& host) : resources_(resources), host_(host) {
  Count(0);
}

Monitors::~Monitors() { CHECK(monitors_.IsEmpty()); }

// Tells all workers of the client, then lets it see.
class MonitorOperation final : public Operation {
 public:
  MonitorOperation(Monitors& monitors, Monitor* monitor) : monitors_(monitors), monitor_(monitor) {}

  void Next(std::span<const std::string_view>, Round* round) override {
    if (!std::exchange(told_, true))
      return monitors_.host_.CountMonitorOnAllWorkers(1, round->Wait());
    monitors_.monitors_.PushBack(monitor_);
    round->Finish("+OK\r\n");
  }

 private:
  Monitors& monitors_;
  Monitor* const monitor_;
  bool told_ = false;
};

std::unique_ptr<Operation> Monitors::Begin(Monitor* monitor) {
  return std::make_unique<MonitorOperation>(*this, monitor);
}

void Monitors::Remove(Monitor* monitor) {
  if (monitor->IsLinked()) monitor->Unlink();
  host_.CountMonitorOnAllWorkers(-1, /*wait_id=*/0);
}

void Monitors::Count(int difference) {
  count_ += difference;
  resources_.observed = count_ > 0 || resources_.config.log_every_n > 0;
}

void Monitors::Note(const Session& session, const cluster::CommandSpec& spec,
                    const resp::CommandView& command) {
  if (count_ == 0 || !IsShownToMonitors(spec)) return;
  if (!IsWithinRate()) {
    resources_.stats.monitor_lines_dropped.Add();
    return;
  }
  const std::string client = Concat(session.database, " ", PeerAddress(session));
  host_.ShowOnAllWorkers(
      MonitorLine(absl::ToUnixMicros(absl::Now()), client, spec, command, kArgumentBytesMax));
}

bool Monitors::IsWithinRate() {
  const int64_t now_ns = resources_.io.NowNs();
  if (now_ns - second_began_ns_ >= kNsPerSecond) {
    second_began_ns_ = now_ns;
    lines_in_second_ = 0;
  }
  return lines_in_second_++ < resources_.config.monitor_lines_per_s;
}

void Monitors::Show(std::string_view line) {
  if (monitors_.IsEmpty()) return;
  const Staging::Block block = resources_.client_staging.Take(line.size(), line.size());
  std::ranges::copy(line, block.begin);
  const uring::Slice slice = uring::Slice::Adopt(block.chunk, block.begin, line.size());
  for (Monitor* monitor = monitors_.Front(); monitor != nullptr; monitor = monitors_.Next(monitor))
    monitor->output.Send({}, slice.chunk(), slice.view());
}

}  // namespace rcproxy::proxy
