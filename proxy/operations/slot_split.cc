#include "proxy/operations/slot_split.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/command_keys.h"
#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/operations/operation_text.h"
#include "proxy/reply_merger.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Words = std::vector<std::string>;

enum class Join : uint8_t {
  kFirst,      // All say the same.
  kItemOrder,  // Arrays with an element for each item.
  kStreams,    // Of streams, by key, those that have something.
};

// A command taken apart: `head`, items, `tail`. An item is a key and what belongs to it, as indexes
// of arguments.
struct Form {
  Words head;
  std::vector<std::vector<size_t>> items;
  Words tail;
  Join join = Join::kFirst;
  bool counts_items = false;  // Their number stands behind the head.
  bool by_column = false;     // All keys, then all of what belongs to them.
};

struct Part {
  uint16_t slot;
  std::vector<size_t> items;
};

// `count` items of `width` arguments each, one after another.
std::vector<std::vector<size_t>> ItemsInRows(size_t first, size_t count, size_t width) {
  std::vector<std::vector<size_t>> items(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < width; ++j) items[i].push_back(first + i * width + j);
  }
  return items;
}

// XREAD [COUNT n], XREADGROUP GROUP g c [COUNT n] [NOACK] [CLAIM ms]; an option that is not known
// may be about all streams together.
std::optional<Form> StreamsForm(const OperationCall& call, const cluster::KeyRun& keys) {
  const resp::CommandView& command = call.command;
  Form form;
  for (size_t i = 0; i < keys.first; ++i) form.head.emplace_back(command[i]);
  for (size_t i = 1; i + 1 < keys.first; ++i) {
    if (EqualsIgnoreCase(command[i], "count") || EqualsIgnoreCase(command[i], "claim")) {
      i += 1;
    } else if (EqualsIgnoreCase(command[i], "group")) {
      i += 2;
    } else if (!EqualsIgnoreCase(command[i], "noack")) {
      return std::nullopt;
    }
  }
  for (size_t i = 0; i < keys.count; ++i) {
    form.items.push_back({keys.first + i, keys.first + keys.count + i});
  }
  form.join = Join::kStreams;
  form.by_column = true;
  return form;
}

// Parts may be executed at different times, and their keys shall expire together. What is no time
// is left for the nodes to refuse.
void MakeAbsolute(int64_t now_ms, std::string* unit, std::string* time) {
  const bool in_seconds = EqualsIgnoreCase(*unit, "ex");
  if (!in_seconds && !EqualsIgnoreCase(*unit, "px")) return;
  int64_t value = 0;
  const int64_t factor = in_seconds ? 1000 : 1;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if (!resp::ParseStrictInteger(*time, &value) || value <= 0 || value > (kMax - now_ms) / factor)
    return;
  *unit = "PXAT";
  *time = std::to_string(now_ms + value * factor);
}

// MSETEX n key value ... [EX s | PX ms | EXAT t | PXAT t | KEEPTTL]. What is wrong with an expiry
// the nodes say, before they write anything.
std::optional<Form> SetExpiringForm(const OperationCall& call, const cluster::KeyRun& keys) {
  const resp::CommandView& command = call.command;
  Form form;
  form.head.emplace_back(command[0]);
  form.counts_items = true;
  form.items = ItemsInRows(keys.first, keys.count, 2);
  for (size_t i = keys.first + 2 * keys.count; i < command.size(); ++i) {
    form.tail.emplace_back(command[i]);
  }
  constexpr std::array<std::string_view, 4> kTimes = {"ex", "px", "exat", "pxat"};
  const auto is_time = [&](std::string_view time) { return EqualsIgnoreCase(form.tail[0], time); };
  if (form.tail.empty()) return form;
  if (form.tail.size() == 1 && EqualsIgnoreCase(form.tail[0], "keepttl")) return form;
  if (form.tail.size() != 2 || std::ranges::none_of(kTimes, is_time)) return std::nullopt;
  MakeAbsolute(absl::ToUnixMillis(absl::Now()), &form.tail[0], &form.tail[1]);
  return form;
}

