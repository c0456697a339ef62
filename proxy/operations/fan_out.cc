#include "proxy/operations/fan_out.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/errors.h"
#include "proxy/operations/latency_histogram.h"
#include "proxy/operations/operation_text.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Elements = std::vector<std::string_view>;
using resp::Protocol;
using Combine = std::string (*)(Answers answers, Protocol protocol);

// The same command to each primary, and `combine` for the replies.
class AskPrimaries final : public Operation {
 public:
  AskPrimaries(const OperationCall& call, Combine combine, bool aside)
      : slots_(call.facts.table.SlotOfEachPrimary()),
        command_(call.command.bytes()),
        repeatable_(call.spec.Has(cluster::kFlagIdempotent)),
        aside_(aside),
        protocol_(call.protocol),
        combine_(combine) {}

  void Next(Answers answers, Round* round) override {
    if (!answers.empty()) return round->Finish(combine_(answers, protocol_));
    if (slots_.empty()) return round->Finish(std::string(kErrorSlotNotServed));
    for (const uint16_t slot : slots_) {
      aside_ ? round->AskSlotAside(slot, command_, repeatable_)
             : round->AskSlot(slot, command_, repeatable_);
    }
  }

 private:
  const std::vector<uint16_t> slots_;
  const std::string command_;
  const bool repeatable_;
  const bool aside_;
  const Protocol protocol_;
  const Combine combine_;
};

template <Combine kCombine>
std::unique_ptr<Operation> MakeAskPrimaries(const OperationCall& call) {
  return std::make_unique<AskPrimaries>(call, kCombine, /*aside=*/false);
}

// For what concerns the script that a node runs.
template <Combine kCombine>
std::unique_ptr<Operation> MakeAskPrimariesAside(const OperationCall& call) {
  return std::make_unique<AskPrimaries>(call, kCombine, /*aside=*/true);
}

// A combination that has no rule for errors: the first one is the answer.
template <Combine kCombine>
std::string ErrorsFirst(Answers answers, Protocol protocol) {
  const std::string_view error = FirstError(answers);
  return error.empty() ? kCombine(answers, protocol) : std::string(error);
}

template <Combine kCombine>
constexpr OperationFactory kAskPrimaries = MakeAskPrimaries<ErrorsFirst<kCombine>>;

// ---- PUBSUB

// PUBSUB CHANNELS: a channel may have subscribers on several nodes.
std::string Union(Answers answers, Protocol) {
  std::set<std::string_view> seen;
  Elements all;
  for (const std::string_view answer : answers) {
    Elements elements;
    if (!ReadElements(answer, &elements)) return std::string(kErrorUnexpectedPart);
    for (const std::string_view element : elements) {
      if (seen.insert(element).second) all.push_back(element);
    }
  }
  std::string reply;
  resp::AppendArrayHeader(&reply, all.size());
  for (const std::string_view element : all) reply += element;
  return reply;
}

// ---- scripts that run

// SCRIPT KILL and FUNCTION KILL: one that was killed is what was asked for. That a script can not
// be killed says more than that another node runs none.
std::string OneOk(Answers answers, Protocol) {
  for (const std::string_view answer : answers) {
    if (!IsErrorReply(answer)) return std::string(answer);
  }
  for (const std::string_view answer : answers) {
    if (!answer.starts_with("-NOTBUSY")) return std::string(answer);
  }
  return std::string(answers[0]);
}

// FUNCTION STATS: of a node that runs a function, if one does.
std::string WhoRuns(Answers answers, Protocol) {
  for (const std::string_view answer : answers) {
    const absl::StatusOr<resp::Value> value = resp::ParseValue(answer);
    const resp::Value* running = value.ok() ? value->Find("running_script") : nullptr;
    if (running != nullptr && !running->IsNull()) return std::string(answer);
  }
  return std::string(answers[0]);
}

// ---- MEMORY

// Texts that differ, one after another.
std::string Texts(Answers answers, Protocol) {
  std::set<std::string_view> seen;
  std::string all;
  for (const std::string_view answer : answers) {
    const std::string_view text = TextOf(answer);
    if (!seen.insert(text).second) continue;
    if (!all.empty() && !all.ends_with('\n')) all += '\n';
    all += text;
  }
  std::string reply;
  resp::AppendBulk(&reply, all);
  return reply;
}

void AppendSum(const std::vector<Elements>& nodes, size_t i, Protocol protocol, std::string* reply);

