// Subscribers of a whole worker before fake nodes. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"
#include "testing/fake_node.h"

namespace rcproxy::proxy {

// Kinds, as fake nodes count their subscribers.
inline constexpr size_t kChannels = 0;
inline constexpr size_t kPatterns = 1;
inline constexpr size_t kShardChannels = 2;

inline std::string Command(std::string_view line) { return Multibulk(cluster::Words(line)); }
inline std::string Confirmation(std::string_view word, std::string_view name, int count) {
  return "*3\r\n" + Bulk(word) + Bulk(name) + ":" + std::to_string(count) + "\r\n";
}
inline std::string Message(std::string_view channel, std::string_view text) {
  return "*3\r\n" + Bulk("message") + Bulk(channel) + Bulk(text);
}

class PubSubForTest : public testing::Test, public WorkerForTest {
 protected:
  std::string Say(sim::SimPeer* peer, std::string_view line) {
    peer->Write(Command(line));
    return Heard(peer);
  }
  // All that comes within a moment.
  std::string Heard(sim::SimPeer* peer) {
    RunFor(50 * sim::kMillisecond);
    return peer->Take();
  }
  sim::SimPeer* Subscribed(std::string_view line, std::string_view confirmation) {
    sim::SimPeer* peer = Connect();
    EXPECT_EQ(Say(peer, line), confirmation);
    return peer;
  }
  void Publish(const std::string& channel, const std::string& text) {
    for (sim::FakeNode* node : Nodes()) node->PublishHere(channel, text);
  }
  std::vector<sim::FakeNode*> Nodes() { return cluster.nodes(); }
  size_t SubscribersAtAllNodes(size_t kind, const std::string& name) {
    size_t count = 0;
    for (sim::FakeNode* each : Nodes()) count += each->Subscribers(kind, name);
    return count;
  }
  // The node that a channel without a place is heard from.
  sim::FakeNode& HomeOf(const std::string& channel) {
    for (sim::FakeNode* each : Nodes()) {
      if (each->Subscribers(kChannels, channel) > 0) return *each;
    }
    ADD_FAILURE() << "nobody is subscribed to " << channel;
    return cluster.node("A");
  }
};

}  // namespace rcproxy::proxy