std::optional<Form> JsonGetForm(const OperationCall& call, const cluster::KeyRun& keys) {
  return Form{.head = {std::string(call.command[0])},
              .items = ItemsInRows(keys.first, keys.count, 1),
              .tail = {std::string(call.command[call.command.size() - 1])},
              .join = Join::kItemOrder};
}

// name (key x y) ..., without anything else.
template <Join kJoin>
std::optional<Form> TriplesForm(const OperationCall& call, const cluster::KeyRun& keys) {
  if ((call.command.size() - 1) % 3 != 0) return std::nullopt;
  return Form{.head = {std::string(call.command[0])},
              .items = ItemsInRows(keys.first, keys.count, 3),
              .tail = {},
              .join = kJoin};
}

class SlotSplit final : public Operation {
 public:
  SlotSplit(const OperationCall& call, const Form& form)
      : join_(form.join), protocol_(call.protocol), repeatable_(call.spec.Has(cluster::kFlagRead)) {
    std::map<uint16_t, size_t> part_of_slot;
    for (size_t i = 0; i < form.items.size(); ++i) {
      const std::string_view key = call.command[form.items[i][0]];
      const auto [found, is_new] = part_of_slot.emplace(cluster::HashSlot(key), parts_.size());
      if (is_new) parts_.push_back({found->first, {}});
      parts_[found->second].items.push_back(i);
      part_of_item_.push_back(found->second);
      keys_.emplace_back(key);
    }
    for (const Part& part : parts_) commands_.push_back(CommandOfPart(call.command, form, part));
  }

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) {
      for (size_t i = 0; i < parts_.size(); ++i) {
        round->AskSlot(parts_[i].slot, std::move(commands_[i]), repeatable_);
      }
      return;
    }
    const std::string_view error = FirstError(answers);
    if (!error.empty())
      return round->Finish(repeatable_ ? std::string(error) : WriteFailure(error, answers));
    round->Finish(JoinAnswers(answers));
  }

 private:
  static std::string CommandOfPart(const resp::CommandView& command, const Form& form,
                                   const Part& part) {
    Words words = form.head;
    if (form.counts_items) words.push_back(std::to_string(part.items.size()));
    const size_t width = form.items[0].size();
    const auto add = [&](size_t item, size_t column) {
      words.emplace_back(command[form.items[item][column]]);
    };
    if (form.by_column) {
      for (size_t column = 0; column < width; ++column) {
        for (const size_t item : part.items) add(item, column);
      }
    } else {
      for (const size_t item : part.items) {
        for (size_t column = 0; column < width; ++column) add(item, column);
      }
    }
    words.insert(words.end(), form.tail.begin(), form.tail.end());
    return CommandOf(words);
  }

  std::string JoinAnswers(Answers answers) const {
    switch (join_) {
      case Join::kFirst:
        return std::string(answers[0]);
      case Join::kItemOrder:
        return JoinItems(answers);
      case Join::kStreams:
        return JoinStreams(answers);
    }
    return {};
  }

  // Each item takes the next element of its part's array.
  std::string JoinItems(Answers answers) const {
    std::vector<std::vector<std::string_view>> elements(answers.size());
    for (size_t i = 0; i < answers.size(); ++i) {
      if (!ReadElements(answers[i], &elements[i]) || elements[i].size() != parts_[i].items.size())
        return std::string(kErrorUnexpectedPart);
      std::ranges::reverse(elements[i]);
    }
    std::string reply;
    resp::AppendArrayHeader(&reply, part_of_item_.size());
    for (const size_t part : part_of_item_) {
      reply += elements[part].back();
      elements[part].pop_back();
    }
    return reply;
  }

  // A stream of a part's answer, and the bytes that the joined one has of it.
  struct Stream {
    std::string_view key;
    std::string bytes;
  };

  // The streams of an answer in reverse: [[key, entries], ...] or, in RESP3, {key: entries, ...}.
  // Null has none. False for anything else.
  static bool ReadStreams(std::string_view answer, std::vector<Stream>* streams) {
    if (IsNullReply(answer)) return true;
    std::vector<std::string_view> elements;
    if (!ReadElements(answer, &elements)) return false;
    if (answer.starts_with('%')) {
      for (size_t i = 0; i + 1 < elements.size(); i += 2) {
        streams->push_back({TextOf(elements[i]), Concat(elements[i], elements[i + 1])});
      }
    } else {
      std::vector<std::string_view> pair;
      for (const std::string_view element : elements) {
        if (!ReadElements(element, &pair) || pair.empty()) return false;
        streams->push_back({TextOf(pair[0]), std::string(element)});
      }
    }
    std::ranges::reverse(*streams);
    return true;
  }

  std::string JoinStreams(Answers answers) const {
    std::vector<std::vector<Stream>> streams(answers.size());
    for (size_t i = 0; i < answers.size(); ++i) {
      if (!ReadStreams(answers[i], &streams[i])) return std::string(kErrorUnexpectedPart);
    }
    std::string body;
    size_t count = 0;
    for (size_t i = 0; i < keys_.size(); ++i) {
      std::vector<Stream>& part = streams[part_of_item_[i]];
      if (part.empty() || part.back().key != keys_[i]) continue;
      body += part.back().bytes;
      part.pop_back();
      ++count;
    }
    std::string reply;
    if (count == 0) {
      resp::AppendNullArray(&reply, protocol_);
    } else if (protocol_ == resp::Protocol::kResp3) {
      resp::AppendMapHeader(&reply, protocol_, count);
    } else {
      resp::AppendArrayHeader(&reply, count);
    }
    return reply + body;
  }

  const Join join_;
  const resp::Protocol protocol_;
  const bool repeatable_;
  std::vector<Part> parts_;  // In the order of their first key.
  std::vector<size_t> part_of_item_;
  Words keys_;
  Words commands_;
};

