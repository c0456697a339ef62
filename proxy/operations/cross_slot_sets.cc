#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/operations/cross_slot.h"
#include "proxy/operations/cross_slot_fetch.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Members = std::set<std::string_view>;

enum class SetRule : uint8_t { kUnion, kIntersection, kDifference };

class CombineSets final : public Operation {
 public:
  CombineSets(const OperationCall& call, SetRule rule, int64_t limit)
      : rule_(rule),
        limit_(limit),
        bytes_max_(call.facts.config.compute_bytes_max),
        protocol_(call.protocol) {
    std::map<uint16_t, size_t> group_of_slot;
    for (std::string& key : KeysOf(call)) {
      const uint16_t slot = cluster::HashSlot(key);
      const auto [found, is_new] = group_of_slot.emplace(slot, groups_.size());
      if (is_new) groups_.push_back({slot, {}});
      groups_[found->second].keys.push_back(std::move(key));
    }
  }

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return Ask(round);
    std::string error = FetchError(answers, bytes_max_);
    if (!error.empty()) return round->Finish(std::move(error));
    std::vector<std::string_view> elements;
    Members result;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (!ReadElements(answers[i], &elements)) {
        return round->Finish(std::string(kErrorUnexpectedPart));
      }
      Members members;
      for (const std::string_view element : elements) members.insert(TextOf(element));
      i == 0 ? result.swap(members) : Combine(members, &result);
    }
    Finish(result, round);
  }

  static constexpr int64_t kNoLimit = -1;  // The members are the answer, not their number.

 private:
  struct Group {
    uint16_t slot;
    std::vector<std::string> keys;
  };

  // What is taken away may be united first, everything else by the rule itself.
  void Ask(Round* round) {
    for (const Group& group : groups_) {
      const bool is_first = &group == &groups_.front();
      std::vector<std::string> words = group.keys;
      words.insert(words.begin(), rule_ == SetRule::kIntersection             ? "SINTER"
                                  : rule_ == SetRule::kDifference && is_first ? "SDIFF"
                                                                              : "SUNION");
      round->AskSlot(group.slot, CommandOf(words), true);
    }
  }

  void Combine(const Members& members, Members* result) const {
    if (rule_ == SetRule::kUnion) return result->insert(members.begin(), members.end());
    const bool keep = rule_ == SetRule::kIntersection;
    std::erase_if(*result,
                  [&](std::string_view member) { return members.contains(member) != keep; });
  }

  void Finish(const Members& result, Round* round) const {
    std::string reply;
    const int64_t size = static_cast<int64_t>(result.size());
    if (limit_ != kNoLimit) {
      resp::AppendInteger(&reply, limit_ == 0 ? size : std::min(limit_, size));
    } else {
      resp::AppendSetHeader(&reply, protocol_, result.size());
      for (const std::string_view member : result) resp::AppendBulk(&reply, member);
    }
    round->Finish(std::move(reply));
  }

  const SetRule rule_;
  const int64_t limit_;
  const uint64_t bytes_max_;
  const resp::Protocol protocol_;
  std::vector<Group> groups_;  // In the order of their first key.
};

template <SetRule kRule>
std::unique_ptr<Operation> MakeSets(const OperationCall& call) {
  return std::make_unique<CombineSets>(call, kRule, CombineSets::kNoLimit);
}

// SINTERCARD numkeys key ... [LIMIT n]; of a union also [APPROX], for which the exact number does.
template <SetRule kRule>
std::unique_ptr<Operation> MakeCard(const OperationCall& call) {
  if (!IsKeyCountStrict(call)) return std::make_unique<AskWhatIsWrong>(call);
  const size_t after_keys = 2 + KeysOf(call).size();
  int64_t limit = 0;
  for (size_t i = after_keys; i < call.command.size(); ++i) {
    if (kRule == SetRule::kUnion && EqualsIgnoreCase(call.command[i], "approx")) continue;
    if (!EqualsIgnoreCase(call.command[i], "limit") || ++i == call.command.size() ||
        !resp::ParseStrictInteger(call.command[i], &limit) || limit < 0) {
      return std::make_unique<AskWhatIsWrong>(call);
    }
  }
  return std::make_unique<CombineSets>(call, kRule, limit);
}

constexpr OperationRow kRows[] = {
    {"sdiff", MakeSets<SetRule::kDifference>},    {"sdiffcard", MakeCard<SetRule::kDifference>},
    {"sinter", MakeSets<SetRule::kIntersection>}, {"sintercard", MakeCard<SetRule::kIntersection>},
    {"sunion", MakeSets<SetRule::kUnion>},        {"sunioncard", MakeCard<SetRule::kUnion>},
};

}  // namespace

std::span<const OperationRow> SetOperations() { return kRows; }

}  // namespace rcproxy::proxy
