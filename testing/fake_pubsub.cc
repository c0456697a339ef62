// The part of FakeNode for channels: messages reach all nodes, events and shard channels only one.
#include <array>
#include <string>
#include <string_view>

#include "cluster/hash_slot.h"
#include "testing/fake_node.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr size_t kChannels = 0;
constexpr size_t kPatterns = 1;
constexpr size_t kShardChannels = 2;
constexpr std::array<std::string_view, 3> kPrefixes = {"", "p", "s"};

std::string Confirmation(std::string_view word, const std::string& name, size_t count) {
  return Concat("*3\r\n", BulkReply(word), BulkReply(name),
                IntegerReply(static_cast<int64_t>(count)));
}

// Of patterns only "begins with" is known.
bool Matches(const std::string& pattern, std::string_view channel) {
  return pattern.ends_with('*') && channel.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

bool FakeNode::AnswerPubSub(Connection& connection, const FakeArgs& args) {
  const std::string name = UpperCase(args[0]);
  const bool subscribed = !connection.channels[kChannels].empty() ||
                          !connection.channels[kPatterns].empty() ||
                          !connection.channels[kShardChannels].empty();
  if (name == "PING" && subscribed) {
    Send(connection, Concat("*2\r\n", BulkReply("pong"), BulkReply("")));
    return true;
  }
  if (name == "PUBLISH") {
    for (FakeNode* node : shared_.nodes) node->PublishHere(args[1], args[2]);
    Send(connection, IntegerReply(static_cast<int64_t>(Subscribers(kChannels, args[1]))));
    return true;
  }
  for (size_t kind = 0; kind < kPrefixes.size(); ++kind) {
    const std::string prefix = UpperCase(std::string(kPrefixes[kind]));
    const bool subscribe = name == prefix + "SUBSCRIBE";
    if (!subscribe && name != prefix + "UNSUBSCRIBE") continue;
    for (size_t i = 1; i < args.size(); ++i)
      subscribe ? Subscribe(connection, kind, args[i]) : Unsubscribe(connection, kind, args[i]);
    return true;
  }
  return false;
}

bool FakeNode::SendsElsewhere(Connection& connection, const std::string& shard_channel) {
  const uint16_t slot = cluster::HashSlot(shard_channel);
  const FakeMember* owner = view_.OwnerOf(slot);
  if (owner == &member_) return false;
  Send(connection, owner == nullptr ? std::string("-CLUSTERDOWN Hash slot not served\r\n")
                                    : Concat("-MOVED ", slot, " ", owner->Address(), "\r\n"));
  return true;
}

void FakeNode::Subscribe(Connection& connection, size_t kind, const std::string& name) {
  if (kind == kShardChannels && SendsElsewhere(connection, name)) return;
  connection.channels[kind].insert(name);
  Send(connection,
       Confirmation(Concat(kPrefixes[kind], "subscribe"), name, connection.channels[kind].size()));
}

void FakeNode::Unsubscribe(Connection& connection, size_t kind, const std::string& name) {
  if (kind == kShardChannels && SendsElsewhere(connection, name)) return;
  EndSubscription(connection, kind, name);
}

void FakeNode::EndSubscription(Connection& connection, size_t kind, const std::string& name) {
  connection.channels[kind].erase(name);
  Send(connection, Confirmation(Concat(kPrefixes[kind], "unsubscribe"), name,
                                connection.channels[kind].size()));
}

void FakeNode::PublishHere(const std::string& channel, const std::string& message) {
  if (!member_.alive) return;
  for (const auto& connection : connections_) {
    if (connection->channels[kChannels].count(channel) != 0)
      Send(*connection,
           Concat("*3\r\n", BulkReply("message"), BulkReply(channel), BulkReply(message)));
    for (const std::string& pattern : connection->channels[kPatterns]) {
      if (!Matches(pattern, channel)) continue;
      Send(*connection, Concat("*4\r\n", BulkReply("pmessage"), BulkReply(pattern),
                               BulkReply(channel), BulkReply(message)));
    }
  }
}

void FakeNode::PublishToShard(const std::string& channel, const std::string& message) {
  for (const auto& connection : connections_) {
    if (connection->channels[kShardChannels].count(channel) != 0)
      Send(*connection,
           Concat("*3\r\n", BulkReply("smessage"), BulkReply(channel), BulkReply(message)));
  }
}

void FakeNode::DropShardChannels(uint16_t slot) {
  for (const auto& connection : connections_) {
    const std::set<std::string> names = connection->channels[kShardChannels];
    for (const std::string& name : names) {
      if (cluster::HashSlot(name) == slot) EndSubscription(*connection, kShardChannels, name);
    }
  }
}

size_t FakeNode::Subscribers(size_t kind, const std::string& name) const {
  size_t count = 0;
  for (const auto& connection : connections_)
    count += connection->peer->IsOpen() && connection->channels[kind].count(name) != 0;
  return count;
}

}  // namespace rcproxy::sim
