// Asks how far replicas have come, for --read_your_writes=offset: a client's reads go to a replica
// only when that is known to have applied all that the client has written.
//
//   a read is kept from a replica -> round n: its primary is asked how far its stream has come (M)
//   the primary's answer          -> the replica is asked, over the connection that was wanted
//   it has applied M of the same stream -> it has every write that was answered before round n
//
// What was answered before a round began was executed before the primary read the question, and so
// is not behind M. Rounds and not times are compared, so no clock counts. What is known ends with
// the connection, and when the slot has another owner: see ReplicaProgress.
//
// A replica of a slot that moves key by key says of keys that have gone already that they are not
// there, where its primary would say ASK: such slots are read from the primary until they have
// another owner.
//
// Owner: Router. Thread: the worker's.
// Invariants: 1. nothing is asked unless a read was kept from a replica, and no primary more often
// than every kIntervalNs; 2. at most one question is under way per primary, and one per connection
// to a replica. Both give way to clients.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "cluster/replication_state.h"
#include "proxy/replica_progress.h"
#include "proxy/resources.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_connection.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class ReplicationWatch {
 public:
  static constexpr int64_t kIntervalNs = 50'000'000;

  ReplicationWatch(Resources& resources, RoutingTable& table);
  // Requires: no question under way.
  ~ReplicationWatch();

  uint64_t next_round() const { return rounds_ + 1; }
  // A read could have gone over `link`, had the replica been known to have come far enough.
  void Want(UpstreamConnection& link);

  // A node has answered ASK for a key of `slot`.
  void NoteMoving(uint16_t slot) { moving_since_[slot] = table_.epoch(); }
  // Whether replicas may lack keys of `slot` because of that.
  bool IsMoving(uint16_t slot);

 private:
  struct PrimaryQuestion;
  struct ReplicaQuestion;

  void BeginRound();
  void OnPrimary(const WritesUpTo& asked, std::string_view reply);
  void OnPrimaryLost(const UpstreamNode* primary);
  void OnReplica(const ReplicaQuestion& question, std::string_view reply);
  void OnReplicaLost(UpstreamConnection& link);
  // Calls `visit` with each connection to a replica that is wanted, and the primary of its shard.
  template <class Visitor>
  void ForEachWanted(Visitor&& visit) const;

  Resources& resources_;
  RoutingTable& table_;
  uint64_t rounds_ = 0;  // That have begun.
  int64_t earliest_ns_ = 0;
  std::vector<const UpstreamNode*> asked_;     // Primaries with a question under way.
  std::map<uint16_t, uint32_t> moving_since_;  // Slot -> epoch of the routing table.
  uring::Timer timer_;
};

}  // namespace rcproxy::proxy
