// What nodes say about the cluster -> Topology. Everything here comes from the network: no CHECK,
// and each field is looked at before it is used. A node that cannot be reached by what is said
// about it is left out; a reply that is not of the documented form as a whole is an error.
#include "cluster/topology_parser.h"

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cluster/topology.h"
#include "cluster/topology_builder.h"
#include "resp/value.h"

namespace rcproxy::cluster {
namespace {

using resp::Value;

constexpr size_t kHostBytesMax = 255;

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed topology: ", what));
}

absl::Status TooLarge() { return Malformed("more nodes or slots than a cluster can have"); }

// The outermost array of a reply, or why it is not one.
absl::StatusOr<Value> ParseList(std::string_view reply) {
  absl::StatusOr<Value> value = resp::ParseValue(reply);
  if (!value.ok()) return value.status();
  if (value->IsError()) return absl::InvalidArgumentError(value->text);
  if (!value->IsList()) return Malformed("no array");
  return value;
}

std::string TextOf(const Value* value) {
  return value != nullptr && value->IsString() ? value->text : std::string();
}

bool IsSlotRange(const Value& first, const Value& last) {
  return first.type == Value::Type::kInteger && last.type == Value::Type::kInteger &&
         first.integer >= 0 && first.integer <= last.integer && last.integer < kSlotCount;
}

// Where an endpoint and a port lead; nothing when the node cannot be reached by them.
std::optional<NodeAddress> AddressOf(const Value* endpoint, const Value* port,
                                     const NodeAddress& asked) {
  if (port == nullptr || port->type != Value::Type::kInteger) return std::nullopt;
  if (port->integer < 1 || port->integer > 65535) return std::nullopt;
  std::string host = TextOf(endpoint);
  if (host.empty()) host = asked.host;
  if (host == "?" || host.size() > kHostBytesMax) return std::nullopt;
  for (const char byte : host) {
    if (byte <= ' ' || byte > '~') return std::nullopt;
  }
  return NodeAddress{std::move(host), static_cast<uint16_t>(port->integer)};
}

// One node of CLUSTER SHARDS.
std::optional<Node> ParseShardNode(const Value& fields, const NodeAddress& asked) {
  const Value* port = fields.Find("port");
  if (port == nullptr) port = fields.Find("tls-port");
  std::optional<NodeAddress> address = AddressOf(fields.Find("endpoint"), port, asked);
  if (!address.has_value()) return std::nullopt;
  Node node;
  node.address = *std::move(address);
  node.id = TextOf(fields.Find("id"));
  node.hostname = TextOf(fields.Find("hostname"));
  node.availability_zone = TextOf(fields.Find("availability-zone"));
  const std::string role = TextOf(fields.Find("role"));
  node.is_primary = role == "master" || role == "primary";
  const Value* health = fields.Find("health");
  node.is_online = health == nullptr || TextOf(health) == "online";
  const Value* offset = fields.Find("replication-offset");
  if (offset != nullptr) node.replication_offset = offset->integer;
  return node;
}

// One shard of CLUSTER SHARDS: {slots: [first, last, ...], nodes: [...]}.
absl::Status AddShard(const Value& fields, const NodeAddress& asked, TopologyBuilder* builder) {
  const Value* slots = fields.Find("slots");
  const Value* nodes = fields.Find("nodes");
  if (slots == nullptr || !slots->IsList() || nodes == nullptr || !nodes->IsList()) {
    return Malformed("a shard without slots or nodes");
  }
  if (slots->elements.size() % 2 != 0) return Malformed("an odd number of slot bounds");
  if (builder->IsFull()) return TooLarge();
  const uint16_t shard = builder->AddShard();
  for (size_t i = 0; i < slots->elements.size(); i += 2) {
    const Value& first = slots->elements[i];
    const Value& last = slots->elements[i + 1];
    if (!IsSlotRange(first, last)) return Malformed("bad slot bounds");
    if (builder->IsFull()) return TooLarge();
    builder->AddRange(static_cast<int>(first.integer), static_cast<int>(last.integer), shard);
  }
  for (const Value& node_fields : nodes->elements) {
    if (builder->IsFull()) return TooLarge();
    std::optional<Node> node = ParseShardNode(node_fields, asked);
    if (node.has_value()) builder->AddNode(shard, *std::move(node));
  }
  return absl::OkStatus();
}

// One node of CLUSTER SLOTS: [endpoint, port, id, metadata]; old servers stop before id or
// metadata.
std::optional<Node> ParseSlotsNode(const Value& value, const NodeAddress& asked) {
  if (!value.IsList() || value.elements.size() < 2) return std::nullopt;
  std::optional<NodeAddress> address = AddressOf(&value.elements[0], &value.elements[1], asked);
  if (!address.has_value()) return std::nullopt;
  Node node;
  node.address = *std::move(address);
  if (value.elements.size() > 2) node.id = TextOf(&value.elements[2]);
  if (value.elements.size() > 3) {
    node.hostname = TextOf(value.elements[3].Find("hostname"));
    node.availability_zone = TextOf(value.elements[3].Find("availability-zone"));
  }
  return node;
}

// What makes ranges of CLUSTER SLOTS belong to one shard: their primary, by id, or by address when
// it has none. Empty: a primary that is not known; its range is a shard of its own.
std::string PrimaryKey(const Value& value) {
  if (!value.IsList() || value.elements.size() < 2) return "";
  if (value.elements.size() > 2 && !TextOf(&value.elements[2]).empty()) {
    return TextOf(&value.elements[2]);
  }
  const std::string host = TextOf(&value.elements[0]);
  return host == "?" ? "" : absl::StrCat(host, " ", value.elements[1].integer);
}

// One range of CLUSTER SLOTS: [first, last, primary, replica ...].
absl::Status AddSlotsRange(const Value& row, const NodeAddress& asked, TopologyBuilder* builder,
                           std::map<std::string, uint16_t>* shard_of) {
  if (!row.IsList() || row.elements.size() < 3) return Malformed("a slot range without a node");
  if (!IsSlotRange(row.elements[0], row.elements[1])) return Malformed("bad slot bounds");
  if (builder->IsFull()) return TooLarge();
  const std::string key = PrimaryKey(row.elements[2]);
  auto known = shard_of->find(key);
  if (key.empty() || known == shard_of->end()) {
    known = shard_of->insert_or_assign(key, builder->AddShard()).first;
  }
  const uint16_t shard = known->second;
  builder->AddRange(static_cast<int>(row.elements[0].integer),
                    static_cast<int>(row.elements[1].integer), shard);
  for (size_t i = 2; i < row.elements.size(); ++i) {
    if (builder->IsFull()) return TooLarge();
    std::optional<Node> node = ParseSlotsNode(row.elements[i], asked);
    if (!node.has_value()) continue;
    node->is_primary = i == 2;
    builder->AddNode(shard, *std::move(node));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Topology> ParseClusterShards(std::string_view reply, const NodeAddress& asked) {
  absl::StatusOr<Value> value = ParseList(reply);
  if (!value.ok()) return value.status();
  TopologyBuilder builder;
  for (const Value& shard : value->elements) {
    const absl::Status status = AddShard(shard, asked, &builder);
    if (!status.ok()) return status;
  }
  return std::move(builder).Build();
}

absl::StatusOr<Topology> ParseClusterSlots(std::string_view reply, const NodeAddress& asked) {
  absl::StatusOr<Value> value = ParseList(reply);
  if (!value.ok()) return value.status();
  TopologyBuilder builder;
  std::map<std::string, uint16_t> shard_of;
  for (const Value& row : value->elements) {
    const absl::Status status = AddSlotsRange(row, asked, &builder, &shard_of);
    if (!status.ok()) return status;
  }
  return std::move(builder).Build();
}

}  // namespace rcproxy::cluster
