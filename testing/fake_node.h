// A node of a fake Redis Cluster: listens on a SimNetwork, answers as a server does, or as badly as
// the test wants.
//
// Automatic nodes answer by themselves. A scripted one answers only what belongs to a connection
// (HELLO, AUTH, CLIENT, CLUSTER); everything else waits in pending() for the test to answer.
//
// Owner: FakeCluster. Thread: one.
// Invariants: 1. a command is executed at most once, and recorded when it is; 2. the replies of one
// connection are in the order of its commands. Source of the redirect rules: getNodeByQuery of the
// server's cluster.c.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/request_scanner.h"
#include "testing/fake_store.h"
#include "testing/fake_view.h"
#include "testing/sim_network.h"

namespace rcproxy::sim {

class FakeNode;

// A command that changed or read data.
struct ExecutedCommand {
  int64_t time_ns;
  const FakeNode* node;
  uint64_t connection;
  FakeArgs args;
  std::string reply;
  int database = 0;
};
using ExecutionLog = std::vector<ExecutedCommand>;

class FakeNode {
 public:
  // What all nodes of a cluster share; outlives them.
  struct Shared {
    explicit Shared(SimNetwork& the_network) : network(the_network) {}

    SimNetwork& network;
    FakeMembers members;
    ExecutionLog log;
    std::string password;  // Empty: none is asked for.
    int databases = 1;
    uint64_t lost_reply_one_in = 0;  // A command is executed, but the connection dies unanswered.
    uint64_t next_connection = 1;
    std::vector<FakeNode*> nodes;  // Who hears what is published.
  };

  FakeNode(Shared& shared, FakeMember member);
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  const FakeMember& member() const { return member_; }
  const std::string& name() const { return member_.name; }
  std::string Address() const { return member_.Address(); }
  FakeStore& store() { return store_; }
  ClusterView& view() { return view_; }
  // How many writes of its shard it has, of its own or applied.
  int64_t stream_offset() const { return stream_offset_; }
  void set_stream_offset(int64_t offset) { stream_offset_ = offset; }
  bool IsPrimary() const { return view_.IsPrimary(member_); }

  // Slots in migration, as CLUSTER SETSLOT leaves them.
  std::map<uint16_t, const FakeMember*>& migrating_to() { return migrating_to_; }
  std::map<uint16_t, const FakeMember*>& importing_from() { return importing_from_; }

  // The process dies: connections are reset, new ones refused.
  void Kill();
  // The host vanishes: nothing is answered, nothing refused.
  void Vanish();
  // Back after Kill or Vanish.
  void Restart();
  // It is at another address from now on. Requires: killed or vanished.
  void MoveTo(const std::string& host);
  // It is another one of the same name: nothing that named it names it any more. Requires: as
  // MoveTo.
  void TakeId(std::string id) { member_.id = std::move(id); }
  // Reads no commands until resumed.
  void SetPaused(bool paused);
  // The network between it and the system under test is cut: nothing arrives, nobody connects.
  void SetUnreachable(bool unreachable);
  void SetLoading(bool loading) { member_.loading = loading; }
  // The slot leaves: whoever is subscribed to a shard channel of it is told.
  void DropShardChannels(uint16_t slot);
  // An event of a key, told to this node's own clients.
  void PublishHere(const std::string& channel, const std::string& message);
  // A message to a shard channel, told to this node's own clients.
  void PublishToShard(const std::string& channel, const std::string& message);
  // Connections that are subscribed to the channel or pattern; `kind` as Connection::channels.
  size_t Subscribers(size_t kind, const std::string& name) const;
  // A key has changed, told to connections that track it (CLIENT TRACKING).
  void TellOfChange(const std::string& key);
  // Connections that will be told of the key.
  size_t Trackers(const std::string& key) const;
  void SetClusterDown(bool down) { cluster_down_ = down; }
  // Cut off from the other nodes, not from clients: serves nobody, and hears no news.
  void SetIsolated(bool isolated) { isolated_ = isolated; }
  bool isolated() const { return isolated_; }
  // Tells this about the cluster instead of what it believes; nullopt ends it.
  void SetLie(std::optional<ClusterView> lie) { lie_ = std::move(lie); }
  // Answers with bytes that are not the protocol.
  void SetGarbage(bool garbage) { garbage_ = garbage; }
  // The next command on data is answered by `error` ("-ERR ...", no line end), not executed.
  void FailNext(std::string error) { next_error_ = std::move(error); }
  // The next command on data is executed, then the connection is reset.
  void LoseNextReply(bool lose = true) { lose_next_reply_ = lose; }
  void ResetConnections();
  size_t open_connections() const;

