#include "proxy/operations/explain.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "cluster/command_errors.h"
#include "cluster/command_keys.h"
#include "cluster/hash_slot.h"
#include "proxy/operations/operation_text.h"
#include "proxy/operations/slot_split.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;
using cluster::Merge;
using cluster::Route;

std::string_view RouteName(Route route) {
  switch (route) {
    case Route::kKeyed:
      return "slot";
    case Route::kSplit:
      return "split";
    case Route::kAnyPrimary:
      return "any primary";
    case Route::kAllPrimaries:
      return "all primaries";
    case Route::kAllNodes:
      return "all nodes";
    case Route::kLocal:
      return "local";
    case Route::kContainer:
      return "by subcommand";
    case Route::kTransaction:
      return "transaction";
    case Route::kBlocking:
      return "own connection";
    case Route::kPubSub:
      return "pub/sub";
    case Route::kNodeOnly:
      return "node";
    case Route::kRefuse:
      return "refused";
  }
  return "";
}

std::string_view MergeName(Merge merge) {
  switch (merge) {
    case Merge::kNone:
      return "none";
    case Merge::kSum:
      return "sum";
    case Merge::kAllOk:
      return "all OK";
    case Merge::kKeyOrder:
      return "key order";
    case Merge::kConcat:
      return "joined";
    case Merge::kFirst:
      return "first";
    case Merge::kMin:
      return "min";
    case Merge::kAnd:
      return "and";
    case Merge::kSpecial:
      return "special";
  }
  return "";
}

struct Targets {
  std::vector<std::string_view> keys;
  std::vector<uint16_t> slots;  // In the order of the keys, each once.
  std::set<std::string> nodes;
};

std::string AddressOf(const UpstreamNode* node) {
  return node == nullptr ? "nobody" : node->address().ToString();
}

Targets TargetsOf(const OperationFacts& facts, const CommandSpec& spec,
                  const resp::CommandView& command) {
  Targets targets;
  const cluster::KeyRuns runs = cluster::FindKeys(spec, command);
  cluster::AnyKey(command, runs, [&targets](std::string_view key) {
    const uint16_t slot = cluster::HashSlot(key);
    targets.keys.push_back(key);
    if (std::ranges::find(targets.slots, slot) == targets.slots.end())
      targets.slots.push_back(slot);
    return false;
  });
  for (const uint16_t slot : targets.slots) {
    targets.nodes.insert(AddressOf(facts.table.Find(slot).primary));
  }
  if (spec.route == Route::kAllNodes) {
    for (const UpstreamNode* node : facts.table.Nodes()) targets.nodes.insert(AddressOf(node));
  } else if (spec.route == Route::kAllPrimaries) {
    for (const uint16_t slot : facts.table.SlotOfEachPrimary()) {
      targets.nodes.insert(AddressOf(facts.table.Find(slot).primary));
    }
  }
  return targets;
}

bool IsServed(const CommandSpec& spec) {
  switch (spec.route) {
    case Route::kKeyed:
    case Route::kSplit:
    case Route::kAnyPrimary:
    case Route::kAllPrimaries:
    case Route::kAllNodes:
    case Route::kLocal:
    case Route::kBlocking:
      return !spec.Has(cluster::kFlagNotYet);
    default:
      return false;
  }
}

std::string Plan(const OperationCall& call, const Targets& targets) {
  const CommandSpec& spec = call.spec;
  const CrossSlot cross_slot = call.facts.config.cross_slot;
  if (!IsServed(spec)) return "error: " + cluster::NotAvailableError(spec);
  if (spec.Has(cluster::kFlagOperation)) return "several questions to nodes";
  if (spec.route == Route::kLocal) return "answered by rcproxy";
  const size_t slots = targets.slots.size();
  if (slots > 1) {
    const bool is_split = spec.route == Route::kSplit || MakeSlotSplit(call) != nullptr;
    if (is_split && cross_slot != CrossSlot::kStrict)
      return Concat(slots, " requests, one for each slot");
    if (spec.merge == Merge::kNone && cross_slot == CrossSlot::kCompute &&
        spec.Has(cluster::kFlagRead) && spec.note.find("computed") != std::string_view::npos)
      return "computed from what the nodes have";
    return "error: CROSSSLOT";
  }
  if (spec.route == Route::kBlocking)
    return "one request to the owner of the slot, over a connection of its own";
  if (slots == 1) return "one request to the owner of the slot";
  if (spec.route == Route::kAllPrimaries || spec.route == Route::kAllNodes)
    return Concat(targets.nodes.size(), " requests, one for each node");
  return "one request to any primary";
}

std::string RetryClass(const CommandSpec& spec) {
  return spec.Has(cluster::kFlagRead)
             ? "read: offered again after a lost connection"
             : "other: offered again only while no node can have executed it";
}

}  // namespace

std::string Explain(const OperationCall& call, const CommandSpec& spec,
                    const resp::CommandView& command) {
  const Targets targets = TargetsOf(call.facts, spec, command);
  std::string reply;
  resp::AppendMapHeader(&reply, call.protocol, 8);
  const auto text = [&reply](std::string_view name, std::string_view value) {
    resp::AppendBulk(&reply, name);
    resp::AppendBulk(&reply, value);
  };
  text("command", spec.name);
  text("route", RouteName(spec.route));
  resp::AppendBulk(&reply, "keys");
  resp::AppendArrayHeader(&reply, targets.keys.size());
  for (const std::string_view key : targets.keys) resp::AppendBulk(&reply, key);
  resp::AppendBulk(&reply, "slots");
  resp::AppendArrayHeader(&reply, targets.slots.size());
  for (const uint16_t slot : targets.slots) resp::AppendInteger(&reply, slot);
  resp::AppendBulk(&reply, "nodes");
  resp::AppendArrayHeader(&reply, targets.nodes.size());
  for (const std::string& node : targets.nodes) resp::AppendBulk(&reply, node);
  text("plan", Plan({call.facts, spec, command, call.protocol}, targets));
  text("merge", spec.Has(cluster::kFlagOperation) ? "special" : MergeName(spec.merge));
  text("retry", RetryClass(spec));
  return reply;
}

}  // namespace rcproxy::proxy
