// Any bytes as INFO replication: no read outside them, and what is said keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cluster/replication_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using rcproxy::cluster::ReplicationState;
  const std::string_view info(reinterpret_cast<const char*>(data), size);
  const ReplicationState state = rcproxy::cluster::ParseReplicationState(info);
  if (state.acknowledged.size() > size || state.stream_id.size() > size) std::abort();
  ReplicationState primary;
  primary.is_primary = true;
  primary.stream_id = "a";
  primary.offset = 7;
  if (HasAppliedAllOf(primary, state) && (state.applied < 7 || state.is_primary)) std::abort();
  if (HasAppliedAllOf(state, state)) std::abort();  // None is its own replica.
  return 0;
}
