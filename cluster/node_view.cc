#include "cluster/node_view.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "cluster/topology_builder.h"
#include "resp/value.h"

namespace rcproxy::cluster {
namespace {

// Fields of a line of CLUSTER NODES: id, address, flags, primary, ping, pong, epoch.
constexpr size_t kIdField = 0;
constexpr size_t kFlagsField = 2;
constexpr size_t kEpochField = 6;
constexpr size_t kIdBytesMax = 64;

// The text of a reply that is one string; empty for any other.
std::string TextOf(std::string_view reply) {
  absl::StatusOr<resp::Value> value = resp::ParseValue(reply);
  return value.ok() && value->IsString() ? std::move(value->text) : std::string();
}

// Cuts the part before the first `end` from `text`.
std::string_view CutUntil(char end, std::string_view* text) {
  const size_t length = std::min(text->find(end), text->size());
  const std::string_view part = text->substr(0, length);
  text->remove_prefix(std::min(length + 1, text->size()));
  return part;
}

bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (CutUntil(',', &list) == word) return true;
  }
  return false;
}

void ReadNodesLine(std::string_view line, NodeView* view) {
  std::array<std::string_view, kEpochField + 1> fields;
  for (std::string_view& field : fields) field = CutUntil(' ', &line);
  const std::string_view id = fields[kIdField];
  uint64_t epoch = 0;
  const bool is_line = absl::SimpleAtoi(std::string(fields[kEpochField]), &epoch);
  if (!is_line || id.empty() || id.size() > kIdBytesMax) return;
  view->epochs[std::string(id)] = epoch;
  if (HasWord(fields[kFlagsField], "myself")) view->self = std::string(id);
}

}  // namespace

std::string KeyOf(const Node& node) { return node.id.empty() ? node.address.ToString() : node.id; }

bool RefusesToTell(std::string_view reply) {
  return reply.starts_with("-LOADING") || reply.starts_with("-CLUSTERDOWN") ||
         reply.starts_with("-MASTERDOWN");
}

void ReadClusterNodes(std::string_view reply, NodeView* view) {
  const std::string text = TextOf(reply);
  std::string_view rest = text;
  while (!rest.empty() && view->epochs.size() < TopologyBuilder::kNodesMax) {
    ReadNodesLine(CutUntil('\n', &rest), view);
  }
}

void ReadClusterInfo(std::string_view reply, NodeView* view) {
  const std::string text = TextOf(reply);
  if (text.find("cluster_state:fail") != text.npos) view->is_ok = false;
}

}  // namespace rcproxy::cluster
