#include "proxy/operations/proxy_commands.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/topology.h"
#include "cluster/topology_parser.h"
#include "proxy/errors.h"
#include "proxy/operations/command_in_command.h"
#include "proxy/operations/explain.h"
#include "proxy/operations/operation_text.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using cluster::CommandSpec;
using cluster::NodeAddress;
using cluster::Route;

// Whether it leaves the connection as it was, at once.
bool MayGoToOneNode(const CommandSpec& spec) {
  if (spec.Has(cluster::kFlagBlocking) || spec.group == "connection" || spec.group == "proxy")
    return false;
  return cluster::GoesToNodes(spec.route) || spec.route == Route::kLocal ||
         spec.route == Route::kNodeOnly;
}

// Empty when the command may be sent.
std::string WhyNot(const CommandInCommand& command) {
  if (command.spec() == nullptr) return command.error();
  if (MayGoToOneNode(*command.spec())) return {};
  return Concat("ERR ", ToUpper(command.spec()->name),
                " would change or hold up a connection that clients share");
}

std::vector<NodeAddress> KnownNodes(const OperationFacts& facts) {
  std::vector<NodeAddress> nodes;
  for (const UpstreamNode* node : facts.table.Nodes()) nodes.push_back(node->address());
  return nodes;
}

// ---- PROXY NODE

class AskOneNode final : public Operation {
 public:
  AskOneNode(const OperationCall& call, std::string command, bool repeatable)
      : nodes_(KnownNodes(call.facts)),
        target_(call.command[2]),
        command_(std::move(command)),
        repeatable_(repeatable) {}

  void Next(Answers answers, Round* round) override {
    if (asked_) return round->Finish(std::string(answers[0]));
    if (answers.empty()) {
      for (const NodeAddress& node : nodes_) {
        if (node.ToString() == target_) return Ask(node, round);
      }
      return round->AskAnyPrimary(CommandOf({"CLUSTER", "SHARDS"}), true);
    }
    // The address it is given as "asked" stands for nodes that do not know their own: none of ours.
    const auto topology = cluster::ParseClusterShards(answers[0], {});
    const cluster::Node* found = nullptr;
    for (const cluster::Node& node : topology.ok() ? topology->nodes() : no_nodes_) {
      if (!target_.empty() && node.id.starts_with(target_)) {
        if (found != nullptr)
          return Fail("ERR several nodes have an id that begins like this", round);
        found = &node;
      }
    }
    if (found == nullptr || std::ranges::find(nodes_, found->address) == nodes_.end())
      return Fail("ERR no node of the cluster has this id or address", round);
    Ask(found->address, round);
  }

 private:
  void Ask(const NodeAddress& node, Round* round) {
    asked_ = true;
    round->AskNode(node, std::move(command_), repeatable_);
  }
  static void Fail(std::string_view text, Round* round) {
    std::string reply;
    resp::AppendError(&reply, text);
    round->Finish(std::move(reply));
  }

  const std::vector<NodeAddress> nodes_;
  const std::string target_;
  std::string command_;
  const bool repeatable_;
  bool asked_ = false;
  const std::vector<cluster::Node> no_nodes_;
};

std::unique_ptr<Operation> MakeNode(const OperationCall& call) {
  const CommandInCommand command(call.facts.commands, call.command, 3);
  const std::string why_not = WhyNot(command);
  if (!why_not.empty()) return AnswerError(why_not);
  return std::make_unique<AskOneNode>(call, command.bytes(),
                                      command.spec()->Has(cluster::kFlagRead));
}

// ---- PROXY NODES

// All nodes; the replies by address, errors among them.
class AskEveryNode final : public Operation {
 public:
  AskEveryNode(const OperationCall& call, std::string command, bool repeatable)
      : nodes_(KnownNodes(call.facts)),
        command_(std::move(command)),
        repeatable_(repeatable),
        protocol_(call.protocol) {}

  void Next(Answers answers, Round* round) override {
    if (nodes_.empty()) return round->Finish(std::string(kErrorSlotNotServed));
    if (answers.empty()) {
      for (const NodeAddress& node : nodes_) round->AskNode(node, command_, repeatable_);
      return;
    }
    std::string reply;
    resp::AppendMapHeader(&reply, protocol_, nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      resp::AppendBulk(&reply, nodes_[i].ToString());
      reply += answers[i];
    }
    round->Finish(std::move(reply));
  }

 private:
  const std::vector<NodeAddress> nodes_;
  const std::string command_;
  const bool repeatable_;
  const resp::Protocol protocol_;
};

std::unique_ptr<Operation> MakeNodes(const OperationCall& call) {
  const CommandInCommand command(call.facts.commands, call.command, 2);
  const std::string why_not = WhyNot(command);
  if (!why_not.empty()) return AnswerError(why_not);
  return std::make_unique<AskEveryNode>(call, command.bytes(),
                                        command.spec()->Has(cluster::kFlagRead));
}

// ---- PROXY TOPOLOGY, REFRESH, EXPLAIN

// As this worker believes at this moment: first slot, last slot, primary, replicas.
std::unique_ptr<Operation> MakeTopology(const OperationCall& call) {
  const RoutingTable& table = call.facts.table;
  std::string rows;
  size_t count = 0;
  for (int first = 0; first < cluster::kSlotCount;) {
    const ShardRoute& shard = table.Find(static_cast<uint16_t>(first));
    int end = first + 1;
    while (end < cluster::kSlotCount && &table.Find(static_cast<uint16_t>(end)) == &shard) ++end;
    resp::AppendArrayHeader(&rows, 3 + shard.replicas.size());
    resp::AppendInteger(&rows, first);
    resp::AppendInteger(&rows, end - 1);
    resp::AppendBulk(&rows, shard.primary == nullptr ? "" : shard.primary->address().ToString());
    for (const UpstreamNode* replica : shard.replicas) {
      resp::AppendBulk(&rows, replica->address().ToString());
    }
    ++count;
    first = end;
  }
  std::string reply;
  resp::AppendArrayHeader(&reply, count);
  return std::make_unique<AnswerAtOnce>(reply + rows);
}

std::unique_ptr<Operation> MakeRefresh(const OperationCall& call) {
  call.facts.topology.RequestLearning();
  call.facts.topology.RequestRefresh();
  return std::make_unique<AnswerAtOnce>("+OK\r\n");
}

std::unique_ptr<Operation> MakeExplain(const OperationCall& call) {
  const CommandInCommand command(call.facts.commands, call.command, 2);
  if (command.spec() == nullptr) return AnswerError(command.error());
  return std::make_unique<AnswerAtOnce>(Explain(call, *command.spec(), command.view()));
}

constexpr OperationRow kRows[] = {
    {"proxy|explain", MakeExplain}, {"proxy|node", MakeNode},         {"proxy|nodes", MakeNodes},
    {"proxy|refresh", MakeRefresh}, {"proxy|topology", MakeTopology},
};

}  // namespace

std::span<const OperationRow> ProxyOperations() { return kRows; }

}  // namespace rcproxy::proxy
