// Operations before three nodes that the test plays by hand. Tests only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "cluster/hash_slot.h"
#include "proxy/local_host.h"
#include "proxy/operations/operations.h"
#include "proxy/router_for_test.h"
#include "proxy/server_facts.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

// Workers that answer when the test says so (Router::Resume).
class WorkersForTest final : public LocalHost {
 public:
  void AskWorkers(WorkerQuestion, uint64_t wait_id) override { asked = wait_id; }
  void AwaitTracking(int64_t, uint64_t) override {}
  bool Resp3Known() const override { return true; }
  std::string_view DatabaseRefused(uint16_t) const override { return ""; }
  int SlotsServed() const override { return cluster::kSlotCount; }
  int64_t NowNs() const override { return 0; }
  const KnownCommands& Commands() const override { return commands; }
  Stats& WorkerStats() override { return stats; }

  KnownCommands commands;
  Stats stats;
  uint64_t asked = 0;  // What the operation waits for.
};

class OperationsForTest : public RouterForTest {
 public:
  OperationsForTest() {
    facts.config = &sim.config;
    facts.workers = {&sim.stats};
  }
  // Starts the operation of a command, as a client connection does, and lets the nodes have its
  // first questions.
  bool BeginWords(const std::vector<std::string>& words) {
    const cluster::CommandForTest owner(words);
    const cluster::CommandSpec* spec = cluster::FindCommand(words[0]);
    if (!spec->subcommands.empty() && words.size() > 1) {
      spec = cluster::FindSubcommand(*spec, words[1]);
    }
    auto operation = spec->Has(cluster::kFlagOperation)
                         ? operations.Make(*spec, owner.view(), protocol, &client.replies.writes())
                         : operations.MakeCrossSlot(*spec, owner.view(), protocol);
    if (operation == nullptr) return false;
    router.Start(&client.replies, *spec, std::move(operation));
    sim.RunFor(sim::kMillisecond);
    return true;
  }
  bool Begin(std::string_view line) { return BeginWords(cluster::Words(line)); }
  // The reply of one that asks nothing.
  std::string Ask(std::string_view line) {
    Begin(line);
    return client.Take();
  }

  resp::Protocol protocol = resp::Protocol::kResp2;
  ServerFacts facts;
  WorkersForTest workers;
  Operations operations{sim.resources, facts, table, router, topology, workers};
};

}  // namespace rcproxy::proxy
