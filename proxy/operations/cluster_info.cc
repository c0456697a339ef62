#include "proxy/operations/cluster_info.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/info.h"
#include "proxy/info_merger.h"
#include "proxy/info_rules.h"
#include "proxy/node_figures.h"
#include "proxy/node_use.h"
#include "proxy/operations/operation_text.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using cluster::NodeAddress;

bool Has(const std::vector<InfoSection>& sections, std::string_view title) {
  return std::ranges::find(sections, title, &InfoSection::title) != sections.end();
}

// The question that brings the sections from a node; empty when none is needed. Before 7.0 servers
// take one section only, so several are asked for by the words that every version knows.
std::string QuestionFor(const std::vector<InfoSection>& wanted) {
  std::vector<InfoSection> needed;
  std::ranges::copy_if(wanted, std::back_inserter(needed), &InfoSection::from_nodes);
  if (needed.empty()) return {};
  if (needed.size() == 1) return CommandOf({"INFO", needed[0].title});
  const bool by_default = std::ranges::all_of(
      needed, [](const InfoSection& section) { return section.when == InfoWhen::kDefault; });
  return by_default ? CommandOf({"INFO"}) : CommandOf({"INFO", "all"});
}

// What the routing table says of a node.
struct NodePlace {
  bool is_primary = false;
  int first_slot = -1;  // Of its shard.
  int slots = 0;        // That it serves as a primary.
};

std::map<const UpstreamNode*, NodePlace> PlacesOfNodes(const RoutingTable& table) {
  std::map<const UpstreamNode*, NodePlace> places;
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    const ShardRoute& shard = table.Find(static_cast<uint16_t>(slot));
    if (shard.primary == nullptr) continue;
    NodePlace& primary = places[shard.primary];
    primary.is_primary = true;
    if (primary.slots++ > 0) continue;
    primary.first_slot = slot;
    for (const UpstreamNode* replica : shard.replicas) places[replica].first_slot = slot;
  }
  return places;
}

class ClusterInfo final : public Operation {
 public:
  ClusterInfo(const OperationCall& call, std::vector<InfoSection> wanted)
      : facts_(call.facts),
        protocol_(call.protocol),
        wanted_(std::move(wanted)),
        question_(QuestionFor(wanted_)) {}

  void Next(Answers answers, Round* round) override {
    switch (std::exchange(step_, step_ == Step::kBegin ? Step::kWorkers : Step::kNodes)) {
      case Step::kBegin:
        if (!Has(wanted_, "Nodes")) return Next({}, round);
        return facts_.host.AskWorkers([](WorkerClients& worker) { return worker.DescribeNodes(); },
                                      round->Wait());
      case Step::kWorkers:
        uses_ = AddNodeUses(answers);
        if (!question_.empty()) AskPrimaries(round);
        if (asked_ == 0) Finish({}, round);
        return;
      case Step::kNodes:
        return Finish(answers, round);
    }
  }

 private:
  enum class Step : uint8_t { kBegin, kWorkers, kNodes };  // Whose answers come next.

  void AskPrimaries(Round* round) {
    for (const uint16_t slot : facts_.table.SlotOfEachPrimary()) {
      round->AskNodeOnce(facts_.table.Find(slot).primary->address(), question_);
      ++asked_;
    }
  }

  void Finish(Answers answers, Round* round) {
    std::vector<std::string_view> texts;
    for (const std::string_view answer : answers) {
      if (answer.starts_with('$') || answer.starts_with('=')) texts.push_back(TextOf(answer));
    }
    if (texts.size() < asked_) RequireCluster();
    std::string own = InfoText(facts_.server, {});
    if (Has(wanted_, "Cluster")) AppendCluster(texts.size(), &own);
    if (Has(wanted_, "Nodes")) AppendNodes(&own);
    std::string reply;
    resp::AppendVerbatim(&reply, protocol_, "txt", MergeInfo(own, texts, wanted_));
    round->Finish(std::move(reply));
  }

  // So that nobody takes a part for the whole.
  void RequireCluster() {
    if (Has(wanted_, "Cluster")) return;
    const std::string_view name = "Cluster";
    wanted_.push_back(InfoSectionsNamed({&name, 1}).front());
  }

  void AppendCluster(size_t answered, std::string* text) const {
    int primaries = 0;
    int slots = 0;
    for (const auto& [node, place] : PlacesOfNodes(facts_.table)) {
      primaries += place.is_primary ? 1 : 0;
      slots += place.slots;
    }
    const size_t nodes = facts_.table.Nodes().size();
    const auto line = [text](std::string_view name, size_t value) {
      *text += Concat("rcproxy_cluster_", name, ":", value, "\r\n");
    };
    *text += "# Cluster\r\n";
    line("nodes", nodes);
    line("primaries", primaries);
    line("slots_served", slots);
    if (asked_ == 0) return;
    line("primaries_asked", asked_);
    line("primaries_answered", answered);
  }

  void AppendNodes(std::string* text) const {
    *text += "\r\n# Nodes\r\n";
    const auto places = PlacesOfNodes(facts_.table);
    const auto figures = FiguresOfNodes(facts_.server.workers);
    int number = 0;
    for (const UpstreamNode* node : facts_.table.Nodes()) {
      const std::string address = node->address().ToString();
      const auto place_found = places.find(node);
      const NodePlace place = place_found == places.end() ? NodePlace() : place_found->second;
      const auto use_found = uses_.find(address);
      const NodeUse use = use_found == uses_.end() ? NodeUse() : use_found->second;
      const std::string_view state = use.is_failing        ? "failing"
                                     : use.connections > 0 ? "connected"
                                                           : "idle";
      *text += Concat("node", number++, ":addr=", address,
                      ",role=", place.is_primary ? "master" : "slave", ",shard=", place.first_slot,
                      ",slots=", place.slots, ",state=", state, ",connections=", use.connections,
                      ",in_flight=", use.requests);
      const auto figures_found = figures.find(address);
      AppendFigures(figures_found == figures.end() ? NodeFigures() : figures_found->second, text);
      *text += "\r\n";
    }
  }

  static void AppendFigures(const NodeFigures& figures, std::string* text) {
    *text += Concat(",latency_usec=", figures.latency_ns / 1000);
#define RCPROXY_APPEND(name, help) *text += Concat("," #name "=", figures.name);
    RCPROXY_NODE_STATS(RCPROXY_APPEND)
#undef RCPROXY_APPEND
  }

  const OperationFacts& facts_;
  const resp::Protocol protocol_;
  std::vector<InfoSection> wanted_;
  const std::string question_;
  Step step_ = Step::kBegin;
  std::map<std::string, NodeUse> uses_;
  size_t asked_ = 0;  // Primaries.
};

}  // namespace

std::unique_ptr<Operation> MakeClusterInfo(const OperationCall& call) {
  std::vector<std::string_view> names;
  for (size_t i = 1; i < call.command.size(); ++i) names.push_back(call.command[i]);
  return std::make_unique<ClusterInfo>(call, InfoSectionsNamed(names));
}

}  // namespace rcproxy::proxy
