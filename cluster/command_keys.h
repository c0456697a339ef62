// Finds the keys of a command by its key specs. Pure and allocation-free: positions go to the
// caller's visitor.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "cluster/command_table.h"
#include "cluster/hash_slot.h"
#include "resp/command_view.h"

namespace rcproxy::cluster {

enum class KeysStatus : uint8_t {
  kOk,
  kNoKeys,       // The command has no key arguments in this form (EVAL with 0 keys).
  kBadKeyCount,  // numkeys does not begin with a number, is negative, or larger than the arguments:
                 // the server's error is the answer, any node's.
  kSyntax,  // A keyword or a key that must be there is missing: any node's error is the answer.
};

// A run of keys: first, first + step, ... `count` of them, as argument indexes.
struct KeyRun {
  uint32_t first;
  uint32_t count;
  uint32_t step;
  bool is_channel;
};

struct KeyRuns {
  static constexpr int kMax = 8;
  KeysStatus status = KeysStatus::kNoKeys;
  int size = 0;
  KeyRun runs[kMax];

  uint32_t TotalKeys() const;
};

// Calls visit(key) for each key, in order, until it returns true. Returns whether it did.
template <class F>
bool AnyKey(const resp::CommandView& command, const KeyRuns& keys, F&& visit) {
  for (int r = 0; r < keys.size; ++r) {
    const KeyRun& run = keys.runs[r];
    for (uint32_t i = 0, arg = run.first; i < run.count; ++i, arg += run.step) {
      if (visit(command[arg])) return true;
    }
  }
  return false;
}

// The slot that all keys share; -1 when they do not, or there are none.
inline int CommonSlot(const resp::CommandView& command, const KeyRuns& keys) {
  int slot = -1;
  const bool differ = AnyKey(command, keys, [&slot](std::string_view key) {
    const int before = std::exchange(slot, HashSlot(key));
    return before >= 0 && before != slot;
  });
  return differ ? -1 : slot;
}

// Its keys are known before its last arguments are: there is one, at spec.keys[0].index.
bool HasOneKeyAtFixedPlace(const CommandSpec& spec);

// Requires: spec.ArityOk(command.size()). For a subcommand, `command` is still the whole command.
KeyRuns FindKeys(const CommandSpec& spec, const resp::CommandView& command);

}  // namespace rcproxy::cluster
