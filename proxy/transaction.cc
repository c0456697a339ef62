#include "proxy/transaction.h"

#include <string_view>
#include <utility>

#include "cluster/command_errors.h"
#include "cluster/command_keys.h"
#include "cluster/hash_slot.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using cluster::Route;
using resp::CommandView;

namespace {

constexpr std::string_view kMulti = "*1\r\n$5\r\nMULTI\r\n";
constexpr std::string_view kExec = "*1\r\n$4\r\nEXEC\r\n";

// Commands that rcproxy answers itself elsewhere, but that a node answers the same way.
bool NodeAnswersToo(const CommandSpec& spec) {
  return spec.name == "ping" || spec.name == "echo" || spec.name == "time" ||
         spec.name == "select" || spec.name == "unwatch";
}

bool MayBeQueued(const CommandSpec& spec) {
  switch (spec.route) {
    case Route::kKeyed:
    case Route::kSplit:
    case Route::kAnyPrimary:
      return !spec.Has(cluster::kFlagNotYet);
    case Route::kBlocking:  // Inside a transaction they do not block.
      return true;
    case Route::kLocal:
    case Route::kTransaction:
      return NodeAnswersToo(spec);
    case Route::kAllPrimaries:
    case Route::kAllNodes:
    case Route::kContainer:
    case Route::kPubSub:
    case Route::kNodeOnly:
    case Route::kRefuse:
      return false;
  }
  return false;
}

}  // namespace

std::string Transaction::Refuse(std::string_view error) {
  spoiled_ = true;
  return "-" + std::string(error) + "\r\n";
}

std::string Transaction::Queue(const CommandSpec& spec, const CommandView& command) {
  if (spec.Has(cluster::kFlagNoMulti))
    return Refuse("ERR Command not allowed inside a transaction");
  if (!MayBeQueued(spec)) {
    return Refuse(
        "ERR Command not allowed inside a transaction through rcproxy: it concerns more than one "
        "node");
  }
  if (commands_.size() + command.bytes().size() > bytes_max_)
    return Refuse("ERR transaction too big: it has more bytes than a command may have");
  const cluster::KeyRuns keys = cluster::FindKeys(spec, command);
  const bool elsewhere = cluster::AnyKey(command, keys, [this](std::string_view key) {
    const int before = std::exchange(slot_, cluster::HashSlot(key));
    return before >= 0 && before != slot_;
  });
  if (elsewhere) return Refuse(cluster::kCrossSlotError);
  commands_.append(command.bytes());
  read_only_ = read_only_ && !spec.Has(cluster::kFlagWrite) && spec.Has(cluster::kFlagRead);
  return "+QUEUED\r\n";
}

std::string Transaction::Unit() const {
  std::string unit;
  unit.reserve(kMulti.size() + commands_.size() + kExec.size());
  return unit.append(kMulti).append(commands_).append(kExec);
}

}  // namespace rcproxy::proxy
