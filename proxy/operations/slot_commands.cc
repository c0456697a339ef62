#include "proxy/operations/slot_commands.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_errors.h"
#include "cluster/hash_slot.h"
#include "proxy/operations/operation_text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

class AskOwner final : public Operation {
 public:
  AskOwner(uint16_t slot, std::string_view command) : slot_(slot), command_(command) {}

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (!answers.empty()) return round->Finish(std::string(answers[0]));
    round->AskSlot(slot_, command_, /*repeatable=*/true);
  }

 private:
  const uint16_t slot_;
  const std::string command_;
};

// What is wrong with the other arguments the owner says; with the slot, nobody is the owner.
std::unique_ptr<Operation> Make(const OperationCall& call, std::string_view out_of_range) {
  if (call.facts.config.face == Face::kStandalone) return AnswerError(cluster::kClusterDisabled);
  int64_t slot = 0;
  if (!resp::ParseStrictInteger(call.command[2], &slot)) return AnswerError(kNotAnInteger);
  if (slot < 0 || slot >= cluster::kSlotCount) return AnswerError(out_of_range);
  return std::make_unique<AskOwner>(static_cast<uint16_t>(slot), call.command.bytes());
}

std::unique_ptr<Operation> MakeCountKeys(const OperationCall& call) {
  return Make(call, "ERR Invalid slot");
}

std::unique_ptr<Operation> MakeGetKeys(const OperationCall& call) {
  return Make(call, "ERR Invalid slot or number of keys");
}

constexpr OperationRow kRows[] = {
    {"cluster|countkeysinslot", MakeCountKeys},
    {"cluster|getkeysinslot", MakeGetKeys},
};

}  // namespace

std::span<const OperationRow> SlotOperations() { return kRows; }

}  // namespace rcproxy::proxy
