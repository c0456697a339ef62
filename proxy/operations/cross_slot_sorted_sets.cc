#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/operations/cross_slot.h"
#include "proxy/operations/cross_slot_fetch.h"
#include "proxy/operations/double_text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Scores = std::unordered_map<std::string_view, double>;

enum class ZRule : uint8_t { kUnion, kIntersection, kDifference, kCard };
enum class Aggregate : uint8_t { kSum, kMin, kMax };

struct ZOptions {
  std::vector<double> weights;
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  int64_t limit = 0;
};

double WithoutNan(double value) { return std::isnan(value) ? 0 : value; }

double AggregateOf(Aggregate rule, double target, double value) {
  switch (rule) {
    case Aggregate::kSum:
      return WithoutNan(target + value);  // inf + -inf.
    case Aggregate::kMin:
      return std::min(target, value);
    case Aggregate::kMax:
      return std::max(target, value);
  }
  return target;
}

// [a, score, b, score] or [[a, score], [b, score]]; views of the reply.
bool ReadScores(std::string_view reply, Scores* scores) {
  std::vector<std::string_view> elements;
  std::vector<std::string_view> pair;
  if (!ReadElements(reply, &elements)) return false;
  const bool nested = !elements.empty() && elements[0].starts_with('*');
  for (size_t i = 0; i < elements.size(); i += nested ? 1 : 2) {
    if (nested && (!ReadElements(elements[i], &pair) || pair.size() != 2)) return false;
    if (!nested && i + 1 == elements.size()) return false;
    double score = 0;
    if (!ParseDouble(TextOf(nested ? pair[1] : elements[i + 1]), &score)) return false;
    scores->emplace(TextOf(nested ? pair[0] : elements[i]), score);
  }
  return true;
}

class CombineSortedSets final : public Operation {
 public:
  CombineSortedSets(const OperationCall& call, ZRule rule, ZOptions options)
      : rule_(rule),
        options_(std::move(options)),
        bytes_max_(call.facts.config.compute_bytes_max),
        protocol_(call.protocol),
        keys_(KeysOf(call)) {
    for (const std::string& key : keys_) fetched_.emplace(key, fetched_.size());
  }

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return Ask(round);
    std::string error = FetchError(answers, bytes_max_);
    if (!error.empty()) return round->Finish(std::move(error));
    std::vector<Scores> sets(fetched_.size());
    for (size_t i = 0; i < sets.size(); ++i) {
      if (!ReadScores(answers[i], &sets[i])) {
        return round->Finish(std::string(kErrorUnexpectedPart));
      }
    }
    const Scores result = rule_ == ZRule::kDifference ? Difference(sets) : Combined(sets);
    Finish(result, answers.size() > sets.size() ? answers.back() : std::string_view(), round);
  }

 private:
  struct Source {
    const Scores* scores;
    double weight;
  };

  // ZUNION of one key reads sets as well, each member with score 1.
  void Ask(Round* round) {
    std::vector<const std::string*> in_order(fetched_.size());
    for (const auto& [key, index] : fetched_) in_order[index] = &key;
    for (const std::string* key : in_order) {
      round->AskSlot(cluster::HashSlot(*key), CommandOf({"ZUNION", "1", *key, "WITHSCORES"}), true);
    }
    if (options_.with_scores) round->AskAnyPrimary(CommandOf({"INFO", "server"}), true);
  }

  // The smallest first, as the server does it: the order decides how sums are rounded.
  std::vector<Source> Sources(const std::vector<Scores>& sets) const {
    std::vector<Source> sources;
    for (size_t i = 0; i < keys_.size(); ++i) {
      const double weight = options_.weights.empty() ? 1 : options_.weights[i];
      sources.push_back({&sets[fetched_.at(keys_[i])], weight});
    }
    std::ranges::stable_sort(sources, {}, [](const Source& s) { return s.scores->size(); });
    return sources;
  }

  Scores Combined(const std::vector<Scores>& sets) const {
    const std::vector<Source> sources = Sources(sets);
    Scores result;
    for (const Source& source : sources) {
      if (&source != &sources.front() && rule_ != ZRule::kUnion) {
        Intersect(source, &result);
        continue;
      }
      for (const auto& [member, score] : *source.scores) {
        const double weighted = WithoutNan(source.weight * score);
        const auto [found, is_new] = result.emplace(member, weighted);
        if (!is_new) found->second = AggregateOf(options_.aggregate, found->second, weighted);
      }
    }
    return result;
  }

  void Intersect(const Source& source, Scores* result) const {
    Scores common;
    for (const auto& [member, score] : *result) {
      const auto found = source.scores->find(member);
      if (found == source.scores->end()) continue;
      // Not a number only after the aggregate is 0, here: as the server has it.
      const double weighted = source.weight * found->second;
      common.emplace(member, AggregateOf(options_.aggregate, score, weighted));
    }
    result->swap(common);
  }

  Scores Difference(const std::vector<Scores>& sets) const {
    Scores result = sets[fetched_.at(keys_[0])];
    for (size_t i = 1; i < keys_.size(); ++i) {
      const Scores& other = sets[fetched_.at(keys_[i])];
      if (&other == &sets[fetched_.at(keys_[0])]) return {};
      std::erase_if(result, [&](const auto& entry) { return other.contains(entry.first); });
    }
    return result;
  }

  void Finish(const Scores& result, std::string_view info, Round* round) const {
    std::string reply;
    if (rule_ == ZRule::kCard) {
      const int64_t size = static_cast<int64_t>(result.size());
      resp::AppendInteger(&reply, options_.limit == 0 ? size : std::min(options_.limit, size));
      return round->Finish(std::move(reply));
    }
    std::vector<std::pair<double, std::string_view>> sorted;
    for (const auto& [member, score] : result) sorted.emplace_back(score, member);
    std::ranges::sort(sorted);
    const bool resp3 = protocol_ == resp::Protocol::kResp3;
    const DoubleStyle style = DoubleStyleOf(info);
    const bool flat_pairs = options_.with_scores && !resp3;
    resp::AppendArrayHeader(&reply, sorted.size() * (flat_pairs ? 2 : 1));
    for (const auto& [score, member] : sorted) {
      if (options_.with_scores && resp3) resp::AppendArrayHeader(&reply, 2);
      resp::AppendBulk(&reply, member);
      if (flat_pairs) resp::AppendBulk(&reply, DoubleText(score, style));
      if (options_.with_scores && resp3) reply += Concat(",", DoubleText(score, style), "\r\n");
    }
    round->Finish(std::move(reply));
  }

  const ZRule rule_;
  const ZOptions options_;
  const uint64_t bytes_max_;
  const resp::Protocol protocol_;
  const std::vector<std::string> keys_;
  std::map<std::string, size_t> fetched_;  // Each key once: which answer is its.
};

