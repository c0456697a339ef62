#include "proxy/operations/wait.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/replication_state.h"
#include "proxy/errors.h"
#include "proxy/operations/operation_text.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using cluster::NodeAddress;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kPauseMsMax = 200;
constexpr int64_t kLongestMs = 4'000'000'000'000;  // Which is as good as for ever.
constexpr std::string_view kMoreThanThereAre = "2147483647";

struct Arguments {
  int64_t replicas = 0;
  int64_t timeout_ns = 0;  // 0: for ever.
};

// Returns the server's error, or nothing.
std::string_view Parse(const OperationCall& call, Arguments* arguments) {
  int64_t timeout_ms = 0;
  if (!resp::ParseStrictInteger(call.command[1], &arguments->replicas)) return kNotAnInteger;
  if (!resp::ParseStrictInteger(call.command[2], &timeout_ms))
    return "ERR timeout is not an integer or out of range";
  if (timeout_ms < 0) return "ERR timeout is negative";
  const int64_t now_ms = call.facts.host.NowNs() / kNsPerMs;
  if (timeout_ms > std::numeric_limits<int64_t>::max() - now_ms)
    return "ERR timeout is out of range";
  arguments->timeout_ns = std::min(timeout_ms, kLongestMs) * kNsPerMs;
  return {};
}

class Wait final : public Operation {
 public:
  Wait(const OperationCall& call, const Arguments& arguments)
      : facts_(call.facts), writes_(*call.writes), arguments_(arguments) {}

  void Next(Answers answers, Round* round) override {
    round->SetBlocks();
    switch (step_) {
      case Step::kBegin:
        end_ns_ = round->now_ns() + arguments_.timeout_ns;
        if (!FindShards()) return FinishLost(round);
        if (shards_.empty()) return round->Finish(std::string(kErrorSlotNotServed));
        return AskOffsets(round);
      case Step::kOffsets:
        return OnOffsets(answers, round);
      case Step::kPause:
        // What a primary says when it has become a replica; it will tell again.
        if (const std::string_view error = FirstError(answers);
            !error.empty() && !error.starts_with("-UNBLOCKED"))
          return round->Finish(std::string(error));
        return AskOffsets(round);
    }
  }

  bool Unblock(bool with_error) override {
    is_unblocked_ = true;
    ends_with_error_ = with_error;
    return true;
  }

 private:
  enum class Step : uint8_t { kBegin, kOffsets, kPause };  // What has been asked.

  struct Shard {
    NodeAddress node;
    int64_t target = -1;    // Offset that counts; -1: not known yet.
    int64_t replicas = -1;  // That have come so far; -1: not known yet.
  };

  // Those written to; all, when nothing has been written: a server then counts its replicas. False
  // when one that was written to has been lost.
  bool FindShards() {
    const uint32_t marks = writes_.nodes();
    if (facts_.writes.LostSince(marks, writes_.since())) return false;
    uint32_t found = 0;
    for (const uint16_t slot : facts_.table.SlotOfEachPrimary()) {
      const UpstreamNode& node = *facts_.table.Find(slot).primary;
      if (marks != 0 && (node.write_mark() & marks) == 0) continue;
      found |= node.write_mark();
      shards_.push_back({.node = node.address(), .target = marks == 0 ? 0 : -1});
    }
    return (marks & ~found) == 0;
  }

  void AskOffsets(Round* round) {
    step_ = Step::kOffsets;
    asked_.clear();
    for (Shard& shard : shards_) {
      if (!IsWaitedFor(shard)) continue;
      asked_.push_back(&shard);
      round->AskNodeOnce(shard.node, CommandOf({"INFO", "replication"}));
    }
  }

  void OnOffsets(Answers answers, Round* round) {
    for (size_t i = 0; i < answers.size(); ++i) {
      if (IsErrorReply(answers[i])) return round->Finish(std::string(answers[i]));
      const cluster::ReplicationState state = cluster::ParseReplicationState(TextOf(answers[i]));
      // One that has begun again is not where it was.
      if (!state.is_primary || state.offset < std::max<int64_t>(asked_[i]->target, 0))
        return FinishLost(round);
      if (asked_[i]->target < 0) asked_[i]->target = state.offset;
      asked_[i]->replicas = state.CountAt(asked_[i]->target);
    }
    const bool is_over = arguments_.timeout_ns != 0 && round->now_ns() >= end_ns_;
    const bool is_done =
        std::ranges::none_of(shards_, [this](const Shard& shard) { return IsWaitedFor(shard); });
    if (is_done || is_over || is_unblocked_) return Finish(round);
    Pause(round);
  }

  bool IsWaitedFor(const Shard& shard) const {
    return shard.replicas < 0 || shard.replicas < arguments_.replicas;
  }

  // Has the nodes ask their replicas, which otherwise tell once a second how far they are.
  void Pause(Round* round) {
    step_ = Step::kPause;
    int64_t ms = pause_ms_;
    if (arguments_.timeout_ns != 0)
      ms = std::clamp<int64_t>((end_ns_ - round->now_ns()) / kNsPerMs, 1, ms);
    pause_ms_ = std::min(2 * pause_ms_, kPauseMsMax);
    const std::string wait = CommandOf({"WAIT", kMoreThanThereAre, Concat(ms)});
    for (const Shard& shard : shards_) {
      if (IsWaitedFor(shard)) round->AskNodeBlocking(shard.node, wait);
    }
  }

  void Finish(Round* round) const {
    std::string reply;
    if (is_unblocked_ && ends_with_error_) {
      resp::AppendError(&reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
      resp::AppendInteger(&reply, std::ranges::min(shards_, {}, &Shard::replicas).replicas);
    }
    round->Finish(std::move(reply));
  }

  // What counts from now on is written from now on.
  void FinishLost(Round* round) {
    writes_.Clear();
    round->Finish(std::string(kErrorWaitLost));
  }

  const OperationFacts& facts_;
  WriteMarks& writes_;
  const Arguments arguments_;
  Step step_ = Step::kBegin;
  int64_t end_ns_ = 0;
  int64_t pause_ms_ = 1;
  std::vector<Shard> shards_;
  std::vector<Shard*> asked_;  // Of shards_, in the order of the questions under way.
  bool is_unblocked_ = false;
  bool ends_with_error_ = false;
};

}  // namespace

std::unique_ptr<Operation> MakeWait(const OperationCall& call) {
  Arguments arguments;
  const std::string_view error = Parse(call, &arguments);
  if (!error.empty()) return AnswerError(error);
  return std::make_unique<Wait>(call, arguments);
}

}  // namespace rcproxy::proxy
