// What a client has queued since MULTI, and the unit that is sent when EXEC comes.
//
//   MULTI            SET k 1        INCR k          EXEC
//     |                 |              |               |
//     +OK            +QUEUED        +QUEUED       MULTI SET INCR EXEC, in one piece, to the owner
//     of
//                                                 the slot of k; the reply to EXEC is the client's
//
// Nothing is held at a node while a client thinks, and no connection is taken from others. The
// errors that a server finds when it queues a command (unknown, arity, not allowed, another slot)
// are found here and spoil the transaction; what only a node can know (NOPERM, OOM) comes with
// EXEC.
//
// Owner: ClientConnection, from MULTI to EXEC or DISCARD. Thread: the worker's.
// Invariant: the commands queued have at most one slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cluster/command_table.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

class Transaction {
 public:
  // `slot` is that of the keys that the client watches; -1: none.
  explicit Transaction(size_t bytes_max, int slot = -1) : bytes_max_(bytes_max), slot_(slot) {}

  // Queues the command or spoils the transaction. Returns the reply. Requires: arity checked.
  std::string Queue(const cluster::CommandSpec& spec, const resp::CommandView& command);
  // A command was refused: EXEC will be, too.
  void Spoil() { spoiled_ = true; }

  bool spoiled() const { return spoiled_; }
  bool empty() const { return commands_.empty(); }
  // Of all keys; -1 when there is none.
  int slot() const { return slot_; }
  bool read_only() const { return read_only_; }
  size_t bytes() const { return commands_.capacity(); }
  // MULTI, the commands, EXEC.
  std::string Unit() const;

 private:
  std::string Refuse(std::string_view error);

  const size_t bytes_max_;
  std::string commands_;
  int slot_;
  bool spoiled_ = false;
  bool read_only_ = true;
};

}  // namespace rcproxy::proxy