bool ParseAggregate(std::string_view word, Aggregate* aggregate) {
  if (EqualsIgnoreCase(word, "sum")) return *aggregate = Aggregate::kSum, true;
  if (EqualsIgnoreCase(word, "min")) return *aggregate = Aggregate::kMin, true;
  if (EqualsIgnoreCase(word, "max")) return *aggregate = Aggregate::kMax, true;
  return false;
}

// False for anything that is not plainly right: a node then says what is wrong.
bool ParseZOptions(const OperationCall& call, ZRule rule, ZOptions* options) {
  if (!IsKeyCountStrict(call)) return false;
  const resp::CommandView& command = call.command;
  const size_t keys = KeysOf(call).size();
  const bool weighs = rule == ZRule::kUnion || rule == ZRule::kIntersection;
  for (size_t i = 2 + keys; i < command.size(); ++i) {
    const size_t left = command.size() - i - 1;
    if (weighs && EqualsIgnoreCase(command[i], "weights") && left >= keys) {
      options->weights.assign(keys, 0);
      for (double& weight : options->weights) {
        if (!ParseDouble(command[++i], &weight)) return false;
      }
    } else if (weighs && EqualsIgnoreCase(command[i], "aggregate") && left >= 1) {
      if (!ParseAggregate(command[++i], &options->aggregate)) return false;
    } else if (rule != ZRule::kCard && EqualsIgnoreCase(command[i], "withscores")) {
      options->with_scores = true;
    } else if (rule == ZRule::kCard && EqualsIgnoreCase(command[i], "limit") && left >= 1) {
      if (!resp::ParseStrictInteger(command[++i], &options->limit) || options->limit < 0)
        return false;
    } else {
      return false;
    }
  }
  return true;
}

template <ZRule kRule>
std::unique_ptr<Operation> MakeSortedSets(const OperationCall& call) {
  ZOptions options;
  if (!ParseZOptions(call, kRule, &options)) return std::make_unique<AskWhatIsWrong>(call);
  return std::make_unique<CombineSortedSets>(call, kRule, std::move(options));
}

constexpr OperationRow kRows[] = {
    {"zdiff", MakeSortedSets<ZRule::kDifference>},
    {"zinter", MakeSortedSets<ZRule::kIntersection>},
    {"zintercard", MakeSortedSets<ZRule::kCard>},
    {"zunion", MakeSortedSets<ZRule::kUnion>},
};

}  // namespace

std::span<const OperationRow> SortedSetOperations() { return kRows; }

}  // namespace rcproxy::proxy
