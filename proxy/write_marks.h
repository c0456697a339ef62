// Which nodes a client has written to, for WAIT, in eight bytes per client.
//
//   WriteHistory (one per worker): gives each node a mark, and remembers when it was last lost
//   WriteMarks (one per client): the marks of the nodes that it wrote to, and since when
//
// A node is lost when a connection to it has closed, or it is no primary any more: what it executed
// last may be nowhere. Nodes share a mark when there are more than 32: a client may then seem to
// have written to one that it has not, never the other way round.
//
// Owner: Resources; ReplyQueue. Thread: the worker's. Invariant: WriteMarks::since() is not later
// than the client's first write that counts. Per write: two loads and a test.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace rcproxy::proxy {

class WriteHistory {
 public:
  // Of a new node: one bit.
  uint32_t NewMark() { return 1u << (nodes_++ % 32); }
  void NoteLost(uint32_t mark) { lost_[std::countr_zero(mark)] = ++now_; }
  uint32_t now() const { return now_; }
  // Whether a node with one of `marks` has been lost after `since`.
  bool LostSince(uint32_t marks, uint32_t since) const {
    for (; marks != 0; marks &= marks - 1) {
      if (lost_[std::countr_zero(marks)] > since) return true;
    }
    return false;
  }

 private:
  uint32_t nodes_ = 0;
  uint32_t now_ = 0;                    // How often a node has been lost.
  std::array<uint32_t, 32> lost_ = {};  // When one of each mark was; 0: never.
};

class WriteMarks {
 public:
  void Note(uint32_t mark, const WriteHistory& history) {
    if ((nodes_ & mark) != 0) [[likely]]
      return;
    if (nodes_ == 0) since_ = history.now();
    nodes_ |= mark;
  }
  // As if it had written nothing.
  void Clear() { nodes_ = 0; }
  uint32_t nodes() const { return nodes_; }
  uint32_t since() const { return since_; }

 private:
  uint32_t nodes_ = 0;
  uint32_t since_ = 0;
};

}  // namespace rcproxy::proxy
