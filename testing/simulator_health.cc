#include "testing/simulator_health.h"

#include <algorithm>

#include "cluster/hash_slot.h"
#include "testing/scenario_text.h"
#include "testing/sim_text.h"
#include "testing/simulator_model.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kPauseNs = kMillisecond;
constexpr size_t kErrorTextMax = 40;

}  // namespace

void SimulatorHealth::Begin() {
  began_ns_ = world_.now_ns();
  for (int shard = 0; shard < static_cast<int>(world_.cluster().shards()); ++shard) {
    probes_.push_back({.shard = shard, .key = KeyOf(shard), .errors = ""});
    probes_.back().peer = world_.NewClient();
    Ask(probes_.back());
  }
}

// Some key that the shard has now. It has a slot at least, or nobody needs it.
std::string SimulatorHealth::KeyOf(int shard) {
  const FakeCluster& cluster = world_.cluster();
  if (std::ranges::count(cluster.truth().shard_of_slot, shard) == 0) return "health:none";
  for (int i = 0;; ++i) {
    std::string key = Concat("health:", i);
    if (cluster.ShardOfSlot(cluster::HashSlot(key)) == shard) return key;
  }
}

void SimulatorHealth::Ask(Probe& probe) {
  probe.peer->Write(EncodeCommand({"SET", probe.key, Concat("probe/", ++asked_)}));
}

std::string SimulatorHealth::Step() {
  for (Probe& probe : probes_) {
    if (probe.served_after_ns >= 0) continue;
    const int64_t size = ReplySize(probe.peer->received());
    if (size == 0) continue;
    const std::string reply = probe.peer->Take();
    if (size != static_cast<int64_t>(reply.size()) ||
        ClassifyReply(reply) == Outcome::kUnexpected) {
      return Concat("the probe of shard ", probe.shard, " was answered: ", Printable(reply));
    }
    if (ClassifyReply(reply) == Outcome::kDone) {
      probe.served_after_ns = world_.now_ns() - began_ns_;
      continue;
    }
    probe.errors += Concat(" ", (world_.now_ns() - began_ns_) / kMillisecond,
                           " ms: ", Printable(reply.substr(0, kErrorTextMax)), ";");
    world_.schedule().After(kPauseNs, [this, &probe] { Ask(probe); });
  }
  return "";
}

bool SimulatorHealth::all_served() const {
  return !probes_.empty() && std::ranges::all_of(probes_, [](const Probe& probe) {
    return probe.served_after_ns >= 0;
  });
}

const SimulatorHealth::Probe& SimulatorHealth::Slowest() const {
  return *std::ranges::max_element(probes_, {}, &Probe::served_after_ns);
}

int64_t SimulatorHealth::slowest_ns() const { return Slowest().served_after_ns; }

std::string SimulatorHealth::slowest() const {
  const Probe& probe = Slowest();
  return Concat("shard ", probe.shard, " (", world_.cluster().primary(probe.shard).Address(),
                ") after ", probe.served_after_ns / kMillisecond, " ms;", probe.errors);
}

void SimulatorHealth::Leave() {
  for (Probe& probe : probes_) probe.peer->Close();
}

}  // namespace rcproxy::sim
