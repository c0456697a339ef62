#include "proxy/cluster_commands.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/command_errors.h"
#include "cluster/hash_slot.h"
#include "cluster/topology_parser.h"
#include "proxy/announced_cluster.h"
#include "proxy/client_info.h"
#include "proxy/resolver.h"
#include "proxy/sha1.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

using cluster::NodeAddress;

// Where the client finds us, as it has just done.
NodeAddress ConnectedTo(const LocalCall& call) {
  constexpr std::string_view kMappedIpv4 = "::ffff:";
  absl::StatusOr<NodeAddress> address = cluster::ParseNodeAddress(LocalAddress(call.session));
  if (!address.ok() || address->port == 0) return {"127.0.0.1", call.facts.tcp_port};
  if (address->host.starts_with(kMappedIpv4)) address->host.erase(0, kMappedIpv4.size());
  return *std::move(address);
}

AnnouncedCluster ClusterFor(const LocalCall& call) {
  return {call.facts.config->announce, ConnectedTo(call)};
}

bool HasName(const NodeAddress& address) {
  SocketAddress literal;
  return !ResolveLiteral(address, &literal);
}

// Where a server's bus would listen. Nobody does.
uint16_t BusPort(const NodeAddress& address) {
  constexpr int kBusPortOffset = 10'000;
  const int port = address.port + kBusPortOffset;
  return port <= UINT16_MAX ? static_cast<uint16_t>(port) : 0;
}

// ---- the map, in three forms

void Slots(LocalCall& call) {
  const AnnouncedCluster cluster = ClusterFor(call);
  call.Array(cluster.nodes().size());
  for (const AnnouncedNode& node : cluster.nodes()) {
    call.Array(3);
    call.Integer(node.first_slot);
    call.Integer(node.last_slot);
    call.Array(4);
    call.Bulk(node.address.host);
    call.Integer(node.address.port);
    call.Bulk(node.id);
    call.Map(0);  // Other addresses of the node.
  }
}

void Pair(LocalCall& call, std::string_view name, std::string_view value) {
  call.Bulk(name);
  call.Bulk(value);
}

void Pair(LocalCall& call, std::string_view name, int64_t value) {
  call.Bulk(name);
  call.Integer(value);
}

void ShardNode(LocalCall& call, const AnnouncedNode& node) {
  const bool has_name = HasName(node.address);
  call.Map(has_name ? 8 : 7);
  Pair(call, "id", node.id);
  Pair(call, "port", node.address.port);
  Pair(call, "ip", node.address.host);
  Pair(call, "endpoint", node.address.host);
  if (has_name) Pair(call, "hostname", node.address.host);
  Pair(call, "role", "master");
  Pair(call, "replication-offset", 0);
  Pair(call, "health", "online");
}

void Shards(LocalCall& call) {
  const AnnouncedCluster cluster = ClusterFor(call);
  call.Array(cluster.nodes().size());
  for (const AnnouncedNode& node : cluster.nodes()) {
    call.Map(2);
    call.Bulk("slots");
    call.Array(2);
    call.Integer(node.first_slot);
    call.Integer(node.last_slot);
    call.Bulk("nodes");
    call.Array(1);
    ShardNode(call, node);
  }
}

std::string SlotRange(const AnnouncedNode& node) {
  if (node.first_slot == node.last_slot) return Concat(node.first_slot);
  return Concat(node.first_slot, "-", node.last_slot);
}

// <id> <ip:port@bus[,name]> <flags> <primary> <ping> <pong> <epoch> <link> <slots>
void Nodes(LocalCall& call) {
  const AnnouncedCluster cluster = ClusterFor(call);
  const int64_t now_ms = absl::ToUnixMillis(absl::Now());
  std::string lines;
  for (size_t i = 0; i < cluster.nodes().size(); ++i) {
    const AnnouncedNode& node = cluster.nodes()[i];
    const NodeAddress& address = node.address;
    lines += Concat(node.id, " ", address.host, ":", address.port, "@", BusPort(address));
    if (HasName(address)) lines += Concat(",", address.host);
    lines += Concat(i == cluster.my_index() ? " myself,master - 0 " : " master - 0 ", now_ms, " ",
                    i + 1, " connected ", SlotRange(node), "\n");
  }
  call.Text(lines);
}

// ---- the rest

// Every slot is announced; those that the nodes do not serve now are what a server calls failed.
void Info(LocalCall& call) {
  const AnnouncedCluster cluster = ClusterFor(call);
  const int served = call.host.SlotsServed();
  const size_t nodes = cluster.nodes().size();
  call.Text(
      Concat("cluster_state:", served == cluster::kSlotCount ? "ok" : "fail",
             "\r\ncluster_slots_assigned:", cluster::kSlotCount, "\r\ncluster_slots_ok:", served,
             "\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:", cluster::kSlotCount - served,
             "\r\ncluster_known_nodes:", nodes, "\r\ncluster_size:", nodes,
             "\r\ncluster_current_epoch:", nodes, "\r\ncluster_my_epoch:", cluster.my_index() + 1,
             "\r\ncluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0"
             "\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"));
}

void MyId(LocalCall& call) { call.Bulk(ClusterFor(call).me().id); }

void MyShardId(LocalCall& call) { call.Bulk(Sha1Hex(Concat("shard ", ClusterFor(call).me().id))); }

void KeySlot(LocalCall& call) { call.Integer(cluster::HashSlot(call.command[2])); }

// Returns false after having answered with an error.
bool CheckId(LocalCall& call) {
  if (ClusterFor(call).Has(call.command[2])) return true;
  call.Error(Concat("ERR Unknown node ", ForErrorText(call.command[2])));
  return false;
}

void Replicas(LocalCall& call) {
  if (CheckId(call)) call.Array(0);
}

void FailureReports(LocalCall& call) {
  if (CheckId(call)) call.Integer(0);
}

// The instances do not talk to one another.
void Links(LocalCall& call) { call.Array(0); }

template <LocalHandler kHandler>
void InClusterFace(LocalCall& call) {
  if (call.facts.config->face == Face::kStandalone) return call.Error(cluster::kClusterDisabled);
  kHandler(call);
}

constexpr LocalHandlerRow kRows[] = {
    {"cluster|count-failure-reports", InClusterFace<FailureReports>},
    {"cluster|info", InClusterFace<Info>},
    {"cluster|keyslot", KeySlot},
    {"cluster|links", InClusterFace<Links>},
    {"cluster|myid", InClusterFace<MyId>},
    {"cluster|myshardid", InClusterFace<MyShardId>},
    {"cluster|nodes", InClusterFace<Nodes>},
    {"cluster|replicas", InClusterFace<Replicas>},
    {"cluster|shards", InClusterFace<Shards>},
    {"cluster|slaves", InClusterFace<Replicas>},
    {"cluster|slots", InClusterFace<Slots>},
};

}  // namespace

std::span<const LocalHandlerRow> ClusterHandlers() { return kRows; }

}  // namespace rcproxy::proxy
