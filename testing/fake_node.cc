#include "testing/fake_node.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "cluster/hash_slot.h"
#include "resp/resp_limits.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr char kGarbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
constexpr char kNoAuth[] = "-NOAUTH Authentication required.\r\n";

constexpr resp::RequestLimits kLimits = {
    .args_max = resp::kRequestArgsMax,
    .bulk_bytes_max = resp::kRequestBulkBytesMax,
    .inline_bytes_max = resp::kInlineBytesMax,
    .command_bytes_max = resp::kCommandBytesMax,
};

FakeArgs CopyArgs(const resp::CommandView& command) {
  FakeArgs args;
  for (size_t i = 0; i < command.size(); ++i) args.emplace_back(command[i]);
  return args;
}

std::string RedirectReply(std::string_view kind, uint16_t slot, const FakeMember& to) {
  return Concat("-", kind, " ", slot, " ", to.Address(), "\r\n");
}

}  // namespace

FakeNode::FakeNode(Shared& shared, FakeMember member)
    : shared_(shared), member_(std::move(member)) {
  shared_.nodes.push_back(this);
  Listen();
}

void FakeNode::Listen() {
  shared_.network.Listen(Address(), [this](SimPeer* peer) { OnConnect(peer); });
}

void FakeNode::OnConnect(SimPeer* peer) {
  auto connection = std::make_unique<Connection>();
  Connection* raw = connection.get();
  raw->id = shared_.next_connection++;
  raw->peer = peer;
  peer->SetListener([this, raw] { OnBytes(*raw); });
  connections_.push_back(std::move(connection));
}

void FakeNode::OnBytes(Connection& connection) {
  connection.input += connection.peer->Take();
  ProcessInput(connection);
  if (connection.peer->closed_by_peer()) connection.peer->Close();
}

void FakeNode::ProcessInput(Connection& connection) {
  while (!paused_ && member_.alive && connection.peer->IsOpen() && !connection.input.empty()) {
    const resp::ScanStatus status = connection.scanner.Scan(connection.input, kLimits);
    if (status == resp::ScanStatus::kNeedMore) return;
    if (status == resp::ScanStatus::kError) {
      Send(connection, Concat(connection.scanner.error(), "\r\n"));
      return connection.peer->Close();
    }
    FakeArgs args;
    if (status == resp::ScanStatus::kCommand) args = CopyArgs(connection.scanner.command());
    const size_t consumed = connection.scanner.consumed();
    connection.scanner.Reset();
    connection.input.erase(0, consumed);
    if (!args.empty()) Handle(connection, args);
  }
}

void FakeNode::Handle(Connection& connection, const FakeArgs& args) {
  if (garbage_) return Send(connection, kGarbage);
  const std::string session = AnswerSession(connection, args);
  if (!session.empty()) return Send(connection, session);
  if (!shared_.password.empty() && !connection.authenticated) return Send(connection, kNoAuth);
  if (scripted_) {
    pending_.push_back({connection.id, args});
    return;
  }
  const std::string name = UpperCase(args[0]);
  if (name == "ASKING") {
    connection.asking = true;
    return Send(connection, "+OK\r\n");
  }
  if (name == "READONLY" || name == "READWRITE") {
    connection.readonly = name == "READONLY";
    return Send(connection, "+OK\r\n");
  }
  if (AnswerPubSub(connection, args)) return;
  if (const KeyRule* rule = FindKeyRule(name)) return AnswerKeyed(connection, *rule, args);
  connection.asking = false;
  answering_ = &connection;
  Send(connection, AnswerKeyless(connection, args));
  SendPushes(connection);
}

std::string FakeNode::AnswerSession(Connection& connection, const FakeArgs& args) {
  const std::string name = UpperCase(args[0]);
  if (name == "HELLO") return AnswerHello(connection, args);
  if (name == "AUTH") return AnswerAuth(connection, args.back());
  if (!shared_.password.empty() && !connection.authenticated) return "";
  if (name == "CLIENT") return AnswerClient(connection, args);
  if (name == "CLUSTER") return AnswerCluster(connection, args);
  if (name == "SELECT" && args.size() == 2) return AnswerSelect(connection, args);
  return "";
}

// One database: as a server that knows no more in cluster mode. Several: as Valkey from 9.0 on.
std::string FakeNode::AnswerSelect(Connection& connection, const FakeArgs& args) {
  const int database = std::stoi(args[1]);
  if (shared_.databases == 1 && database != 0)
    return "-ERR SELECT is not allowed in cluster mode\r\n";
  if (database < 0 || database >= shared_.databases) return "-ERR DB index is out of range\r\n";
  connection.database = database;
  return "+OK\r\n";
}

