// What INFO replication of a node says about who has which writes: how far its stream has come, how
// much of that each replica has acknowledged, and what a replica has applied of its primary's.
//
// Offsets count the bytes of one stream; a stream has an id, and a primary that takes over, or has
// lost its stream, begins another. Offsets of two streams say nothing about one another.
//
// Pure; any thread. `info` may be anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::cluster {

struct ReplicationState {
  bool is_primary = false;
  bool is_linked = false;             // A replica that its primary's stream arrives at.
  std::string stream_id;              // Empty: it does not say (before Redis 4).
  int64_t offset = -1;                // Bytes of its own stream; -1: it does not say.
  int64_t applied = -1;               // By a replica, of its primary's stream; likewise.
  std::vector<int64_t> acknowledged;  // Of each replica that is online.

  // How many replicas have everything up to `target`: what WAIT counts.
  int64_t CountAt(int64_t target) const;
};

ReplicationState ParseReplicationState(std::string_view info);

// Whether the node that says `replica` has applied all that the one that says `primary` had written
// when it said so.
bool HasAppliedAllOf(const ReplicationState& primary, const ReplicationState& replica);

}  // namespace rcproxy::cluster
