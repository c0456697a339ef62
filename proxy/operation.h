// A command that takes several questions to nodes, and code of its own: SCAN, RANDOMKEY, PROXY
// NODE.
//
//   Router::Start -> Next(no answers) -> questions go out together, as parts of a split command
//                 -> Next(their answers) -> more questions, or Finish(the reply)
//
// Questions follow redirects and are tried again like any part of a command; an answer may be an
// error. While an operation runs, its client's next commands wait. Not for the hot path: may
// allocate.
//
// Owner: the SplitState of its request; gone when it has finished or its client has left. Thread:
// the worker's. Invariants: 1. each Next asks at least one question, or finishes, or waits for
// Resume; 2. replies are RESP2 or RESP3 as the client's connection was when the operation started.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"

namespace rcproxy::proxy {

class HeldLink;

struct Question {
  static constexpr uint16_t kAnySlot = 0xffff;  // Any primary is asked.

  std::string command;        // Whole, in multibulk form.
  uint16_t slot;              // Its owner is asked.
  cluster::NodeAddress node;  // Port not 0: this node, whatever it owns.
  bool repeatable = false;    // Asking twice does no harm.
  bool resp3 = false;         // In RESP3 whatever the client speaks.
  bool once = false;          // Not offered again: whatever happens to it first is the answer.
  bool aside = false;         // On a connection of its own, past what the shared one waits for.
  bool blocks = false;        // So is this, for as long as it takes.
  bool uploads = false;       // So is this: only the head of the command, its client adds the rest.
  HeldLink* held = nullptr;   // On this connection, which is taken when it is none; nowhere else.
  bool is_unit = false;       // Several commands, MULTI to EXEC.
};

// What an operation wants next.
class Round {
 public:
  explicit Round(uint64_t wait_id = 0, int64_t now_ns = 0) : wait_id_(wait_id), now_ns_(now_ns) {}

  int64_t now_ns() const { return now_ns_; }

  void AskSlot(uint16_t slot, std::string command, bool repeatable) {
    questions_.push_back({std::move(command), slot, {}, repeatable});
  }
  void AskAnyPrimary(std::string command, bool repeatable) {
    AskSlot(Question::kAnySlot, std::move(command), repeatable);
  }
  void AskAnyPrimaryInResp3(std::string command) {
    questions_.push_back(
        {std::move(command), Question::kAnySlot, {}, /*repeatable=*/true, /*resp3=*/true});
  }
  void AskNode(const cluster::NodeAddress& node, std::string command, bool repeatable) {
    questions_.push_back({std::move(command), Question::kAnySlot, node, repeatable});
  }
  // The same, but when the node can not be reached now, that is the answer.
  void AskNodeOnce(const cluster::NodeAddress& node, std::string command) {
    AskNode(node, std::move(command), /*repeatable=*/true);
    questions_.back().once = true;
  }
  // While a node runs a script, its replies on the shared connection wait for the script's.
  void AskSlotAside(uint16_t slot, std::string command, bool repeatable) {
    AskSlot(slot, std::move(command), repeatable);
    questions_.back().aside = true;
  }
  // An array of a node. Those of all questions of the round become one, which goes to the client
  // while they arrive, each on a connection of its own; the operation is not asked again.
  void AskSlotJoined(uint16_t slot, std::string command) {
    AskSlotAside(slot, std::move(command), /*repeatable=*/true);
    joins_ = true;
  }
  // The node may take its time: no timeout of rcproxy ends it, and when it is moved or its node is
  // lost it is asked again, as Operation::Again says; of a lost node only when it is `repeatable`.
  // The connection closes when the client leaves.
  void AskBlocking(uint16_t slot, std::string command, bool repeatable) {
    AskSlot(slot, std::move(command), repeatable);
    questions_.back().blocks = true;
    blocks_ = true;
  }
  // The same of one node, which is not asked again.
  void AskNodeBlocking(const cluster::NodeAddress& node, std::string command) {
    AskNodeOnce(node, std::move(command));
    questions_.back().blocks = true;
    blocks_ = true;
  }
  // The operation may go on for ever, though the questions of this round do not: it ends when its
  // client leaves, and CLIENT UNBLOCK is for it.
  void SetBlocks() { blocks_ = true; }
  // The rest of the command follows from the client (Router::OwnLinkOf). Never asked again.
  void AskUpload(uint16_t slot, std::string head) {
    questions_.push_back({std::move(head), slot, {}, /*repeatable=*/false});
    questions_.back().uploads = true;
  }
  // MULTI to EXEC, for which the same is true as for one command.
  void AskUnit(uint16_t slot, std::string unit, bool repeatable) {
    AskSlot(slot, std::move(unit), repeatable);
    questions_.back().is_unit = true;
  }
  // On the connection that the client keeps, or will. A node that does not have the slot any more,
  // or has lost the connection, is no answer: `held` is closed, and WATCH is answered with OK.
  void AskHeld(uint16_t slot, std::string command, HeldLink* held) {
    questions_.push_back({std::move(command), slot, {}, /*repeatable=*/true});
    questions_.back().held = held;
  }
  // The same for a transaction, which is answered with null then, as nothing has been executed.
  void AskHeldUnit(uint16_t slot, std::string unit, HeldLink* held) {
    questions_.push_back({std::move(unit), slot, {}, /*repeatable=*/false});
    questions_.back().held = held;
    questions_.back().is_unit = true;
  }
  // Asks nobody, but waits until Router::Resume is called with the id returned. Safe to be called
  // when the operation has gone meanwhile: the id is never used again.
  uint64_t Wait() {
    waits_ = true;
    return wait_id_;
  }
  // One complete reply. The operation is destroyed afterwards.
  void Finish(std::string reply) {
    finished_ = true;
    reply_ = std::move(reply);
  }

  std::span<const Question> questions() const { return questions_; }
  bool blocks() const { return blocks_; }
  bool joins() const { return joins_; }
  bool waits() const { return waits_; }
  bool finished() const { return finished_; }
  const std::string& reply() const { return reply_; }

 private:
  const uint64_t wait_id_;
  const int64_t now_ns_;
  std::vector<Question> questions_;
  bool blocks_ = false;
  bool joins_ = false;
  bool waits_ = false;
  bool finished_ = false;
  std::string reply_;
};

class Operation {
 public:
  virtual ~Operation() = default;
  // `answers` are complete replies in the order of the questions of the round before, or what
  // Resume was called with; none at first. They are valid during the call.
  virtual void Next(std::span<const std::string_view> answers, Round* round) = 0;
  // The command of the blocking question as it should be sent now; empty: as it was.
  virtual std::string Again([[maybe_unused]] int64_t now_ns) { return {}; }
  // CLIENT UNBLOCK. True: it will end by itself, soon; false: its node has to be told.
  virtual bool Unblock([[maybe_unused]] bool with_error) { return false; }
  // The node has been told, or the blocking question is at no node now: when a node refuses it, or
  // it would be asked again, UnblockedReply() is the answer.
  virtual void NoteUnblocked([[maybe_unused]] bool with_error) {}
  virtual std::string_view UnblockedReply() const { return {}; }  // Empty: nobody has unblocked it.
  // Of the blocking question, which nodes refuse for a while: whether the time that the client gave
  // it is over, or a second, as even the shortest has to outlast the move of a slot's last keys.
  virtual bool IsOver([[maybe_unused]] int64_t now_ns) const { return false; }
};

}  // namespace rcproxy::proxy
