#include "proxy/transaction.h"

#include <string_view>
#include <utility>
#include <vector>

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

// A node would answer for the connection, which clients share.
bool IsAboutTheClient(const CommandSpec& spec) {
  return spec.route == Route::kPubSub ||
         (spec.route == Route::kLocal && spec.group == "connection");
}

std::string_view WhyNotQueued(const CommandSpec& spec) {
  if (IsAboutTheClient(spec)) {
    return "ERR Command not allowed inside a transaction through rcproxy: it concerns the client "
           "itself";
  }
  return "ERR Command not allowed inside a transaction through rcproxy: it concerns more than one "
         "node";
}

}  // namespace

Transaction::Transaction(const Config& config, Stats& stats, int watched_slot, uint16_t database)
    : config_(config),
      stats_(stats),
      may_split_(config.transactions == Transactions::kSplit && watched_slot == kNoSlot),
      database_(database) {
  if (watched_slot == kNoSlot) return;
  parts_.emplace_back().slot = watched_slot;
  part_of_slot_.emplace(watched_slot, 0);
}

std::string Transaction::Refuse(std::string_view error) {
  spoiled_ = true;
  return "-" + std::string(error) + "\r\n";
}

std::string Transaction::RefuseAsTooBig(std::string_view error) {
  stats_.errors_transaction_limit.Add();
  return Refuse(error);
}

std::string Transaction::Queue(const CommandSpec& spec, const CommandView& command) {
  if (spec.Has(cluster::kFlagNoMulti))
    return Refuse("ERR Command not allowed inside a transaction");
  if (!MayBeQueued(spec)) return Refuse(WhyNotQueued(spec));
  // It would change that of the connection, which others share.
  if (spec.name == "select" && command[1] != std::to_string(database_)) {
    return Refuse(
        "ERR SELECT of another database is not allowed inside a transaction through rcproxy");
  }
  if (bytes_ + command.bytes().size() > config_.request_bytes_max)
    return RefuseAsTooBig("ERR transaction too big: it has more bytes than a command may have");
  if (part_of_command_.size() >= config_.transaction_commands_max) {
    return RefuseAsTooBig(
        "ERR transaction too big: it has more commands than --transaction_commands_max");
  }
  int slot = kNoSlot;
  const cluster::KeyRuns keys = cluster::FindKeys(spec, command);
  const bool differ = cluster::AnyKey(command, keys, [&slot](std::string_view key) {
    const int before = std::exchange(slot, cluster::HashSlot(key));
    return before != kNoSlot && before != slot;
  });
  TransactionPart* part = differ ? nullptr : PartFor(slot);
  if (part == nullptr) return Refuse(cluster::kCrossSlotError);
  part->commands.append(command.bytes());
  part->read_only &= !spec.Has(cluster::kFlagWrite) && spec.Has(cluster::kFlagRead);
  part_of_command_.push_back(part - parts_.data());
  bytes_ += command.bytes().size() + sizeof(uint32_t);
  return "+QUEUED\r\n";
}

// A command without keys goes with the one before it; nullptr: it would need another part.
TransactionPart* Transaction::PartFor(int slot) {
  if (parts_.empty()) parts_.emplace_back();
  if (slot == kNoSlot) return &parts_[part_of_command_.empty() ? 0 : part_of_command_.back()];
  const auto found = part_of_slot_.find(slot);
  if (found != part_of_slot_.end()) return &parts_[found->second];
  if (parts_.front().slot != kNoSlot) {
    if (!may_split_) return nullptr;
    parts_.emplace_back();
  }
  parts_.back().slot = slot;
  part_of_slot_.emplace(slot, parts_.size() - 1);
  return &parts_.back();
}

std::string TransactionPart::Unit() const {
  std::string unit;
  unit.reserve(kMulti.size() + commands.size() + kExec.size());
  return unit.append(kMulti).append(commands).append(kExec);
}

}  // namespace rcproxy::proxy
