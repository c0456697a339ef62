#include "testing/simulator_summary.h"

#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

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

void SweepSummary::Add(const SimulatorResult& result) {
  ++seeds_;
  seeds_without_fault_ += result.faults == 0;
  commands_ += result.commands;
  errors_ += result.errors;
  faults_ += result.faults;
  AddTo(&happenings_, result.happenings);
  AddTo(&counters_, result.counters);
}

std::string SweepSummary::Text() const {
  return Concat("all ", seeds_, " seeds: ", commands_, " commands, ", errors_, " errors, ", faults_,
                " faults; seeds without any fault: ", seeds_without_fault_,
                "\nhappened: ", List(happenings_), "\nrcproxy: ", List(counters_), "\n");
}

}  // namespace rcproxy::sim
