// The steps of a scenario that describe the cluster and the surroundings.
#include <optional>
#include <string>
#include <string_view>

#include "cluster/hash_slot.h"
#include "testing/scenario.h"
#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

std::string Usage(std::string_view usage) { return Concat("usage: ", usage); }

std::optional<uint16_t> ParseSlot(std::string_view text) {
  const std::optional<int64_t> slot = ParseNumber(text);
  if (!slot.has_value() || *slot < 0 || *slot >= cluster::kSlotCount) return std::nullopt;
  return static_cast<uint16_t>(*slot);
}

}  // namespace

std::string Scenario::Cluster(const Words& words, std::string_view) {
  if (words.size() < 3 || words.size() % 2 == 0) return Usage("cluster A 0-8191 B none ...");
  for (size_t i = 1; i + 1 < words.size(); i += 2) {
    FakeNode& node = world_.cluster().AddPrimary(words[i]);
    names_.insert(words[i]);
    if (words[i + 1] == "none") continue;
    const size_t dash = words[i + 1].find('-');
    const std::optional<uint16_t> first = ParseSlot(words[i + 1].substr(0, dash));
    const std::optional<uint16_t> last = ParseSlot(words[i + 1].substr(dash + 1));
    if (!first.has_value() || !last.has_value()) return Concat("not slots: ", words[i + 1]);
    world_.cluster().AssignSlots(*first, *last, node);
  }
  return "";
}

std::string Scenario::Replica(const Words& words, std::string_view) {
  FakeNode* primary = words.size() == 4 ? FindNode(words[3]) : nullptr;
  if (primary == nullptr) return Usage("replica A2 of A");
  world_.cluster().AddReplica(words[1], *primary);
  names_.insert(words[1]);
  return "";
}

std::string Scenario::Script(const Words& words, std::string_view) {
  for (size_t i = 1; i < words.size(); ++i) {
    FakeNode* node = FindNode(words[i]);
    if (node == nullptr) return Concat("no node ", words[i]);
    node->SetScripted(true);
  }
  return "";
}

std::string Scenario::Data(const Words& words, std::string_view) {
  if (words.size() != 3) return Usage("data KEY VALUE");
  world_.cluster().OwnerOf(words[1]).store().Put(words[1], words[2]);
  return "";
}

std::string Scenario::Migrating(const Words& words, std::string_view) {
  const std::optional<uint16_t> slot = words.size() == 4 ? ParseSlot(words[1]) : std::nullopt;
  FakeNode* from = slot.has_value() ? FindNode(words[2]) : nullptr;
  FakeNode* to = slot.has_value() ? FindNode(words[3]) : nullptr;
  if (from == nullptr || to == nullptr) return Usage("migrating SLOT FROM TO");
  if (world_.cluster().ShardOfSlot(*slot) != from->member().shard) return "not the owner";
  world_.cluster().StartMigration(*slot, *to);
  return "";
}

std::string Scenario::Move(const Words& words, std::string_view) {
  if (words.size() != 2) return Usage("move KEY");
  world_.cluster().MoveKey(words[1]);
  return "";
}

std::string Scenario::Migrated(const Words& words, std::string_view) {
  const std::optional<uint16_t> slot = words.size() == 2 ? ParseSlot(words[1]) : std::nullopt;
  if (!slot.has_value() || !world_.cluster().InMigration(*slot)) return Usage("migrated SLOT");
  world_.cluster().FinishMigration(*slot);
  return "";
}

std::string Scenario::Migrate(const Words& words, std::string_view text) {
  const std::string problem = Migrating(words, text);
  return problem.empty() ? Migrated({"migrated", words[1]}, "") : problem;
}

std::string Scenario::Failover(const Words& words, std::string_view) {
  FakeNode* replica = words.size() == 2 ? FindNode(words[1]) : nullptr;
  if (replica == nullptr) return Usage("failover REPLICA");
  world_.cluster().Failover(*replica);
  return "";
}

