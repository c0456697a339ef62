// A router, three nodes that the test plays by hand, and clients that are a queue of replies. Tests
// only.
//
//   client.replies <- Router <- RoutingTable: A 0-5460, B 5461-10922, C 10923-16383
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "cluster/topology.h"
#include "proxy/errors.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/sim_for_test.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {

class TopologySourceForTest final : public TopologySource {
 public:
  void RequestRefresh() override { ++requests; }
  void RequestLearning() override { ++learning_requests; }
  int requests = 0;
  int learning_requests = 0;
};

// Keys by the node that owns them, at the start of each test.
inline constexpr const char* kKeyOfA = "b";     // Slot 3300.
inline constexpr const char* kKeyOfA2 = "f";    // Slot 3168.
inline constexpr const char* kKeyOfB = "c";     // Slot 7365.
inline constexpr const char* kKeyOfC = "a";     // Slot 15495.
inline constexpr const char* kKeyOfC2 = "foo";  // Slot 12182.

class RouterForTest {
 public:
  explicit RouterForTest(const sim::SimIoOptions& options = {}) : sim(options) {
    table.Adopt(ThreeShards());
  }
  ~RouterForTest() {
    client.Leave();
    router.RunDelayed();
    table.ForEachNode([](UpstreamNode& node) {
      node.ForEachLink([](UpstreamConnection& link) { link.Fail("the test is over"); });
    });
    sim.RunUntil([this] { return IsQuiet(); });
  }

  static cluster::NodeAddress AddressOf(char name) {
    return {std::string("10.0.0.") + static_cast<char>('1' + name - 'A'), 7000};
  }
  static cluster::Node NodeNamed(char name, bool is_primary) {
    cluster::Node node;
    node.address = AddressOf(name);
    node.id = std::string(40, name);
    node.is_primary = is_primary;
    return node;
  }
  static cluster::Topology ThreeShards() {
    return cluster::Topology({NodeNamed('A', true), NodeNamed('B', true), NodeNamed('C', true)},
                             {{0, {}}, {1, {}}, {2, {}}},
                             {{0, 5460, 0}, {5461, 10922, 1}, {10923, 16383, 2}});
  }

  // Offers a command as a client connection does.
  Router::Verdict Offer(ClientForTest* to, const std::vector<std::string>& words) {
    const cluster::CommandForTest owner(words);
    const std::string_view bytes = owner.view().bytes();
    uring::Chunk* chunk = sim.resources.output_pool.TakeLarge(bytes.size());
    std::memcpy(chunk->data, bytes.data(), bytes.size());
    const cluster::CommandSpec* spec = cluster::FindCommand(words[0]);
    const Router::Verdict verdict =
        router.Route(&to->replies, *spec, owner.view().At(chunk->data), chunk);
    uring::ChunkPool::Unref(chunk);
    if (verdict == Router::Verdict::kCrossSlot) {
      to->replies.Reply(kErrorCrossSlot);
      return Router::Verdict::kTaken;
    }
    return verdict;
  }
  bool Send(ClientForTest* to, std::string_view line) {
    return Offer(to, cluster::Words(line)) == Router::Verdict::kTaken;
  }
  bool Send(std::string_view line) { return Send(&client, line); }
  // Sends, and lets the nodes have it.
  bool SendNow(std::string_view line) {
    const bool taken = Send(line);
    Settle();
    return taken;
  }
  void Settle() { sim.RunFor(sim::kMillisecond); }
  void Reply(NodeForTest& node, std::string_view bytes) {
    node.Reply(bytes);
    Settle();
  }
  // Connections of one's own begin with CLIENT ID.
  void AnswerGreetings() {
    for (NodeForTest* node : {&a, &b, &c}) {
      for (size_t i = 0; i < node->connections(); ++i) {
        if (node->peer(i).received() != Multibulk({"CLIENT", "ID"})) continue;
        node->peer(i).Take();
        node->peer(i).Write(":77\r\n");
      }
    }
    sim.RunFor(sim::kMillisecond);
  }
  // Opens all three connections, so that what follows is sent at once.
  void OpenAll() {
    for (const char* key : {kKeyOfA, kKeyOfB, kKeyOfC}) Send(std::string("GET ") + key);
    Settle();
    for (NodeForTest* node : {&a, &b, &c}) {
      node->Take();
      Reply(*node, "+open\r\n");
    }
    client.Take();
  }
  std::string Moved(int slot, char to) {
    return "-MOVED " + std::to_string(slot) + " " + AddressOf(to).ToString() + "\r\n";
  }
  std::string Ask(int slot, char to) {
    return "-ASK " + std::to_string(slot) + " " + AddressOf(to).ToString() + "\r\n";
  }
  // Runs until the client has something, and takes it.
  std::string Await() {
    sim.RunUntil([this] { return client.HasOutput(); });
    return client.Take();
  }
  bool IsQuiet() {
    bool quiet = true;
    table.ForEachNode([&quiet](UpstreamNode& node) { quiet &= node.IsQuiet(); });
    return quiet;
  }

  SimForTest sim;
  NodeForTest a{sim.network, "10.0.0.1:7000"};
  NodeForTest b{sim.network, "10.0.0.2:7000"};
  NodeForTest c{sim.network, "10.0.0.3:7000"};
  ResolverForTest resolver;
  TopologySourceForTest topology;
  RoutingTable table{sim.resources, router, resolver};
  Router router{sim.resources, table, topology};
  ClientForTest client{sim.resources};
};

// "GET x" as a node receives it.
inline std::string Wire(std::string_view line) { return Multibulk(cluster::Words(line)); }

}  // namespace rcproxy::proxy
