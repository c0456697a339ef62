// One client of a simulation that caches what it reads (CLIENT TRACKING): reads keys of all clients
// and some of its kind, drops what it is told has changed, and in the end has nothing old.
//
// Owner: Simulator. Thread: one.
// Invariant: requests_ are those sent on this connection and not answered, oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_network.h"
#include "testing/sim_random.h"
#include "testing/sim_world.h"

namespace rcproxy::sim {

class SimulatorCache {
 public:
  enum class Mode : uint8_t { kAllReads, kNoLoop, kOptIn, kBroadcast };
  static constexpr int kModes = 4;

  // Keys that all caches change.
  static std::vector<std::string> OwnKeys();

  // `keys` of others, which it only reads.
  SimulatorCache(int number, Mode mode, std::vector<std::string> keys, SimWorld& world);

  // When it wants to do something next.
  int64_t next_ns() const { return next_ns_; }
  // Takes what has come, and asks for more when it is time. Returns "" or what is wrong.
  std::string Step();
  std::string TakeReplies();
  // Reads on; asks for nothing more by itself.
  void CalmDown();
  // Asks for all keys.
  void ReadAll();
  bool answered() const { return requests_.empty(); }
  void Leave();

  // Requires: nobody has changed anything for a while. Returns "" or which value is old.
  std::string CheckValues() const;
  uint64_t commands() const { return commands_; }
  // How often the subject has closed the connection on its own.
  uint64_t closed_by_subject() const { return closed_by_subject_; }

 private:
  enum class State : uint8_t { kGreeting, kTracking, kRefused };
  struct Request {
    enum class Kind : uint8_t { kHello, kMustSucceed, kRead, kWrite };

    Kind kind = Kind::kHello;
    std::string key;
  };

  void Connect();
  void SendPipeline();
  void Send(Request request, const std::vector<std::string>& args, std::string* bytes);
  void Read(const std::string& key, std::string* bytes);
  void Change(const std::string& key, std::string* bytes);
  std::string Take(std::string_view reply);
  std::string TakePush(std::string_view push);
  void TakeReply(const Request& request, std::string_view reply);

  const int number_;
  const Mode mode_;
  std::vector<std::string> keys_;
  const std::vector<std::string> own_keys_;
  SimWorld& world_;
  SimRandom random_;
  SimPeer* peer_ = nullptr;
  State state_ = State::kGreeting;  // kRefused: no node answered HELLO 3. It leaves.
  std::deque<Request> requests_;
  std::map<std::string, std::string, std::less<>> values_;  // As replies.
  int64_t next_ns_ = 0;
  uint64_t next_value_ = 1;
  uint64_t commands_ = 0;
  uint64_t closed_by_subject_ = 0;
};

}  // namespace rcproxy::sim
