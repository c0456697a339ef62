// The part of FakeNode for CLIENT TRACKING: reads of a connection are remembered until it has been
// told that they have changed. What a connection changes itself it is told behind the reply.
//
// Source: trackingInvalidateKey of the server's tracking.c.
#include <string>
#include <utility>
#include <vector>

#include "testing/fake_node.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr char kPushHeader[] = ">2\r\n$10\r\ninvalidate\r\n";

}  // namespace

std::string FakeNode::AnswerClient(Connection& connection, const FakeArgs& args) {
  if (args.size() < 3 || UpperCase(args[1]) != "TRACKING") return "+OK\r\n";
  const bool on = UpperCase(args[2]) == "ON";
  const bool broadcast = args.size() > 3 && UpperCase(args[3]) == "BCAST";
  connection.tracks_reads = on && !broadcast;
  connection.tracks_all = on && broadcast;
  return "+OK\r\n";
}

void FakeNode::NoteRead(Connection& connection, const std::vector<std::string>& keys) {
  if (connection.tracks_reads) connection.tracked.insert(keys.begin(), keys.end());
}

void FakeNode::TellOfChange(const std::string& key) {
  for (const auto& connection : connections_) {
    if (connection->tracked.erase(key) == 0 && !connection->tracks_all) continue;
    Push(*connection, Concat(kPushHeader, ArrayHeader(1), BulkReply(key)));
  }
}

void FakeNode::TellOfFlush() {
  for (const auto& connection : connections_) {
    connection->tracked.clear();
    if (connection->tracks_reads || connection->tracks_all)
      Push(*connection, Concat(kPushHeader, "_\r\n"));
  }
}

void FakeNode::Push(Connection& connection, std::string push) {
  if (&connection == answering_) {
    waiting_pushes_ += push;
  } else if (connection.peer->IsOpen()) {
    Send(connection, push);
  }
}

void FakeNode::SendPushes(Connection& connection) {
  answering_ = nullptr;
  const std::string pushes = std::exchange(waiting_pushes_, std::string());
  if (!pushes.empty()) Send(connection, pushes);
}

size_t FakeNode::Trackers(const std::string& key) const {
  size_t count = 0;
  for (const auto& connection : connections_)
    count += connection->peer->IsOpen() && connection->tracked.count(key) != 0;
  return count;
}

}  // namespace rcproxy::sim
