// How far the replica behind a connection is known to have come, for --read_your_writes=offset.
//
// It is known of a connection and not of a node: a replica that is started again serves what it had
// on disk, and all its connections have closed.
//
// Owner: UpstreamConnection, which forgets it when it closes; written by ReplicationWatch. Thread:
// the worker's.
#pragma once

#include <cstdint>

namespace rcproxy::proxy {

class UpstreamNode;

// All writes that had been answered when a round of ReplicationWatch began.
struct WritesUpTo {
  uint64_t round = 0;                     // 0: none.
  uint32_t epoch = 0;                     // Of the routing table at that time.
  const UpstreamNode* primary = nullptr;  // By whom; only compared, as it may be gone.
};

struct ReplicaProgress {
  enum class Inquiry : uint8_t { kNone, kWanted, kAsked };

  // Of `needed`, the epoch is that since which the primary has had the slot that is to be read.
  bool Has(const WritesUpTo& needed) const {
    return applied.round >= needed.round && applied.epoch >= needed.epoch &&
           applied.primary == needed.primary;
  }

  WritesUpTo applied;
  Inquiry inquiry = Inquiry::kNone;
};

}  // namespace rcproxy::proxy
