// What the replies to one client may be, whatever faults there are.
//
// The keys of a model are written by its client alone, so their contents are known up to the writes
// whose outcome is not: each write is pending, then done, refused, or unknown. The first letter of
// a key says how it is used:
//
//   a  APPEND and GET: the value is the sequence of all tokens that were appended
//   s  SET, MSET, DEL and GET: the value of the last write
//   i  INCR
//
// Rules. A token is in a value at most once, and never when its write was refused. A read shows
// every earlier write that was done, in order, and none that was issued later. Only unknown writes
// may show, or not, and anywhere: a node may still execute what it had received. A write that
// shows before it was answered must turn out to be unknown, unless it may be repeated.
//
// Owner: SimulatorClient. Thread: one.
// Invariant: replies are given in the order of the requests.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::sim {

// How an error reply leaves the write.
enum class Outcome : uint8_t {
  kDone,        // No error.
  kRefused,     // Certainly not executed.
  kUnknown,     // Perhaps executed.
  kUnexpected,  // A client must not see such a reply.
};
Outcome ClassifyReply(std::string_view reply);

// The size of the complete reply at the front of `bytes`; 0: not complete; -1: malformed.
int64_t ReplySize(std::string_view bytes);
// The elements of an array reply or a push, each with its framing; empty when it is not one.
std::vector<std::string_view> ReplyElements(std::string_view reply);

// A command of a client, and where it stands in the histories of its keys.
struct SimulatedRequest {
  enum class Kind : uint8_t { kAppend, kSet, kDelete, kIncrement, kGet, kCount, kEcho, kHello };

  Kind kind = Kind::kGet;
  std::vector<std::string> args;
  std::vector<std::string> keys;
  std::vector<size_t> positions;  // Of its write, or of the read, in the history of each key.
  bool multiple = false;          // The reply is one for several keys.
  bool resp3 = false;             // The protocol of the reply.
  int64_t sent_ns = 0;
};

struct ModelRules {
  // No command may overtake an earlier one. Off when nodes answer commands of one pipeline
  // differently on purpose (LOADING for the first, OK for the second).
  bool strict = true;
  // SET and MSET may be executed once more when a connection was lost: an older read that was lost
  // with them and is asked again shows them, too.
  bool sets_may_repeat = false;
};

class SimulatorModel {
 public:
  SimulatorModel(int client, ModelRules rules)
      : client_(client), strict_(rules.strict), sets_may_repeat_(rules.sets_may_repeat) {}

  // Each makes a request that is being issued now.
  SimulatedRequest Append(const std::string& key);
  SimulatedRequest Set(const std::vector<std::string>& keys, size_t padding);
  SimulatedRequest Delete(const std::vector<std::string>& keys);
  SimulatedRequest Increment(const std::string& key);
  SimulatedRequest Get(const std::vector<std::string>& keys);
  SimulatedRequest Count(const std::string& command, const std::vector<std::string>& keys);
  SimulatedRequest Echo(const std::string& command);
  // HELLO 2 or 3.
  SimulatedRequest Hello(bool resp3);

  // Returns "" or the rule that the reply breaks.
  std::string Check(const SimulatedRequest& request, std::string_view reply);
  // The reply will never come.
  void Lose(const SimulatedRequest& request);
  // When all requests are answered or lost: what the cluster holds.
  std::string CheckStored(const std::string& key, const std::optional<std::string>& value);
  std::vector<std::string> Keys() const;
  // How often keys of kind s may have been deleted by now.
  size_t DeletionsMax(const std::string& key) const;
  // True for a value of a key that a write was refused for, or that was never written.
  bool MustNotBeExecuted(const std::string& key, const std::string& value) const;

 private:
  enum class State : uint8_t { kPending, kDone, kRefused, kUnknown };
  // A read behind all writes, after the last one was settled.
  static constexpr size_t kFinal = std::numeric_limits<size_t>::max();
  struct Write {
    std::optional<std::string> value;  // Absent: DEL.
    State state = State::kPending;
    bool shown = false;  // Has been read before it was answered.
  };
  struct History {
    std::vector<Write> writes;
    std::map<std::string, size_t, std::less<>> index;  // By value; each is written once.
  };

  size_t AddWrite(const std::string& key, std::optional<std::string> value);
  std::string Settle(const SimulatedRequest& request, State state);
  std::string CheckValue(const std::string& key, size_t position,
                         const std::optional<std::string>& value);
  std::string CheckTokens(const std::string& key, size_t position, std::string_view value);
  std::string CheckLast(const std::string& key, size_t position,
                        const std::optional<std::string>& value);
  std::string CheckSum(const std::string& key, size_t position, int64_t value);
  std::string CheckRead(const SimulatedRequest& request, std::string_view reply);
  std::string CheckInteger(const SimulatedRequest& request, std::string_view reply);
  bool MayShow(Write& write, bool later);

  const int client_;
  const bool strict_;
  const bool sets_may_repeat_;
  uint64_t next_token_ = 1;
  std::map<std::string, History> histories_;
};

}  // namespace rcproxy::sim
