// Learns which commands the nodes have: asks one primary after another for COMMAND, and publishes
// what all of them know.
//
// When: after the first map, after a map with a primary that has not answered, and when somebody
// asks for it (PROXY REFRESH); at most every learn_commands_interval. Nobody waits for it: until
// the first table there is the built-in one. One node is asked at a time, and each reply is read in
// a turn of its own, which takes about a millisecond. A primary that does not answer is left out,
// and asked again after a later map.
//
// Owner: the Worker with index 0. Thread: that worker's.
// Invariants: 1. at most one question is outstanding; 2. at most kTablesMax different tables are
// published, because every worker keeps each of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_report.h"
#include "cluster/learnt_commands.h"
#include "cluster/topology.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class CommandLearner final : private InternalReply {
 public:
  static constexpr size_t kTablesMax = 32;

  using Publish = std::function<void(std::shared_ptr<const cluster::LearntCommands>)>;

  CommandLearner(Resources& resources, RoutingTable& table, Router& router, Publish publish);
  // Requires: no question is outstanding.
  ~CommandLearner();

  // The routing table has adopted a map.
  void OnMapAdopted();
  // All are to be asked again, after the next map.
  void Forget() { answered_.clear(); }
  void Stop();

 private:
  // InternalReply
  void OnReply(std::string_view reply) override;
  void OnLost() override;

  void OnTimer();
  void Begin();
  void AskNext();
  void NoteFailure(std::string_view why);
  void Finish();
  void PublishTable(std::shared_ptr<const cluster::LearntCommands> table);

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  Publish publish_;
  std::vector<cluster::NodeAddress> to_ask_;  // In this round.
  std::set<std::string> answered_;            // In this round, or the last: addresses.
  cluster::NodeAddress asked_;
  std::optional<cluster::CommandReport> common_;  // Of those that have answered.
  bool running_ = false;                          // A round.
  bool waiting_ = false;                          // For the answer to a question.
  bool again_ = false;                            // A map came meanwhile.
  bool stopped_ = false;
  bool differ_ = false;      // The nodes that have answered do not all have the same commands.
  int64_t earliest_ns_ = 0;  // The next round may begin.
  std::vector<std::shared_ptr<const cluster::LearntCommands>> tables_;  // All that were published.
  const cluster::LearntCommands* published_ = nullptr;                  // The last.
  uring::Timer timer_;
};

}  // namespace rcproxy::proxy
