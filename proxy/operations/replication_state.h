// What INFO replication of a node says about who has its writes: how far it has come, and how much
// of that each replica has acknowledged.
//
// Pure; any thread. `info` may be anything.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {

struct ReplicationState {
  bool is_primary = false;
  int64_t offset = -1;                // Bytes of its stream; -1: it does not say.
  std::vector<int64_t> acknowledged;  // Of each replica that is online.

  // How many replicas have everything up to `target`: what WAIT counts.
  int64_t CountAt(int64_t target) const;
};

ReplicationState ParseReplicationState(std::string_view info);

}  // namespace rcproxy::proxy
