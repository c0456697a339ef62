#include "testing/simulator_summary.h"

#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr size_t kWorstShown = 5;

void AddTo(Happenings* sum, const Happenings& part) {
  for (const auto& [kind, count] : part) (*sum)[kind] += count;
}

std::string List(const Happenings& happenings) {
  std::string text;
  for (const auto& [kind, count] : happenings)
    text += Concat(text.empty() ? "" : ", ", kind, " ", count);
  return text;
}

}  // namespace

void SweepSummary::Add(uint64_t seed, const SimulatorResult& result) {
  ++seeds_;
  seeds_without_fault_ += result.faults == 0;
  commands_ += result.commands;
  errors_ += result.errors;
  faults_ += result.faults;
  AddTo(&happenings_, result.happenings);
  AddTo(&counters_, result.counters);
  if (result.healthy_after_ns > 0) healthy_.Add(seed, result.healthy_after_ns, result.last_healthy);
  if (result.reply_late_ns > 0) late_.Add(seed, result.reply_late_ns, result.latest_reply);
}

std::string SweepSummary::Text() const {
  return Concat("all ", seeds_, " seeds: ", commands_, " commands, ", errors_, " errors, ", faults_,
                " faults; seeds without any fault: ", seeds_without_fault_,
                "\nhappened: ", List(happenings_), "\nrcproxy: ", List(counters_),
                "\nhealthy again: ", healthy_.Text(),
                "\nreplies after the time limit: ", late_.Text(), "\n");
}

void SweepSummary::Slowest::Add(uint64_t seed, int64_t ns, const std::string& what) {
  ++seeds_by_ms[ns / kMillisecond];
  worst[ns] = Concat("\n  seed ", seed, ": ", ns / kMillisecond, " ms, ", what);
  if (worst.size() > kWorstShown) worst.erase(worst.begin());
}

// Half of the seeds, 99 of 100, and all need no longer than this.
std::string SweepSummary::Slowest::Text() const {
  uint64_t seeds = 0, seen = 0;
  for (const auto& [ms, count] : seeds_by_ms) seeds += count;
  std::string text = Concat(seeds, " seeds");
  for (const auto& [ms, count] : seeds_by_ms) {
    for (const uint64_t percent : {50, 99, 100}) {
      const uint64_t rank = (seeds * percent + 99) / 100;
      if (seen < rank && rank <= seen + count) text += Concat(", ", percent, " %: ", ms, " ms");
    }
    seen += count;
  }
  for (auto line = worst.rbegin(); line != worst.rend(); ++line) text += line->second;
  return text;
}

}  // namespace rcproxy::sim
