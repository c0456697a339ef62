// What the computed commands share: keys by slot, the byte cap, errors by a node's own words.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_keys.h"
#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/operations/operation_call.h"
#include "proxy/operations/operation_text.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {

// Requires: FindKeys found one run.
inline std::vector<std::string> KeysOf(const OperationCall& call) {
  std::vector<std::string> keys;
  const cluster::KeyRuns runs = cluster::FindKeys(call.spec, call.command);
  for (int r = 0; r < runs.size; ++r) {
    for (uint32_t i = 0, arg = runs.runs[r].first; i < runs.runs[r].count;
         ++i, arg += runs.runs[r].step) {
      keys.emplace_back(call.command[arg]);
    }
  }
  return keys;
}

// "ZDIFF 2 a b": whether the number of keys is one. They are found with less care, as servers find
// them.
inline bool IsKeyCountStrict(const OperationCall& call) {
  int64_t count = 0;
  return resp::ParseStrictInteger(call.command[1], &count);
}

// A first answer that is an error, or the error of having fetched too much; else empty.
inline std::string FetchError(std::span<const std::string_view> answers, uint64_t bytes_max) {
  const std::string_view error = FirstError(answers);
  if (!error.empty()) return std::string(error);
  uint64_t bytes = 0;
  for (const std::string_view answer : answers) bytes += answer.size();
  if (bytes <= bytes_max) return {};
  return Concat("-ERR cross-slot: the keys hold ", bytes,
                " bytes, more than --compute_bytes_max allows\r\n");
}

// The command with all its keys replaced by one of them, for each of them: nodes can say what is
// wrong with the rest of it, and whether a key is of another type, which some commands see first.
class AskWhatIsWrong final : public Operation {
 public:
  explicit AskWhatIsWrong(const OperationCall& call) {
    for (const std::string& key : KeysOf(call)) {
      if (std::ranges::find(keys_, key) == keys_.end()) keys_.push_back(key);
    }
    for (size_t i = 0; i < call.command.size(); ++i) words_.emplace_back(call.command[i]);
    runs_ = cluster::FindKeys(call.spec, call.command);
  }
  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return Ask(round);
    for (const std::string_view answer : answers) {
      if (answer.starts_with("-WRONGTYPE") || answer.starts_with("-ERR The specified keys"))
        return round->Finish(std::string(answer));
    }
    // What we cannot read and the server can: a newer option.
    round->Finish(IsErrorReply(answers[0]) ? std::string(answers[0])
                                           : std::string(kErrorCrossSlot));
  }

 private:
  void Ask(Round* round) {
    for (const std::string& key : keys_) {
      for (int r = 0; r < runs_.size; ++r) {
        const cluster::KeyRun& run = runs_.runs[r];
        for (uint32_t i = 0, arg = run.first; i < run.count; ++i, arg += run.step) {
          words_[arg] = key;
        }
      }
      round->AskSlot(cluster::HashSlot(key), CommandOf(words_), true);
    }
  }

  std::vector<std::string> keys_;  // Each once.
  std::vector<std::string> words_;
  cluster::KeyRuns runs_;
};

}  // namespace rcproxy::proxy