// XREAD STREAMS a b 0: an id is missing. A node says so when it does not see several slots first:
// with one key in the place of every word.
class AskUnbalanced final : public Operation {
 public:
  AskUnbalanced(const resp::CommandView& command, size_t first_key)
      : slot_(cluster::HashSlot(command[first_key])) {
    for (size_t i = 0; i < command.size(); ++i) {
      words_.emplace_back(command[std::min(i, first_key)]);
    }
  }
  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return round->AskSlot(slot_, CommandOf(words_), /*repeatable=*/true);
    round->Finish(std::string(answers[0]));
  }

 private:
  const uint16_t slot_;
  Words words_;
};

struct FormRow {
  std::string_view name;
  std::optional<Form> (*form)(const OperationCall& call, const cluster::KeyRun& keys);
};

constexpr FormRow kForms[] = {
    {"json.mget", JsonGetForm},  {"json.mset", TriplesForm<Join::kFirst>},
    {"msetex", SetExpiringForm}, {"ts.madd", TriplesForm<Join::kItemOrder>},
    {"xread", StreamsForm},      {"xreadgroup", StreamsForm},
};

}  // namespace

std::unique_ptr<Operation> MakeSlotSplit(const OperationCall& call) {
  const FormRow* const row = std::ranges::find(kForms, call.spec.name, &FormRow::name);
  if (row == std::end(kForms)) return nullptr;
  const cluster::KeyRuns keys = cluster::FindKeys(call.spec, call.command);
  if (keys.size != 1) return nullptr;
  const size_t first_key = keys.runs[0].first;
  if (call.spec.name.starts_with("xread") && (call.command.size() - first_key) % 2 != 0)
    return std::make_unique<AskUnbalanced>(call.command, first_key);
  const std::optional<Form> form = row->form(call, keys.runs[0]);
  return form.has_value() ? std::make_unique<SlotSplit>(call, *form) : nullptr;
}

}  // namespace rcproxy::proxy
