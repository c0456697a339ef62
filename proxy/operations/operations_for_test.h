// Operations before three nodes that the test plays by hand. Tests only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "proxy/operations/operations.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {

class OperationsForTest : public RouterForTest {
 public:
  // Starts the operation of a command, as a client connection does, and lets the nodes have its
  // first questions.
  bool BeginWords(const std::vector<std::string>& words) {
    const cluster::CommandForTest owner(words);
    const cluster::CommandSpec* spec = cluster::FindCommand(words[0]);
    if (!spec->subcommands.empty() && words.size() > 1) {
      spec = cluster::FindSubcommand(*spec, words[1]);
    }
    auto operation = spec->Has(cluster::kFlagOperation)
                         ? operations.Make(*spec, owner.view(), protocol)
                         : operations.MakeCrossSlot(*spec, owner.view(), protocol);
    if (operation == nullptr) return false;
    router.Start(&client.replies, *spec, std::move(operation));
    sim.RunFor(sim::kMillisecond);
    return true;
  }
  bool Begin(std::string_view line) { return BeginWords(cluster::Words(line)); }
  // Connections of one's own begin with CLIENT ID.
  void AnswerGreetings() {
    for (NodeForTest* node : {&a, &b, &c}) {
      for (size_t i = 0; i < node->connections(); ++i) {
        if (node->peer(i).received() != Wire("CLIENT ID")) continue;
        node->peer(i).Take();
        node->peer(i).Write(":77\r\n");
      }
    }
    sim.RunFor(sim::kMillisecond);
  }
  // The reply of one that asks nothing.
  std::string Ask(std::string_view line) {
    Begin(line);
    return client.Take();
  }

  resp::Protocol protocol = resp::Protocol::kResp2;
  Operations operations{sim.config, table, router, topology};
};

}  // namespace rcproxy::proxy
