// One client of a simulation: sends pipelines of random commands on its own keys at random times,
// reads slowly or not at all for a while, leaves and comes back, and checks each reply.
//
// Owner: Simulator. Thread: one.
// Invariant: requests_ are those sent on this connection and not answered, oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_network.h"
#include "testing/sim_world.h"
#include "testing/simulator_model.h"

namespace rcproxy::sim {

struct ClientHabits {
  int keys = 8;         // Of each kind.
  bool tagged = false;  // All keys of a client are in one slot.
  int pipeline_max = 20;
  bool waits = false;        // For each reply, before it sends more.
  size_t padding_max = 200;  // Of a SET; once in 50 it is 100 times as much.
  int64_t pause_max_ns = 4 * kMillisecond;
  uint64_t leave_one_in = 0;  // Instead of sending.
  uint64_t stop_reading_one_in = 0;
};

class SimulatorClient {
 public:
  SimulatorClient(int number, const ClientHabits& habits, ModelRules rules, SimWorld& world);

  // When it wants to do something next.
  int64_t next_ns() const { return next_ns_; }
  // Checks what has come, and sends more when it is time. Returns "" or what is wrong.
  std::string Step();
  // Acts within `max_ns` instead of when it wanted to.
  void Hurry(int64_t max_ns);
  // Checks what has come.
  std::string CheckReplies();
  // Reads on; sends nothing more by itself.
  void CalmDown();
  // One command of each kind; every reply must be without error. Requires: CalmDown.
  void SendProbe();
  bool answered() const { return requests_.empty(); }
  void Leave();

  bool Owns(std::string_view key) const;
  // All keys that it will ever use.
  std::vector<std::string> AllKeys() const;
  SimulatorModel& model() { return model_; }
  uint64_t commands() const { return commands_; }
  uint64_t errors() const { return errors_; }
  // The longest that a reply came after all that it had to wait for: its command, the reply before
  // it, and the client reading on.
  int64_t slowest_reply_ns() const { return slowest_reply_ns_; }
  const std::string& slowest_command() const { return slowest_command_; }
  // How often the subject has closed the connection on its own.
  uint64_t closed_by_subject() const { return closed_by_subject_; }

 private:
  void Connect();
  void SetReading(bool reading);
  void NoteReply(const SimulatedRequest& request);
  void SendPipeline();
  SimulatedRequest RandomRequest();
  std::string Key(char kind, uint64_t index) const;
  std::string RandomKey(char kind) { return Key(kind, random_.Below(habits_.keys)); }
  std::vector<std::string> RandomKeys(char kind);
  // For a read: keys of two kinds, perhaps several times.
  std::vector<std::string> MixedKeys(char kind);
  void Send(SimulatedRequest request, std::string* bytes);
  std::string CheckNext(std::string_view reply);

  const int number_;
  const ClientHabits habits_;
  const bool strict_;
  SimWorld& world_;
  SimRandom random_;
  SimulatorModel model_;
  SimPeer* peer_ = nullptr;
  bool resp3_ = false;  // What the commands behind the last HELLO are answered in.
  std::deque<SimulatedRequest> requests_;
  int64_t next_ns_ = 0;
  bool must_succeed_ = false;
  bool reading_ = true;
  int64_t could_answer_ns_ = 0;  // The last reply has come since, or it reads since.
  int64_t slowest_reply_ns_ = 0;
  std::string slowest_command_;
  uint64_t commands_ = 0;
  uint64_t errors_ = 0;
  uint64_t closed_by_subject_ = 0;
};

}  // namespace rcproxy::sim
