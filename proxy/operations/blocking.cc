#include "proxy/operations/blocking.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/command_errors.h"
#include "cluster/command_keys.h"
#include "proxy/config.h"
#include "proxy/operations/operation_text.h"
#include "proxy/text.h"
#include "resp/value.h"
#include "resp/writer.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;
using resp::CommandView;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kPatienceNs = 1000 * kNsPerMs;
constexpr std::string_view kErrorUnblocked = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";

// Where a command has its timeout, and in which unit.
struct Timeout {
  size_t index = 0;  // 0: nowhere that could be read; the node will say so.
  bool in_ms = false;
  int64_t ns = 0;  // 0: for ever.
};

// XREAD and XREADGROUP block only when told to, by an option before STREAMS. Names and numbers
// between the options are skipped, as they may read like options. Returns where the option is; 0:
// nowhere.
size_t BlockOption(const CommandSpec& spec, const CommandView& command) {
  const bool stream_read = spec.name.starts_with("xread");
  for (size_t i = 1; i < command.size(); ++i) {
    if (EqualsIgnoreCase(command[i], "block")) return i;
    if (!stream_read) continue;
    if (EqualsIgnoreCase(command[i], "streams")) return 0;
    if (EqualsIgnoreCase(command[i], "group")) {
      i += 2;
    } else if (EqualsIgnoreCase(command[i], "count")) {
      i += 1;
    }
  }
  return 0;
}

size_t IndexOfTimeout(const CommandSpec& spec, const CommandView& command) {
  if (spec.name == "blmpop" || spec.name == "bzmpop") return 1;
  if (spec.route == cluster::Route::kBlocking) return command.size() - 1;
  const size_t option = BlockOption(spec, command);
  return option + 1 < command.size() ? option + 1 : 0;
}

Timeout FindTimeout(const CommandSpec& spec, const CommandView& command) {
  const bool in_ms = spec.route != cluster::Route::kBlocking;
  Timeout timeout{IndexOfTimeout(spec, command), in_ms, 0};
  double value = 0;
  const std::string_view word = timeout.index == 0 ? std::string_view() : command[timeout.index];
  constexpr double kLongestNs = 4e18;
  const double unit_ns = in_ms ? 1e6 : 1e9;
  if (!absl::SimpleAtod({word.data(), word.size()}, &value) || !(value >= 0) ||
      value * unit_ns > kLongestNs) {
    return {};
  }
  timeout.ns = static_cast<int64_t>(value * unit_ns);
  return timeout;
}

// Whether it may be asked again although a node that was lost may have executed it. A pop may if
// the operator says so: what it took there is gone with its reply, and the second one hides that.
// What others did (BLMOVE, XREADGROUP) is still there, and they would do it twice.
bool IsRepeatable(const CommandSpec& spec, const Config& config) {
  constexpr std::string_view kPops[] = {"blmpop", "blpop",    "brpop",
                                        "bzmpop", "bzpopmax", "bzpopmin"};
  if (spec.Has(cluster::kFlagRead)) return true;
  return config.retry_blocking_pops && std::ranges::find(kPops, spec.name) != std::end(kPops);
}

