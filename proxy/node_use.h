// What workers have to do with a node: how many connections, how many requests on them. Each worker
// writes a line per node; INFO adds them up.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace rcproxy::proxy {

struct NodeUse {
  uint64_t connections = 0;  // Open ones.
  uint64_t requests = 0;     // Not answered yet.
  bool is_failing = false;   // Left alone for a moment, as it could not be reached.
};

// Ends with LF.
std::string EncodeNodeUse(std::string_view address, const NodeUse& use);
// By address, of all workers together. `answers` are lines, or empty for a worker that is stopping.
std::map<std::string, NodeUse> AddNodeUses(std::span<const std::string_view> answers);

}  // namespace rcproxy::proxy
