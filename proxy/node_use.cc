#include "proxy/node_use.h"

#include <sstream>

#include "proxy/text.h"

namespace rcproxy::proxy {

std::string EncodeNodeUse(std::string_view address, const NodeUse& use) {
  return Concat(address, " ", use.connections, " ", use.requests, " ", use.is_failing ? 1 : 0,
                "\n");
}

std::map<std::string, NodeUse> AddNodeUses(std::span<const std::string_view> answers) {
  std::map<std::string, NodeUse> uses;
  for (const std::string_view answer : answers) {
    std::istringstream words{std::string(answer)};
    std::string address;
    NodeUse use;
    while (words >> address >> use.connections >> use.requests >> use.is_failing) {
      NodeUse& sum = uses[address];
      sum.connections += use.connections;
      sum.requests += use.requests;
      sum.is_failing |= use.is_failing;
    }
  }
  return uses;
}

}  // namespace rcproxy::proxy