std::string Scenario::Gossip(const Words& words, std::string_view) {
  const std::optional<int64_t> duration =
      words.size() == 2 ? ParseDuration(words[1]) : std::nullopt;
  if (!duration.has_value()) return Usage("gossip 100ms");
  world_.cluster().set_gossip_max_ns(*duration);
  return "";
}

std::string Scenario::Databases(const Words& words, std::string_view) {
  const std::optional<int64_t> count = words.size() == 2 ? ParseNumber(words[1]) : std::nullopt;
  if (!count.has_value() || *count < 1) return Usage("databases N");
  world_.cluster().set_databases(static_cast<int>(*count));
  return "";
}

std::string Scenario::Password(const Words& words, std::string_view) {
  if (words.size() != 2) return Usage("password WORD");
  world_.cluster().set_password(words[1]);
  return "";
}

std::string Scenario::Option(const Words& words, std::string_view) {
  if (words.size() != 3) return Usage("option NAME VALUE");
  if (world_.started()) return "already started";
  world_.subject_options().settings[words[1]] = words[2];
  return "";
}

std::string Scenario::Startup(const Words& words, std::string_view) {
  for (size_t i = 1; i < words.size(); ++i) {
    world_.subject_options().startup_nodes.push_back(WithAddresses(words[i]));
  }
  return "";
}

std::string Scenario::Link(const Words& words, std::string_view) {
  SimLink& link = world_.network().default_link();
  const std::optional<int64_t> number = words.size() > 2 ? ParseNumber(words[2]) : std::nullopt;
  if (words.size() == 4 && words[1] == "latency") {
    const std::optional<int64_t> low = ParseDuration(words[2]), high = ParseDuration(words[3]);
    if (!low.has_value() || !high.has_value() || *low > *high) return "not durations";
    link.latency_min_ns = *low;
    link.latency_max_ns = *high;
    return "";
  }
  if (words.size() != 3 || !number.has_value()) return Usage("link cut|short|stall|window N");
  if (words[1] == "cut") {
    link.cut_one_in = *number;
  } else if (words[1] == "short") {
    link.short_send_one_in = *number;
  } else if (words[1] == "stall") {
    link.stall_one_in = *number;
  } else if (words[1] == "window") {
    link.window_bytes = *number;
  } else {
    return "unknown property of a link";
  }
  return "";
}

std::string Scenario::Buffers(const Words& words, std::string_view) {
  if (words.size() != 3 || !ParseNumber(words[1]) || !ParseNumber(words[2])) {
    return Usage("buffers CHUNK_BYTES LIMIT_BYTES");
  }
  world_.io_options().receive_chunk_bytes = *ParseNumber(words[1]);
  world_.io_options().receive_limit_bytes = *ParseNumber(words[2]);
  return "";
}

std::string Scenario::NodeState(FakeNode& node, const std::string& verb, std::string_view text) {
  if (verb == "kill") {
    node.Kill();
  } else if (verb == "vanish") {
    node.Vanish();
  } else if (verb == "restart") {
    world_.cluster().Restart(node);
  } else if (verb == "reset") {
    node.ResetConnections();
  } else if (verb == "pause" || verb == "resume") {
    node.SetPaused(verb == "pause");
  } else if (verb == "loading" || verb == "loaded") {
    node.SetLoading(verb == "loading");
  } else if (verb == "down" || verb == "up") {
    node.SetClusterDown(verb == "down");
  } else if (verb == "garbage" || verb == "sane") {
    node.SetGarbage(verb == "garbage");
  } else if (verb == "fail") {
    node.FailNext(Unescape(text));
  } else if (verb == "lose") {
    node.LoseNextReply();
  } else {
    return "unknown verb of a node";
  }
  if (verb == "kill" || verb == "restart" || verb == "reset") unanswered_[&node].clear();
  return "";
}

}  // namespace rcproxy::sim