// Name, value, name, value: numbers are added up by name; for anything else the largest of the
// nodes speaks, which is the node to look at.
std::string SumOfMaps(Answers answers, Protocol protocol) {
  std::vector<Elements> nodes(answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!ReadElements(answers[i], &nodes[i])) return std::string(kErrorUnexpectedPart);
  }
  std::string reply;
  resp::AppendMapHeader(&reply, protocol, nodes[0].size() / 2);
  for (size_t i = 0; i + 1 < nodes[0].size(); i += 2) AppendSum(nodes, i, protocol, &reply);
  return reply;
}

double NumberOf(std::string_view text) {
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

void AppendSum(const std::vector<Elements>& nodes, size_t i, Protocol protocol,
               std::string* reply) {
  std::vector<std::string_view> values;
  for (const Elements& node : nodes) {
    for (size_t j = 0; j + 1 < node.size(); j += 2) {
      if (node[j] == nodes[0][i]) values.push_back(node[j + 1]);
    }
  }
  *reply += nodes[0][i];
  if (resp::ParseAggregateHeader(values[0]).count >= 0) {
    *reply += SumOfMaps(values, protocol);  // "db.0": one level.
    return;
  }
  int64_t sum = 0;
  const bool integers = std::ranges::all_of(values, [&sum](std::string_view value) {
    int64_t number = 0;
    const bool is_integer = resp::ParseIntegerReply(value, &number);
    sum += number;
    return is_integer;
  });
  if (integers) return resp::AppendInteger(reply, sum);
  *reply += *std::ranges::max_element(
      values, {}, [](std::string_view value) { return NumberOf(TextOf(value)); });
}

// ---- RANDOMKEY

// A primary by chance, more often the more keys it has; another one when all of its keys have
// expired meanwhile.
class RandomKey final : public Operation {
 public:
  explicit RandomKey(const OperationCall& call)
      : slots_(call.facts.table.SlotOfEachPrimary()), protocol_(call.protocol) {}

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return AskSizes(round);
    const std::string_view error = FirstError(answers);
    if (!error.empty()) return round->Finish(std::string(error));
    if (sizes_.empty()) {
      sizes_.assign(answers.size(), 0);
      for (size_t i = 0; i < answers.size(); ++i) resp::ParseIntegerReply(answers[i], &sizes_[i]);
    } else if (!IsNullReply(answers[0])) {
      return round->Finish(std::string(answers[0]));
    } else {
      sizes_[chosen_] = 0;
    }
    Choose(round);
  }

 private:
  void AskSizes(Round* round) {
    if (slots_.empty()) return round->Finish(std::string(kErrorSlotNotServed));
    for (const uint16_t slot : slots_) round->AskSlot(slot, CommandOf({"DBSIZE"}), true);
  }

  void Choose(Round* round) {
    static thread_local std::minstd_rand chance{std::random_device()()};
    const int64_t total = std::accumulate(sizes_.begin(), sizes_.end(), int64_t{0});
    if (total == 0) {
      std::string reply;
      resp::AppendNull(&reply, protocol_);
      return round->Finish(std::move(reply));
    }
    int64_t ticket = std::uniform_int_distribution<int64_t>(0, total - 1)(chance);
    for (chosen_ = 0; ticket >= sizes_[chosen_]; ++chosen_) ticket -= sizes_[chosen_];
    round->AskSlot(slots_[chosen_], CommandOf({"RANDOMKEY"}), true);
  }

  const std::vector<uint16_t> slots_;
  const Protocol protocol_;
  std::vector<int64_t> sizes_;
  size_t chosen_ = 0;
};

std::unique_ptr<Operation> MakeRandomKey(const OperationCall& call) {
  return std::make_unique<RandomKey>(call);
}

constexpr OperationRow kRows[] = {
    {"function|kill", MakeAskPrimariesAside<OneOk>},
    {"function|stats", MakeAskPrimariesAside<ErrorsFirst<WhoRuns>>},
    {"latency|histogram", kAskPrimaries<MergeHistograms>},
    {"memory|doctor", kAskPrimaries<Texts>},
    {"memory|malloc-stats", kAskPrimaries<Texts>},
    {"memory|stats", kAskPrimaries<SumOfMaps>},
    {"pubsub|channels", kAskPrimaries<Union>},
    {"pubsub|shardchannels", kAskPrimaries<Union>},
    {"randomkey", MakeRandomKey},
    {"script|kill", MakeAskPrimariesAside<OneOk>},
    {"ts.querylabels", kAskPrimaries<Union>},
};

}  // namespace

std::span<const OperationRow> FanOutOperations() { return kRows; }

}  // namespace rcproxy::proxy
