#include "proxy/operations/scan.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/glob_pattern.h"
#include "proxy/operations/operation_text.h"
#include "proxy/operations/slot_keys.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using cluster::kSlotCount;
using Answers = std::span<const std::string_view>;

constexpr int64_t kKeysPerSlotMax = 1 << 22;
// Slots asked about in one round: few at first, so that a page of a full cluster costs little.
constexpr int kSlotsFirst = 16;
constexpr int kSlotsMost = 256;
// Empty slots that one call may pass: a bound of the work, not of the page.
constexpr int64_t kSlotsPerCallMin = 1024;
constexpr int kRoundsPerSlotMax = 8;

struct ScanOptions {
  int64_t count = 10;
  std::optional<std::string> pattern;
  std::optional<std::string> type;
};

class Scan final : public Operation {
 public:
  Scan(const OperationCall& call, int slot, ScanOptions options)
      : facts_(call.facts), options_(std::move(options)), next_(slot) {
    if (options_.pattern == "*") options_.pattern.reset();
    last_ = static_cast<int>(std::min<int64_t>(
        kSlotCount, next_ + std::clamp<int64_t>(options_.count, kSlotsPerCallMin, kSlotCount)));
  }

  void Next(Answers answers, Round* round) override {
    const std::string_view error = FirstError(answers);
    if (!error.empty()) return round->Finish(std::string(error));
    if (!types_asked_.empty()) return TakeTypes(answers, round);
    size_t used = 0;
    for (const Asked& asked : std::exchange(asked_, {})) {
      if (!Take(asked, answers.subspan(used))) return Overflow(asked.slot, round);
      used += asked.at_target ? 1 : 2;
    }
    if (!asked_.empty() && ++rounds_ > kRoundsPerSlotMax) CutUnsettled();
    if (asked_.empty()) AddSlots();
    if (asked_.empty()) return FinishPage(round);
    Ask(round);
  }

 private:
  struct Asked {
    uint16_t slot;
    bool at_target;  // Its owner has been asked, and said where the rest is.
  };

  void Ask(Round* round) {
    epoch_ = facts_.table.epoch();
    for (const Asked& asked : asked_) {
      const std::string list =
          CommandOf({"CLUSTER", "GETKEYSINSLOT", Concat(asked.slot), Concat(kKeysPerSlotMax)});
      if (asked.at_target) {
        round->AskNode(*facts_.moving_slots.Target(asked.slot), list, true);
        continue;
      }
      round->AskSlot(asked.slot, list, true);
      round->AskSlot(asked.slot, CommandOf({"EXISTS", UnusedKeyIn(asked.slot)}), true);
    }
  }

  // False when the slot has more keys than fit.
  bool Take(const Asked& asked, Answers answers) {
    std::vector<std::string_view> elements;
    ReadElements(answers[0], &elements);
    if (elements.size() >= static_cast<size_t>(kKeysPerSlotMax)) return false;
    std::set<std::string>& keys = keys_[asked.slot];
    for (const std::string_view element : elements) {
      const std::string_view key = TextOf(element);
      if (options_.pattern && !MatchesGlob(*options_.pattern, key)) continue;
      keys.emplace(key);
    }
    if (facts_.table.changed_epoch(asked.slot) > epoch_) {
      asked_.push_back({asked.slot, false});  // Another owner: its list counts.
    } else if (!asked.at_target && facts_.moving_slots.Target(asked.slot) != nullptr) {
      asked_.push_back({asked.slot, true});
    }
    return true;
  }

  void Overflow(uint16_t slot, Round* round) {
    std::string reply;
    resp::AppendError(&reply,
                      Concat("ERR SCAN through rcproxy lists a slot at a time, and slot ", slot,
                             " has more than ", kKeysPerSlotMax, " keys: scan its node itself"));
    round->Finish(std::move(reply));
  }

  // The slots that have not come to rest, and those behind, are for the next page.
  void CutUnsettled() {
    next_ = std::ranges::min(asked_, {}, &Asked::slot).slot;
    last_ = next_;
    keys_.erase(keys_.lower_bound(next_), keys_.end());
    asked_.clear();
  }