class Blocking final : public Operation {
 public:
  Blocking(const OperationCall& call, uint16_t slot)
      : slot_(slot),
        command_(call.command.bytes()),
        repeatable_(IsRepeatable(call.spec, call.facts.config)),
        timeout_(FindTimeout(call.spec, call.command)) {
    resp::AppendNullArray(&timeout_reply_, call.protocol);
    for (size_t i = 0; i < call.command.size(); ++i) words_.emplace_back(call.command[i]);
    if (call.spec.name == "xread") FindLatest(cluster::FindKeys(call.spec, call.command));
  }

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) {
      end_ns_ = round->now_ns() + timeout_.ns;
      if (latest_.empty()) return round->AskBlocking(slot_, command_, repeatable_);
      for (const Latest& latest : latest_) {
        round->AskSlot(slot_, CommandOf({"XINFO", "STREAM", words_[latest.key]}),
                       /*repeatable=*/true);
      }
      return;
    }
    if (!latest_.empty()) {
      NameLatest(answers);
      return round->AskBlocking(slot_, command_, repeatable_);
    }
    // What a primary says to those who wait when it has become a replica.
    if (!answers[0].starts_with("-UNBLOCKED force unblock"))
      return round->Finish(std::string(answers[0]));
    std::string again = Again(round->now_ns());
    round->AskBlocking(slot_, again.empty() ? command_ : std::move(again), repeatable_);
  }

  // With the time that is left; a millisecond when there is none, as 0 is for ever.
  std::string Again(int64_t now_ns) override {
    if (timeout_.ns == 0) return {};
    const int64_t left_ms = std::max<int64_t>((end_ns_ - now_ns) / kNsPerMs, 1);
    words_[timeout_.index] =
        timeout_.in_ms
            ? absl::StrCat(left_ms)
            : absl::StrCat(left_ms / 1000, ".", absl::Dec(left_ms % 1000, absl::kZeroPad3));
    return CommandOf(words_);
  }

  void NoteUnblocked(bool with_error) override {
    unblocked_reply_ = with_error ? kErrorUnblocked : timeout_reply_;
  }
  std::string_view UnblockedReply() const override { return unblocked_reply_; }
  bool IsOver(int64_t now_ns) const override {
    return timeout_.ns != 0 && now_ns >= end_ns_ + std::max<int64_t>(0, kPatienceNs - timeout_.ns);
  }

 private:
  // "$" is what was last in the stream when the command came: asked again later it would pass over
  // what has been added meanwhile.
  struct Latest {
    uint32_t key;  // Indexes of words_.
    uint32_t id;
  };

  void FindLatest(const cluster::KeyRuns& keys) {
    if (keys.size != 1) return;
    const cluster::KeyRun& run = keys.runs[0];
    for (uint32_t key = run.first; key < run.first + run.count; ++key) {
      const uint32_t id = key + run.count;
      if (id < words_.size() && words_[id] == "$") latest_.push_back({key, id});
    }
  }

  // An error other than of a missing key is for the command itself to get.
  void NameLatest(std::span<const std::string_view> answers) {
    for (size_t i = 0; i < latest_.size(); ++i) {
      std::string& id = words_[latest_[i].id];
      if (answers[i].starts_with("-ERR no such key")) id = "0-0";
      if (IsErrorReply(answers[i])) continue;
      const absl::StatusOr<resp::Value> stream = resp::ParseValue(answers[i]);
      const resp::Value* last = stream.ok() ? stream->Find("last-generated-id") : nullptr;
      if (last != nullptr && last->IsString()) id = last->text;
    }
    latest_.clear();
    command_ = CommandOf(words_);
  }

  const uint16_t slot_;
  std::string command_;
  const bool repeatable_;
  const Timeout timeout_;
  std::vector<std::string> words_;
  std::vector<Latest> latest_;  // Whose ids are still to be asked for.
  int64_t end_ns_ = 0;
  std::string timeout_reply_;
  std::string_view unblocked_reply_;  // Empty, or of kErrorUnblocked or timeout_reply_.
};

}  // namespace

std::unique_ptr<Operation> MakeBlocking(const OperationCall& call) {
  const bool may_block =
      call.spec.route == cluster::Route::kBlocking || BlockOption(call.spec, call.command) > 0;
  if (!may_block) return nullptr;
  const cluster::KeyRuns keys = cluster::FindKeys(call.spec, call.command);
  if (keys.TotalKeys() == 0) return std::make_unique<Blocking>(call, Question::kAnySlot);
  const int slot = cluster::CommonSlot(call.command, keys);
  if (slot < 0) return AnswerError(cluster::kCrossSlotError);
  return std::make_unique<Blocking>(call, static_cast<uint16_t>(slot));
}

}  // namespace rcproxy::proxy
