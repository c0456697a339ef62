#include "proxy/operations/keys.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/errors.h"

namespace rcproxy::proxy {
namespace {

class Keys final : public Operation {
 public:
  explicit Keys(const OperationCall& call) : command_(call.command.bytes()) {
    const int slot = SlotOfPattern(call.command[1]);
    if (slot >= 0) {
      slots_.push_back(static_cast<uint16_t>(slot));
    } else {
      slots_ = call.facts.table.SlotOfEachPrimary();
    }
  }

  void Next(std::span<const std::string_view>, Round* round) override {
    if (slots_.empty()) return round->Finish(std::string(kErrorSlotNotServed));
    for (const uint16_t slot : slots_) round->AskSlotJoined(slot, command_);
  }

 private:
  const std::string command_;
  std::vector<uint16_t> slots_;
};

}  // namespace

int SlotOfPattern(std::string_view pattern) {
  const size_t plain = std::min(pattern.find_first_of("*?[\\"), pattern.size());
  const size_t open = pattern.substr(0, plain).find('{');
  const size_t close = pattern.substr(0, plain).find('}', open);
  if (open == std::string_view::npos || close == std::string_view::npos || close == open + 1)
    return -1;
  return cluster::HashSlot(pattern.substr(0, plain));
}

std::unique_ptr<Operation> MakeKeys(const OperationCall& call) {
  return std::make_unique<Keys>(call);
}

}  // namespace rcproxy::proxy
