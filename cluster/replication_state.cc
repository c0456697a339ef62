#include "cluster/replication_state.h"

#include <algorithm>
#include <cstddef>

#include "resp/number.h"

namespace rcproxy::cluster {
namespace {

// "slave12", but not "slave_priority".
bool NamesReplica(std::string_view name) {
  if (!name.starts_with("slave") || name.size() == 5) return false;
  return std::ranges::all_of(name.substr(5), [](char c) { return c >= '0' && c <= '9'; });
}

// The part "name=..." of "a=1,b=2"; empty when there is none.
std::string_view Part(std::string_view parts, std::string_view name) {
  while (!parts.empty()) {
    std::string_view part = parts.substr(0, parts.find(','));
    parts.remove_prefix(std::min(part.size() + 1, parts.size()));
    if (part.starts_with(name) && part.substr(name.size()).starts_with('='))
      return part.substr(name.size() + 1);
  }
  return {};
}

}  // namespace

int64_t ReplicationState::CountAt(int64_t target) const {
  return std::ranges::count_if(acknowledged, [target](int64_t offset) { return offset >= target; });
}

ReplicationState ParseReplicationState(std::string_view info) {
  ReplicationState state;
  while (!info.empty()) {
    std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(std::min(line.size() + 1, info.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (name == "role") state.is_primary = value == "master";
    if (name == "master_link_status") state.is_linked = value == "up";
    if (name == "master_replid") state.stream_id = std::string(value);
    if (name == "master_repl_offset") resp::ParseStrictInteger(value, &state.offset);
    if (name == "slave_repl_offset") resp::ParseStrictInteger(value, &state.applied);
    if (!NamesReplica(name) || Part(value, "state") != "online") continue;
    int64_t offset = 0;
    if (resp::ParseStrictInteger(Part(value, "offset"), &offset))
      state.acknowledged.push_back(offset);
  }
  return state;
}

bool HasAppliedAllOf(const ReplicationState& primary, const ReplicationState& replica) {
  const bool can_tell = primary.is_primary && primary.offset >= 0 && !primary.stream_id.empty();
  const bool follows = !replica.is_primary && replica.is_linked;
  return can_tell && follows && replica.stream_id == primary.stream_id &&
         replica.applied >= primary.offset;
}

}  // namespace rcproxy::cluster