  struct Pending {
    uint64_t connection;
    FakeArgs args;
  };
  void SetScripted(bool scripted) { scripted_ = scripted; }
  std::deque<Pending>& pending() { return pending_; }
  // Sends raw bytes to a connection; without effect when it is gone.
  void Reply(uint64_t connection, std::string_view bytes);

 private:
  struct Connection {
    uint64_t id = 0;
    SimPeer* peer = nullptr;
    std::string input;
    resp::RequestScanner scanner;
    bool asking = false;
    bool readonly = false;
    bool authenticated = false;
    bool resp3 = false;
    int database = 0;
    std::array<std::set<std::string>, 3> channels;  // By SubscribeWord: "", "p", "s".
    bool tracks_reads = false;
    bool tracks_all = false;
    std::set<std::string> tracked;  // Keys it has read, until it is told of them.
  };

  void Listen();
  void OnConnect(SimPeer* peer);
  void OnBytes(Connection& connection);
  void ProcessInput(Connection& connection);
  void Handle(Connection& connection, const FakeArgs& args);
  // Returns: the reply, or "" when the command is not about the connection.
  std::string AnswerSession(Connection& connection, const FakeArgs& args);
  std::string AnswerHello(Connection& connection, const FakeArgs& args);
  std::string AnswerAuth(Connection& connection, std::string_view password);
  std::string AnswerCluster(const Connection& connection, const FakeArgs& args);
  std::string AnswerSelect(Connection& connection, const FakeArgs& args);
  std::string AnswerKeyless(const Connection& connection, const FakeArgs& args);
  std::string ReplicationInfo() const;
  std::string Flush(std::optional<int> database);
  size_t KeysIn(int database) const;
  // fake_pubsub.cc. Returns false when the command is not about channels.
  bool AnswerPubSub(Connection& connection, const FakeArgs& args);
  void Subscribe(Connection& connection, size_t kind, const std::string& name);
  void Unsubscribe(Connection& connection, size_t kind, const std::string& name);
  void EndSubscription(Connection& connection, size_t kind, const std::string& name);
  bool SendsElsewhere(Connection& connection, const std::string& shard_channel);
  void Publish(std::string_view word, size_t kind, const FakeArgs& args);
  // fake_tracking.cc
  std::string AnswerClient(Connection& connection, const FakeArgs& args);
  void NoteRead(Connection& connection, const std::vector<std::string>& keys);
  void TellOfFlush();
  void Push(Connection& connection, std::string push);
  void SendPushes(Connection& connection);
  void AnswerKeyed(Connection& connection, const KeyRule& rule, const FakeArgs& args);
  // Returns: why the command is not served here, or "".
  std::string Refusal(Connection& connection, const KeyRule& rule, const FakeArgs& args);
  std::string MigrationRefusal(uint16_t slot, const std::vector<std::string>& keys,
                               const Connection& connection);
  void Send(Connection& connection, std::string_view reply);
  std::string_view Null(const Connection& connection) const;

  Shared& shared_;
  FakeMember member_;
  FakeStore store_;
  ClusterView view_;
  int64_t stream_offset_ = 0;
  std::map<uint16_t, const FakeMember*> migrating_to_;
  std::map<uint16_t, const FakeMember*> importing_from_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Pending> pending_;
  const Connection* answering_ = nullptr;  // Its pushes wait for its reply.
  std::string waiting_pushes_;
  std::string next_error_;
  bool lose_next_reply_ = false;
  bool paused_ = false;
  bool cluster_down_ = false;
  bool isolated_ = false;
  std::optional<ClusterView> lie_;
  bool garbage_ = false;
  bool scripted_ = false;
};

}  // namespace rcproxy::sim
