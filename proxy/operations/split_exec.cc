#include "proxy/operations/split_exec.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/errors.h"
#include "proxy/operations/operation_text.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Elements = std::vector<std::string_view>;

class SplitExec final : public Operation {
 public:
  SplitExec(std::vector<TransactionPart> parts, std::vector<uint32_t> part_of_command)
      : parts_(std::move(parts)), part_of_command_(std::move(part_of_command)) {}

  void Next(Answers answers, Round* round) override {
    if (!answers.empty()) return round->Finish(InOrder(answers));
    for (const TransactionPart& part : parts_)
      round->AskUnit(static_cast<uint16_t>(part.slot), part.Unit(), part.read_only);
    parts_.clear();
  }

 private:
  std::string InOrder(Answers answers) const {
    std::vector<Elements> replies(answers.size());
    for (size_t i = 0; i < answers.size(); ++i) ReadElements(answers[i], &replies[i]);
    std::vector<size_t> next(answers.size(), 0);
    std::string reply;
    resp::AppendArrayHeader(&reply, part_of_command_.size());
    for (const uint32_t part : part_of_command_) {
      const Elements& elements = replies[part];
      reply += next[part] < elements.size() ? elements[next[part]++] : WhyNone(answers[part]);
    }
    return reply;
  }

  static std::string_view WhyNone(std::string_view answer) {
    return IsErrorReply(answer) ? answer : kErrorUnexpectedPart;
  }

  std::vector<TransactionPart> parts_;  // Until they are sent.
  const std::vector<uint32_t> part_of_command_;
};

}  // namespace

std::unique_ptr<Operation> MakeSplitExec(Transaction* transaction) {
  return std::make_unique<SplitExec>(transaction->TakeParts(), transaction->part_of_command());
}

}  // namespace rcproxy::proxy
