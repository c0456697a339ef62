#include "proxy/operations/pubsub_counts.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/topology.h"
#include "proxy/errors.h"
#include "proxy/local_host.h"
#include "proxy/operations/operation_text.h"
#include "proxy/pubsub/channel_use.h"
#include "proxy/pubsub/pubsub_text.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Elements = std::vector<std::string_view>;

// What a node counts besides `own`, of which it may not know any more.
int64_t Others(int64_t counted, int64_t own) { return std::max<int64_t>(counted - own, 0); }

class CountSubscribers : public Operation {
 public:
  // `names` empty: all channels of the kind.
  CountSubscribers(const OperationCall& call, ChannelKind kind, std::vector<std::string> names)
      : names_(std::move(names)), facts_(call.facts), kind_(kind), command_(call.command.bytes()) {}

  void Next(Answers answers, Round* round) final {
    if (!std::exchange(workers_asked_, true)) return AskWorkers(round);
    if (nodes_.empty()) {
      uses_ = DecodeChannelUses(answers);
      return AskNodes(round);
    }
    const std::string_view error = FirstError(answers);
    round->Finish(error.empty() ? Count(answers) : std::string(error));
  }

 protected:
  // The reply; `answers` are of nodes().
  virtual std::string Count(Answers answers) const = 0;

  // By node, as ChannelUse has them.
  const std::vector<std::string>& nodes() const { return nodes_; }
  // A channel is there once for each worker that has it.
  const std::vector<ChannelUse>& uses() const { return uses_; }

  const std::vector<std::string> names_;

 private:
  void AskWorkers(Round* round) {
    const auto question = [kind = kind_, names = names_](WorkerClients& worker) {
      return worker.DescribeChannels(kind, names);
    };
    facts_.host.AskWorkers(question, round->Wait());
  }

  void AskNodes(Round* round) {
    for (const UpstreamNode* node : facts_.table.Primaries()) {
      nodes_.push_back(node->address().ToString());
      round->AskNode(node->address(), command_, /*repeatable=*/true);
    }
    if (nodes_.empty()) round->Finish(std::string(kErrorSlotNotServed));
  }

  const OperationFacts& facts_;
  const ChannelKind kind_;
  const std::string command_;
  bool workers_asked_ = false;
  std::vector<std::string> nodes_;
  std::vector<ChannelUse> uses_;
};

// NUMSUB, SHARDNUMSUB: name, number, name, number; the same names from all.
class CountByName final : public CountSubscribers {
 public:
  using CountSubscribers::CountSubscribers;

 private:
  std::string Count(Answers answers) const override {
    std::vector<int64_t> counts(names_.size(), 0);
    for (size_t i = 0; i < answers.size(); ++i) {
      Elements elements;
      if (!ReadElements(answers[i], &elements) || elements.size() != 2 * names_.size())
        return std::string(kErrorUnexpectedPart);
      for (size_t j = 0; j < names_.size(); ++j) {
        int64_t counted = 0;
        if (!resp::ParseIntegerReply(elements[2 * j + 1], &counted))
          return std::string(kErrorUnexpectedPart);
        counts[j] += Others(counted, FeedsFrom(nodes()[i], names_[j]));
      }
    }
    std::string reply;
    resp::AppendArrayHeader(&reply, 2 * names_.size());
    for (size_t j = 0; j < names_.size(); ++j) {
      resp::AppendBulk(&reply, names_[j]);
      resp::AppendInteger(&reply, counts[j] + Clients(names_[j]));
    }
    return reply;
  }

  int64_t FeedsFrom(std::string_view node, std::string_view name) const {
    return std::ranges::count_if(
        uses(), [&](const ChannelUse& use) { return use.name == name && use.IsFedBy(node); });
  }
  int64_t Clients(std::string_view name) const {
    int64_t clients = 0;
    for (const ChannelUse& use : uses()) clients += use.name == name ? use.subscribers : 0;
    return clients;
  }
};

// NUMPAT: different patterns; a node counts one once, however many workers have it.
class CountPatterns final : public CountSubscribers {
 public:
  using CountSubscribers::CountSubscribers;

 private:
  std::string Count(Answers answers) const override {
    std::set<std::string_view> own;
    for (const ChannelUse& use : uses()) own.insert(use.name);
    int64_t count = static_cast<int64_t>(own.size());
    for (size_t i = 0; i < answers.size(); ++i) {
      int64_t counted = 0;
      if (!resp::ParseIntegerReply(answers[i], &counted)) return std::string(kErrorUnexpectedPart);
      std::set<std::string_view> there;
      for (const ChannelUse& use : uses()) {
        if (use.IsFedBy(nodes()[i])) there.insert(use.name);
      }
      count += Others(counted, static_cast<int64_t>(there.size()));
    }
    std::string reply;
    resp::AppendInteger(&reply, count);
    return reply;
  }
};

template <ChannelKind kKind>
std::unique_ptr<Operation> MakeCountByName(const OperationCall& call) {
  std::vector<std::string> names;
  for (size_t i = 2; i < call.command.size(); ++i) names.emplace_back(call.command[i]);
  if (names.empty()) return std::make_unique<AnswerAtOnce>("*0\r\n");
  return std::make_unique<CountByName>(call, kKind, std::move(names));
}

std::unique_ptr<Operation> MakeCountPatterns(const OperationCall& call) {
  return std::make_unique<CountPatterns>(call, ChannelKind::kPattern, std::vector<std::string>());
}

constexpr OperationRow kRows[] = {
    {"pubsub|numpat", MakeCountPatterns},
    {"pubsub|numsub", MakeCountByName<ChannelKind::kChannel>},
    {"pubsub|shardnumsub", MakeCountByName<ChannelKind::kShard>},
};

}  // namespace

std::span<const OperationRow> PubSubCountOperations() { return kRows; }

}  // namespace rcproxy::proxy
