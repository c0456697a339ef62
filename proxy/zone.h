// Which nodes are near: in the same availability zone as rcproxy.
//
// Pure. Thread: any. Source: availability-zone of CLUSTER SHARDS (Valkey 8.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"

namespace rcproxy::proxy {

// Nodes whose host begins with `prefix` are in `zone`.
struct ZoneRule {
  std::string prefix;
  std::string zone;
};

// How rcproxy knows its zone, and that of the nodes.
struct Zones {
  std::string own;              // Empty when not known.
  std::string own_prefix;       // Hosts that begin so are in it, whatever its name; or empty.
  std::vector<ZoneRule> rules;  // The first that matches counts.

  // What the node announces comes before what the rules say.
  bool IsOwn(const cluster::Node& node) const;
};

}  // namespace rcproxy::proxy
