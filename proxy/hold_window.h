// How many requests wait for each shard of the cluster, and how many may: while a shard has no
// primary that can be reached its requests are held, up to a number and up to their bytes; what
// comes beyond gets an error at once, so that a shard that is down costs the others nothing.
//
// Owner: Router. Thread: the worker's.
// Invariant: the requests counted are those in the router's list of delayed ones. Each carries what
// it was counted as (Request::hold), so that a change of the map in between does no harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proxy/config.h"
#include "proxy/request.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

class HoldWindow {
 public:
  HoldWindow(const Config& config, Stats& stats) : config_(config), stats_(stats) {}

  // Whether a request of so many bytes may wait for `shard` (an index of the routing table), beside
  // those that wait for a connection to its primary.
  bool HasRoom(uint16_t shard, size_t bytes, const WaitingLoad& waiting) const;
  bool HasAny(uint16_t shard) const {
    return shard < shards_.size() && shards_[shard].requests > 0;
  }
  void Enter(Request* request, uint16_t shard);
  // Requires: entered.
  void Leave(const Request& request);
  size_t requests() const { return requests_; }

 private:
  const Config& config_;
  Stats& stats_;
  size_t requests_ = 0;
  std::vector<WaitingLoad> shards_;  // By index; grows as needed.
};

}  // namespace rcproxy::proxy