std::string FakeNode::AnswerAuth(Connection& connection, std::string_view password) {
  if (shared_.password.empty()) {
    return "-ERR AUTH <password> called without any password configured for the default user. Are "
           "you sure your configuration is correct?\r\n";
  }
  if (password != shared_.password) {
    return "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  }
  connection.authenticated = true;
  return "+OK\r\n";
}

std::string FakeNode::AnswerHello(Connection& connection, const FakeArgs& args) {
  bool resp3 = connection.resp3;
  if (args.size() > 1) {
    if (args[1] != "2" && args[1] != "3") return "-NOPROTO unsupported protocol version\r\n";
    resp3 = args[1] == "3";
  }
  for (size_t i = 2; i + 2 < args.size(); ++i) {
    if (UpperCase(args[i]) != "AUTH") continue;
    const std::string answer = AnswerAuth(connection, args[i + 2]);
    if (answer[0] == '-') return answer;
  }
  if (!shared_.password.empty() && !connection.authenticated) {
    return "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
           "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
           "select the RESP protocol version at the same time\r\n";
  }
  connection.resp3 = resp3;
  return Concat(resp3 ? "%4\r\n" : "*8\r\n", BulkReply("server"), BulkReply("redis"),
                BulkReply("version"), BulkReply("7.2.0"), BulkReply("proto"),
                IntegerReply(resp3 ? 3 : 2), BulkReply("role"),
                BulkReply(IsPrimary() ? "master" : "replica"));
}

std::string FakeNode::AnswerCluster(const Connection& connection, const FakeArgs& args) {
  const std::string name = args.size() < 2 ? "" : UpperCase(args[1]);
  const ClusterView& told = lie_.has_value() ? *lie_ : view_;
  if (name == "SHARDS") return EncodeClusterShards(told, shared_.members, connection.resp3);
  if (name == "SLOTS") return EncodeClusterSlots(told, shared_.members);
  if (member_.loading) return "-LOADING Redis is loading the dataset in memory\r\n";
  if (name == "NODES") return EncodeClusterNodes(told, shared_.members, member_);
  if (name == "INFO") return EncodeClusterInfo(!cluster_down_ && !isolated_);
  if (name == "MYID") return BulkReply(member_.id);
  return Concat("-ERR unknown subcommand '", args.size() < 2 ? "" : args[1],
                "'. Try CLUSTER HELP.\r\n");
}

size_t FakeNode::KeysIn(int database) const {
  return std::ranges::count_if(store_.values(), [database](const auto& entry) {
    return PlaceOfStored(entry.first).database == database;
  });
}

// All of them, or one.
std::string FakeNode::Flush(std::optional<int> database) {
  if (!IsPrimary()) return "-READONLY You can't write against a read only replica.\r\n";
  TellOfFlush();
  const auto values = store_.values();
  for (const auto& [key, value] : values) {
    if (!database.has_value() || PlaceOfStored(key).database == *database)
      store_.Put(key, std::nullopt);
  }
  return "+OK\r\n";
}

// A primary that takes over begins another stream.
std::string FakeNode::ReplicationInfo() const {
  const bool is_primary = view_.IsPrimary(member_);
  return Concat(is_primary ? "role:master\r\n" : "role:slave\r\nmaster_link_status:up\r\n",
                "master_replid:", member_.shard, ".", view_.epoch_of_shard[member_.shard], "\r\n",
                is_primary ? "master_repl_offset:" : "slave_repl_offset:", stream_offset_, "\r\n");
}

std::string FakeNode::AnswerKeyless(const Connection& connection, const FakeArgs& args) {
  const std::string name = UpperCase(args[0]);
  if (name == "PING") return args.size() > 1 ? BulkReply(args[1]) : "+PONG\r\n";
  if (name == "ECHO" && args.size() == 2) return BulkReply(args[1]);
  if (name == "COMMAND") return EncodeKeyRules();
  if (name == "INFO") return BulkReply(ReplicationInfo());
  if (name == "DBSIZE") return IntegerReply(static_cast<int64_t>(KeysIn(connection.database)));
  if (name == "FLUSHALL") return Flush(std::nullopt);
  if (name == "FLUSHDB") return Flush(connection.database);
  return Concat("-ERR unknown command '", args[0], "', with args beginning with: \r\n");
}

void FakeNode::AnswerKeyed(Connection& connection, const KeyRule& rule, const FakeArgs& args) {
  std::string reply = std::exchange(next_error_, std::string());
  if (!reply.empty()) {
    connection.asking = false;
    return Send(connection, reply + "\r\n");
  }
  reply = Refusal(connection, rule, args);
  connection.asking = false;  // Holds for one command.
  if (!reply.empty()) return Send(connection, reply);
  answering_ = &connection;
  reply = store_.Execute(InDatabase(connection.database, rule, args), Null(connection));
  if (!rule.write) NoteRead(connection, KeysOf(rule, args));
  shared_.log.push_back(
      {shared_.network.schedule().now_ns(), this, connection.id, args, reply, connection.database});
  SimRandom& random = shared_.network.schedule().random();
  if (std::exchange(lose_next_reply_, false) || random.OneIn(shared_.lost_reply_one_in)) {
    answering_ = nullptr;
    waiting_pushes_.clear();
    return connection.peer->Reset();
  }
  Send(connection, reply);
  SendPushes(connection);
}

std::string FakeNode::Refusal(Connection& connection, const KeyRule& rule, const FakeArgs& args) {
  if (member_.loading) return "-LOADING Redis is loading the dataset in memory\r\n";
  const std::vector<std::string> keys = KeysOf(rule, args);
  if (keys.empty()) return "";  // The store answers with the arity error.
  const uint16_t slot = cluster::HashSlot(keys[0]);
  for (const std::string& key : keys) {
    if (cluster::HashSlot(key) != slot) {
      return "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    }
  }
  const FakeMember* owner = view_.OwnerOf(slot);
  if (owner == nullptr) return "-CLUSTERDOWN Hash slot not served\r\n";
  if (cluster_down_ || isolated_) return "-CLUSTERDOWN The cluster is down\r\n";
  const bool ours = owner == &member_;
  if (ours || importing_from_.count(slot) != 0) {
    const std::string refusal = MigrationRefusal(slot, keys, connection);
    if (!refusal.empty()) return refusal;
    if (ours || connection.asking) return "";
  }
  const bool replica_read = connection.readonly && !rule.write && owner->shard == member_.shard;
  return replica_read ? "" : RedirectReply("MOVED", slot, *owner);
}

std::string FakeNode::MigrationRefusal(uint16_t slot, const std::vector<std::string>& keys,
                                       const Connection& connection) {
  size_t missing = 0;
  for (const std::string& key : keys) missing += !store_.Has(StoredKey(connection.database, key));
  const bool ours = view_.OwnerOf(slot) == &member_;
  const auto migrating = migrating_to_.find(slot);
  const char* try_again = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
  if (ours && migrating != migrating_to_.end() && missing > 0) {
    return missing < keys.size() ? try_again : RedirectReply("ASK", slot, *migrating->second);
  }
  const bool importing = !ours && importing_from_.count(slot) != 0;
  return importing && connection.asking && keys.size() > 1 && missing > 0 ? try_again : "";
}

void FakeNode::Send(Connection& connection, std::string_view reply) {
  connection.peer->Write(reply);
}

std::string_view FakeNode::Null(const Connection& connection) const {
  return connection.resp3 ? "_\r\n" : "$-1\r\n";
}

void FakeNode::Reply(uint64_t id, std::string_view bytes) {
  for (const auto& connection : connections_) {
    if (connection->id == id) Send(*connection, bytes);
  }
}

void FakeNode::Kill() {
  member_.alive = false;
  shared_.network.SetConnectMode(Address(), ConnectMode::kRefuse);
  ResetConnections();
}

void FakeNode::Vanish() {
  member_.alive = false;
  shared_.network.SetConnectMode(Address(), ConnectMode::kSilent);
}

void FakeNode::Restart() {
  // Whoever still talks to the process of before is told that it is gone.
  ResetConnections();
  member_.alive = true;
  paused_ = false;
  shared_.network.SetConnectMode(Address(), ConnectMode::kAccept);
}

void FakeNode::MoveTo(const std::string& host) {
  CHECK(!member_.alive);
  shared_.network.StopListening(Address());
  member_.host = host;
  Listen();
  shared_.network.SetConnectMode(Address(), ConnectMode::kRefuse);
}

void FakeNode::SetUnreachable(bool unreachable) {
  if (!member_.alive) return;
  shared_.network.SetConnectMode(Address(),
                                 unreachable ? ConnectMode::kSilent : ConnectMode::kAccept);
  SetPaused(unreachable);
}

void FakeNode::ResetConnections() {
  for (const auto& connection : connections_) {
    connection->peer->SetListener(nullptr);
    connection->peer->Reset();
  }
  connections_.clear();
  pending_.clear();
}

size_t FakeNode::open_connections() const {
  size_t count = 0;
  for (const auto& connection : connections_) count += connection->peer->IsOpen();
  return count;
}

void FakeNode::SetPaused(bool paused) {
  paused_ = paused;
  if (paused_) return;
  for (const auto& connection : connections_) ProcessInput(*connection);
}

}  // namespace rcproxy::sim