  void AddSlots() {
    int64_t found = 0;
    for (const auto& [slot, keys] : keys_) found += static_cast<int64_t>(keys.size());
    if (found >= options_.count) return;
    const int end = std::min(last_, next_ + batch_);
    for (; next_ < end; ++next_) asked_.push_back({static_cast<uint16_t>(next_), false});
    batch_ = std::min(batch_ * 4, kSlotsMost);
    rounds_ = 0;
  }

  void FinishPage(Round* round) {
    if (!options_.type) {
      std::vector<std::string_view> page;
      for (const auto& [slot, keys] : keys_) page.insert(page.end(), keys.begin(), keys.end());
      return Finish(page, round);
    }
    for (const auto& [slot, keys] : keys_) {
      for (const std::string& key : keys) {
        types_asked_.push_back(key);
        round->AskSlot(slot, CommandOf({"TYPE", key}), true);
      }
    }
    if (types_asked_.empty()) Finish({}, round);
  }

  void TakeTypes(Answers answers, Round* round) {
    std::vector<std::string_view> page;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (EqualsIgnoreCase(TextOf(answers[i]), *options_.type)) page.push_back(types_asked_[i]);
    }
    Finish(page, round);
  }

  void Finish(const std::vector<std::string_view>& page, Round* round) {
    // 0 would end the scan; where slot 0 itself has to be listed again, it is called 16384.
    const int cursor = next_ == kSlotCount ? 0 : next_ == 0 ? kSlotCount : next_;
    std::string reply;
    resp::AppendArrayHeader(&reply, 2);
    resp::AppendBulk(&reply, Concat(cursor));
    resp::AppendArrayHeader(&reply, page.size());
    for (const std::string_view key : page) resp::AppendBulk(&reply, key);
    round->Finish(std::move(reply));
  }

  const OperationFacts& facts_;
  ScanOptions options_;
  int next_;  // The first slot that has not been asked for.
  int last_;  // The page ends before it.
  int batch_ = kSlotsFirst;
  int rounds_ = 0;  // That the slots in asked_ have taken.
  uint32_t epoch_ = 0;
  std::vector<Asked> asked_;
  std::map<int, std::set<std::string>> keys_;
  std::vector<std::string_view> types_asked_;  // Into keys_.
};

// As strtoul, which the server uses: a sign is allowed, and nothing at all is 0.
bool ParseCursor(std::string_view text, uint64_t* cursor) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.empty()) return false;
  }
  *cursor = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *cursor);
  if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) return false;
  if (negative) *cursor = -*cursor;
  return true;
}

// The error, or empty.
std::string_view ParseOptions(const resp::CommandView& command, ScanOptions* options) {
  for (size_t i = 2; i < command.size(); i += 2) {
    if (i + 1 == command.size()) return kSyntaxError;
    const std::string_view value = command[i + 1];
    if (EqualsIgnoreCase(command[i], "count")) {
      if (!resp::ParseStrictInteger(value, &options->count)) return kNotAnInteger;
      if (options->count < 1) return kSyntaxError;
    } else if (EqualsIgnoreCase(command[i], "match")) {
      options->pattern = value;
    } else if (EqualsIgnoreCase(command[i], "type")) {
      options->type = value;
    } else {
      return kSyntaxError;
    }
  }
  return {};
}

}  // namespace

std::unique_ptr<Operation> MakeScan(const OperationCall& call) {
  uint64_t cursor = 0;
  if (!ParseCursor(call.command[1], &cursor)) return AnswerError("ERR invalid cursor");
  ScanOptions options;
  const std::string_view error = ParseOptions(call.command, &options);
  if (!error.empty()) return AnswerError(error);
  if (cursor > static_cast<uint64_t>(kSlotCount)) {  // None of ours: there is nothing behind it.
    return std::make_unique<AnswerAtOnce>("*2\r\n$1\r\n0\r\n*0\r\n");
  }
  return std::make_unique<Scan>(call, static_cast<int>(cursor) % kSlotCount, std::move(options));
}

}  // namespace rcproxy::proxy
