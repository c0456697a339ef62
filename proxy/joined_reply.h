// One array made of the arrays of several nodes, passed on to its client while they arrive: KEYS.
//
//   link 0:  *3 a b c        client:  *5 a b c d e
//   link 1:  *2 d e          a link is not read between its header and its turn
//
// The sum of the counts goes first, so nothing leaves before every header has come. From then on no
// part can be asked again: a node that is lost breaks the client, as in the middle of any long
// reply. A part that fails before is the reply.
//
// Each part has a connection of its own, so nobody else waits while one is not read. What is held
// is what links had received when they were told to stop.
//
// Owner: the SplitState of an operation. Thread: the worker's. Invariants: 1. the parts before
// turn_ have left completely, those behind it not at all; 2. before HasBegun nothing has left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::uring {
struct Chunk;
}

namespace rcproxy::proxy {

class SegmentList;
struct Request;
struct Resources;
struct SplitState;

// A connection whose reply waits for its turn.
class TurnTaker {
 public:
  // What has arrived is wanted now, and what follows.
  virtual void TakeTurn() = 0;

 protected:
  ~TurnTaker() = default;
};

class JoinedReply {
 public:
  // Both outlive this.
  JoinedReply(Resources& resources, SplitState& split, size_t parts)
      : resources_(resources), split_(split), progress_(parts) {}

  enum class Taken : uint8_t {
    kAll,     // It has left, or nobody wants it.
    kNotYet,  // `link` goes on reading: what this is cannot be told yet.
    kWait,    // `link` is not read until its TakeTurn.
  };
  // Some of the reply to `part` has come on `link`, which lives until the part is answered or lost.
  Taken Take(const Request* part, SegmentList* arrived, TurnTaker* link);
  // The reply to `part` is complete: what is in part->pieces followed by `rest`, which lies in
  // `chunk`. Returns true when so is the whole reply, see error().
  bool Complete(Request* part, uring::Chunk* chunk, std::string_view rest);
  // The reply instead of an array; empty: the array has left.
  std::string_view error() const { return error_; }
  bool HasBegun() const { return has_begun_; }
  // The connection of `part` is lost. Returns false when the part may be asked again, true when
  // that was the end of the client.
  bool Lose(Request* part);

 private:
  static constexpr int64_t kUnknown = -1;
  struct Progress {
    int64_t count = kUnknown;  // Of elements, from its header,
    size_t header_left = 0;    // of which so many bytes have not been dropped.
    bool complete = false;
    TurnTaker* waiting = nullptr;  // Its link, while that is not read.
  };

  size_t IndexOf(const Request* part) const;
  bool IsWanted() const;
  static void ReadHeader(std::string_view begin, Progress* progress);
  bool KnowsAllCounts() const;
  void Begin();
  void Send(SegmentList* arrived, Progress* progress);
  void Advance();

  Resources& resources_;
  SplitState& split_;
  std::vector<Progress> progress_;  // By part.
  size_t turn_ = 0;
  bool has_begun_ = false;
  std::string error_;
};

}  // namespace rcproxy::proxy
