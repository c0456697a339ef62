// Which copy of a shard serves a read that may be answered by a replica.
//
// Copies in rcproxy's zone come before others, unless they have too much to do already; among
// those the one with the fewest requests in flight, weighted by how long it takes to answer where
// the nearest is wanted; among equals they take turns.
//
// A replica that is not known to have what the client has written (--read_your_writes=offset) is
// not asked; ReplicationWatch hears of it.
//
// Thread: the worker's. Per read: a look at each copy of the shard.
#pragma once

#include <cstdint>

#include "proxy/config.h"
#include "proxy/replica_progress.h"
#include "proxy/replication_watch.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {

struct ReadNeeds {
  ReadPreference preference = ReadPreference::kPrimary;
  LinkKind at_primary;                // The connection, but at a replica.
  WritesUpTo written = {};            // What a replica must have; round 0: nothing in particular.
  ReplicationWatch* watch = nullptr;  // There when it must have something.
  const UpstreamNode* except = nullptr;  // Not this one.

  // Whether the primary does not serve it even if no replica can. It does where they may lack what
  // the client has written.
  bool MustBeReplica() const {
    return preference == ReadPreference::kReplica && written.round == 0;
  }
};

// The connection to the copy that serves the read: of a kind that differs from `at_primary` only
// where the copy is a replica. nullptr when none of those that `preference` names first can be
// asked now (for kReplica: at all).
UpstreamConnection* ChooseCopy(const Config& config, const ShardRoute& shard,
                               const ReadNeeds& needs);

// The same for a read that `except` keeps waiting: the primary, too, where no other can be asked,
// unless MustBeReplica.
UpstreamConnection* ChooseOtherCopy(const Config& config, const ShardRoute& shard,
                                    const ReadNeeds& needs);

}  // namespace rcproxy::proxy
