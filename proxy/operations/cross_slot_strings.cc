#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/operations/cross_slot.h"
#include "proxy/operations/cross_slot_fetch.h"
#include "proxy/operations/hyperloglog.h"
#include "proxy/operations/longest_common.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;

void AskValues(const std::vector<std::string>& keys, Round* round) {
  for (const std::string& key : keys) {
    round->AskSlot(cluster::HashSlot(key), CommandOf({"GET", key}), true);
  }
}

// ---- PFCOUNT

class CountTogether final : public Operation {
 public:
  explicit CountTogether(const OperationCall& call)
      : keys_(KeysOf(call)), bytes_max_(call.facts.config.compute_bytes_max) {}

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return AskValues(keys_, round);
    std::string reply = FetchError(answers, bytes_max_);
    if (reply.empty()) reply = Count(answers);
    round->Finish(std::move(reply));
  }

 private:
  static std::string Count(Answers answers) {
    const auto all = std::make_unique<HyperLogLog>();
    for (const std::string_view answer : answers) {
      if (IsNullReply(answer)) continue;
      switch (all->Merge(TextOf(answer))) {
        case HyperLogLog::Status::kOk:
          break;
        case HyperLogLog::Status::kOther:
          return "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
        case HyperLogLog::Status::kCorrupted:
          return "-INVALIDOBJ Corrupted HLL object detected\r\n";
      }
    }
    std::string reply;
    resp::AppendInteger(&reply, static_cast<int64_t>(all->Count()));
    return reply;
  }

  const std::vector<std::string> keys_;
  const uint64_t bytes_max_;
};

std::unique_ptr<Operation> MakePfCount(const OperationCall& call) {
  return std::make_unique<CountTogether>(call);
}

// ---- LCS

struct LcsOptions {
  bool length = false;
  bool indexes = false;
  bool with_lengths = false;
  int64_t length_min = 0;
};

class FindCommon final : public Operation {
 public:
  FindCommon(const OperationCall& call, LcsOptions options)
      : keys_(KeysOf(call)),
        options_(options),
        protocol_(call.protocol),
        bytes_max_(call.facts.config.compute_bytes_max) {}

  void Next(Answers answers, Round* round) override {
    if (answers.empty()) return AskValues(keys_, round);
    for (const std::string_view answer : answers) {
      if (answer.starts_with("-WRONGTYPE")) {
        return round->Finish("-ERR The specified keys must contain string values\r\n");
      }
    }
    std::string error = FetchError(answers, bytes_max_);
    if (!error.empty()) return round->Finish(std::move(error));
    const std::string_view a = TextOf(answers[0]);
    const std::string_view b = TextOf(answers[1]);
    const uint64_t cells = (a.size() + 1) * (b.size() + 1);
    if (cells * sizeof(uint32_t) > bytes_max_) {
      return round->Finish(Concat("-ERR cross-slot: LCS of ", a.size(), " and ", b.size(),
                                  " bytes takes more than --compute_bytes_max allows\r\n"));
    }
    round->Finish(Reply(LongestCommon(a, b)));
  }

 private:
  std::string Reply(const CommonSubsequence& common) const {
    std::string reply;
    if (options_.indexes) {
      AppendIndexes(common, &reply);
    } else if (options_.length) {
      resp::AppendInteger(&reply, static_cast<int64_t>(common.text.size()));
    } else {
      resp::AppendBulk(&reply, common.text);
    }
    return reply;
  }

  void AppendIndexes(const CommonSubsequence& common, std::string* reply) const {
    std::vector<CommonRange> ranges = common.ranges;
    std::erase_if(
        ranges, [this](const CommonRange& range) { return range.length() < options_.length_min; });
    resp::AppendMapHeader(reply, protocol_, 2);
    resp::AppendBulk(reply, "matches");
    resp::AppendArrayHeader(reply, ranges.size());
    for (const CommonRange& range : ranges) {
      resp::AppendArrayHeader(reply, options_.with_lengths ? 3 : 2);
      for (const auto& [first, last] :
           {std::pair(range.a_first, range.a_last), std::pair(range.b_first, range.b_last)}) {
        resp::AppendArrayHeader(reply, 2);
        resp::AppendInteger(reply, first);
        resp::AppendInteger(reply, last);
      }
      if (options_.with_lengths) resp::AppendInteger(reply, range.length());
    }
    resp::AppendBulk(reply, "len");
    resp::AppendInteger(reply, static_cast<int64_t>(common.text.size()));
  }

  const std::vector<std::string> keys_;
  const LcsOptions options_;
  const resp::Protocol protocol_;
  const uint64_t bytes_max_;
};

std::unique_ptr<Operation> MakeLcs(const OperationCall& call) {
  LcsOptions options;
  bool ok = true;
  for (size_t i = 3; i < call.command.size(); ++i) {
    const std::string_view word = call.command[i];
    if (EqualsIgnoreCase(word, "len")) {
      options.length = true;
    } else if (EqualsIgnoreCase(word, "idx")) {
      options.indexes = true;
    } else if (EqualsIgnoreCase(word, "withmatchlen")) {
      options.with_lengths = true;
    } else if (EqualsIgnoreCase(word, "minmatchlen") && i + 1 < call.command.size()) {
      ok = ok && resp::ParseStrictInteger(call.command[++i], &options.length_min);
    } else {
      ok = false;
    }
  }
  if (!ok || (options.length && options.indexes)) return std::make_unique<AskWhatIsWrong>(call);
  options.length_min = std::max<int64_t>(options.length_min, 0);
  return std::make_unique<FindCommon>(call, options);
}

constexpr OperationRow kRows[] = {
    {"lcs", MakeLcs},
    {"pfcount", MakePfCount},
};

}  // namespace

std::span<const OperationRow> StringOperations() { return kRows; }

}  // namespace rcproxy::proxy
