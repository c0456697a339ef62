// What a client has queued since MULTI, and the units that are sent when EXEC comes.
//
//   MULTI            SET k 1        INCR k          EXEC
//     |                 |              |               |
//     +OK            +QUEUED        +QUEUED       MULTI SET INCR EXEC, in one piece, to the slot's
//                                                 owner; the reply to EXEC is the client's
//
// Nothing is held at a node while a client thinks, and no connection is taken from others. The
// errors that a server finds when it queues a command (unknown, arity, not allowed, another slot)
// are found here and spoil the transaction; what only a node can know (NOPERM, OOM) comes with
// EXEC.
//
// Owner: ClientConnection, from MULTI to EXEC or DISCARD. Thread: the worker's.
// Invariants: 1. the commands of a part have at most one slot, and no two parts have the same; 2.
// there is more than one part only with --transactions=split, and none with watched keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/config.h"
#include "proxy/stats.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// The commands that have their keys in one slot, as they came.
struct TransactionPart {
  // MULTI, the commands, EXEC.
  std::string Unit() const;

  int slot = -1;  // -1: no command has a key.
  std::string commands;
  bool read_only = true;
};

class Transaction {
 public:
  static constexpr int kNoSlot = -1;

  // `watched_slot` is that of the keys that the client watches, `database` the one it has selected.
  // Both objects outlive this.
  Transaction(const Config& config, Stats& stats, int watched_slot = kNoSlot,
              uint16_t database = 0);

  // Queues the command or spoils the transaction. Returns the reply. Requires: arity checked.
  std::string Queue(const cluster::CommandSpec& spec, const resp::CommandView& command);
  // A command was refused: EXEC will be, too.
  void Spoil() { spoiled_ = true; }

  bool spoiled() const { return spoiled_; }
  bool empty() const { return part_of_command_.empty(); }
  size_t bytes() const { return bytes_; }
  // At least one when not empty.
  const std::vector<TransactionPart>& parts() const { return parts_; }
  std::vector<TransactionPart> TakeParts() { return std::move(parts_); }
  // By the order in which they were queued: the indexes of their parts.
  const std::vector<uint32_t>& part_of_command() const { return part_of_command_; }

 private:
  std::string Refuse(std::string_view error);
  std::string RefuseAsTooBig(std::string_view error);
  TransactionPart* PartFor(int slot);

  const Config& config_;
  Stats& stats_;
  const bool may_split_;
  const uint16_t database_;
  std::vector<TransactionPart> parts_;
  std::unordered_map<int, uint32_t> part_of_slot_;
  std::vector<uint32_t> part_of_command_;
  size_t bytes_ = 0;
  bool spoiled_ = false;
};

}  // namespace rcproxy::proxy
