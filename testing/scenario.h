// Runs a plain-text conversation between clients, the system under test and the nodes of a fake
// cluster, in virtual time. A scenario is documentation that runs:
//
//   # A GET that hits a migrated slot is answered by the new owner; the client notices nothing.
//   cluster  A 0-16383  B none
//   script   A B
//   start
//   migrate  12182 A B
//   client 1 > GET foo
//   node A   < GET foo
//   node A   > -MOVED 12182 @B
//   node B   < GET foo
//   node B   > $3 bar
//   client 1 < $3 bar
//   expect   redirects_moved 1
//
// The steps are listed in scenarios/README.md. The seed changes latencies and orders, not the
// outcome: every scenario has to pass with any.
//
// Owner: the test. Thread: one. Invariant: after a step has failed nothing more runs.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_world.h"

namespace rcproxy::sim {

class Scenario {
 public:
  Scenario(std::string_view text, uint64_t seed, SubjectFactory factory);

  // Returns "" or what went wrong, beginning with the number of the line.
  std::string Run();

 private:
  using Words = std::vector<std::string>;
  // A step returns "" or what went wrong.
  using Step = std::string (Scenario::*)(const Words& words, std::string_view text);
  static const std::map<std::string_view, Step>& Steps();

  std::string RunLine(std::string_view line);
  std::string AtEnd();
  std::string EnsureStarted();

  // The cluster.
  std::string Cluster(const Words& words, std::string_view text);
  std::string Replica(const Words& words, std::string_view text);
  std::string Script(const Words& words, std::string_view text);
  std::string Data(const Words& words, std::string_view text);
  std::string Migrate(const Words& words, std::string_view text);
  std::string Migrating(const Words& words, std::string_view text);
  std::string Move(const Words& words, std::string_view text);
  std::string Migrated(const Words& words, std::string_view text);
  std::string Failover(const Words& words, std::string_view text);
  std::string Gossip(const Words& words, std::string_view text);
  std::string Databases(const Words& words, std::string_view text);
  std::string Password(const Words& words, std::string_view text);
  // The surroundings.
  std::string Option(const Words& words, std::string_view text);
  std::string Startup(const Words& words, std::string_view text);
  std::string Link(const Words& words, std::string_view text);
  std::string Buffers(const Words& words, std::string_view text);
  std::string Start(const Words& words, std::string_view text);
  std::string Wait(const Words& words, std::string_view text);
  std::string Expect(const Words& words, std::string_view text);
  std::string Executed(const Words& words, std::string_view text);
  // The conversation.
  std::string Client(const Words& words, std::string_view text);
  std::string ClientSends(SimPeer& client, std::string_view text);
  std::string ClientExpects(SimPeer& client, std::string_view text);
  std::string ClientExpectsNothing(SimPeer& client);
  std::string ClientState(SimPeer& client, const std::string& verb);
  std::string Node(const Words& words, std::string_view text);
  std::string NodeExpects(FakeNode& node, std::string_view text);
  std::string NodeExpectsNothing(FakeNode& node);
  std::string NodeReplies(FakeNode& node, std::string_view text);
  std::string NodeState(FakeNode& node, const std::string& verb, std::string_view text);

  FakeNode* FindNode(std::string_view name);
  SimPeer& ClientNamed(const std::string& name);
  // "@A" becomes the address of node A.
  std::string WithAddresses(std::string_view text);

  const std::string text_;
  SimWorld world_;
  std::map<std::string, SimPeer*> clients_;
  // Commands that scripted nodes have been asked and not answered, by node, in order.
  std::map<const FakeNode*, std::deque<uint64_t>> unanswered_;
  std::set<std::string> names_;
};

}  // namespace rcproxy::sim
