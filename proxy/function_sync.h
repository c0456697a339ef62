// Gives the cluster's functions to primaries that join without any: a server gives them to replicas
// only.
//
//   a map with a primary that no map had before, or that owns its first slots
//   -> FUNCTION STATS of every primary: who has libraries, who has none
//   -> FUNCTION DUMP of the one that has most of them
//   -> FUNCTION RESTORE ... APPEND to each new one that has none
//
// Nothing is replaced or deleted: a primary that has some libraries is left as it is. Primaries of
// the first map are no news, nor are replicas that are promoted. A connection that is lost makes
// another round a second later; what a node refuses it is not asked again until it joins anew.
//
// Owner: the Worker with index 0. Thread: that worker's.
// Invariants: 1. at most one round is under way; 2. a node is given functions only in the round in
// which it has said that it has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class FunctionSync {
 public:
  FunctionSync(Resources& resources, RoutingTable& table, Router& router);
  // Requires: no question under way.
  ~FunctionSync();

  // The worker has adopted `topology`.
  void OnMap(const cluster::Topology& topology);
  void Stop();

 private:
  struct Question;
  struct KnownNode {
    cluster::NodeAddress address;
    bool is_news_with_slots = false;  // A primary that has none so far.
  };
  // nullopt: the connection was lost.
  using Answer = std::optional<std::string_view>;
  using Handler = void (FunctionSync::*)(size_t index, Answer answer);

  void Begin();
  void Ask(size_t index, const std::string& command, Handler handler);
  void OnStats(size_t index, Answer answer);
  void OnCounted();
  void OnDump(size_t index, Answer answer);
  void OnRestored(size_t index, Answer answer);
  void NoteRefused(const cluster::NodeAddress& address, std::string_view why);
  void TryLater(size_t index);
  void EndRound();

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  bool stopped_ = false;
  bool has_map_ = false;
  std::vector<KnownNode> known_;                 // Of the last map.
  std::vector<cluster::NodeAddress> primaries_;  // Likewise; those that are online.
  std::vector<cluster::NodeAddress> joined_;     // For the next round.

  // The round under way: all primaries at its begin, how many libraries each has, and which of them
  // are to be given theirs.
  static constexpr int64_t kUnknown = -1;
  static constexpr int64_t kLost = -2;
  std::vector<cluster::NodeAddress> asked_;
  std::vector<int64_t> libraries_;
  std::vector<size_t> targets_;
  size_t pending_ = 0;
  uring::Timer retry_timer_;
};

}  // namespace rcproxy::proxy
