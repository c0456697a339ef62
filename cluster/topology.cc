#include "cluster/topology.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/topology_parser.h"
#include "glog/logging.h"

namespace rcproxy::cluster {
namespace {

// A node as far as SameAs is concerned.
std::string Signature(const Node& node) {
  return absl::StrCat(node.address.ToString(), node.is_online ? "" : " offline");
}

// Each shard as text: its primary, its replicas, its slots; sorted, so that the order of listing
// does not matter. A list of slots is written as the places where it begins and ends.
std::vector<std::string> ShardSignatures(const Topology& topology) {
  std::vector<std::string> texts(topology.shards().size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const Shard& shard = topology.shards()[i];
    std::vector<std::string> replicas;
    for (const uint16_t node : shard.replicas) {
      replicas.push_back(Signature(topology.nodes()[node]));
    }
    std::sort(replicas.begin(), replicas.end());
    const bool has_primary = shard.primary != Shard::kNoNode;
    texts[i] = absl::StrCat(has_primary ? Signature(topology.nodes()[shard.primary]) : "", "|",
                            absl::StrJoin(replicas, ","), "|");
  }
  uint16_t before = Topology::kNoShard;
  for (int slot = 0; slot < kSlotCount; ++slot) {
    const uint16_t owner = topology.ShardOfSlot(static_cast<uint16_t>(slot));
    if (owner == before) continue;
    if (before != Topology::kNoShard) absl::StrAppend(&texts[before], "-", slot - 1);
    if (owner != Topology::kNoShard) absl::StrAppend(&texts[owner], " ", slot);
    before = owner;
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::vector<std::string> NodeSignatures(const Topology& topology) {
  std::vector<std::string> texts;
  for (const Node& node : topology.nodes()) texts.push_back(Signature(node));
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace

std::string NodeAddress::ToString() const {
  if (host.find(':') != std::string::npos) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host, ":", port);
}

absl::StatusOr<NodeAddress> ParseNodeAddress(std::string_view text) {
  const std::string quoted(text);  // The system's absl has a string_view of its own.
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("no port in '", quoted, "': host:port expected"));
  }
  const std::string digits(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const bool only_digits = digits.find_first_not_of("0123456789") == std::string::npos;
  uint32_t port = 0;
  if (!only_digits || !absl::SimpleAtoi(digits, &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("bad port in '", quoted, "': 1 to 65535"));
  }
  if (host.empty() || host.find_first_of("[] \t\r\n") != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("bad host in '", quoted, "'"));
  }
  return NodeAddress{std::string(host), static_cast<uint16_t>(port)};
}

Topology::Topology(std::vector<Node> nodes, std::vector<Shard> shards,
                   const std::vector<Range>& ranges)
    : nodes_(std::move(nodes)), shards_(std::move(shards)) {
  shard_of_slot_.fill(kNoShard);
  for (const Range& range : ranges) {
    CHECK_LE(range.first, range.last);
    CHECK_LT(range.last, kSlotCount);
    CHECK_LT(range.shard, shards_.size());
    for (int slot = range.first; slot <= range.last; ++slot) shard_of_slot_[slot] = range.shard;
  }
  slots_covered_ = static_cast<int>(
      kSlotCount - std::count(shard_of_slot_.begin(), shard_of_slot_.end(), kNoShard));
  CheckInvariants();
}

std::vector<bool> Topology::ShardsWithSlots() const {
  std::vector<bool> has_slots(shards_.size(), false);
  for (const uint16_t shard : shard_of_slot_) {
    if (shard != kNoShard) has_slots[shard] = true;
  }
  return has_slots;
}

bool Topology::SameAs(const Topology& other) const {
  if (slots_covered_ != other.slots_covered_ || nodes_.size() != other.nodes_.size() ||
      shards_.size() != other.shards_.size()) {
    return false;
  }
  return NodeSignatures(*this) == NodeSignatures(other) &&
         ShardSignatures(*this) == ShardSignatures(other);
}

void Topology::CheckInvariants() const {
  int covered = 0;
  for (const uint16_t shard : shard_of_slot_) {
    if (shard == kNoShard) continue;
    CHECK_LT(shard, shards_.size());
    ++covered;
  }
  CHECK_EQ(covered, slots_covered_);
  for (const Shard& shard : shards_) {
    CHECK(shard.primary == Shard::kNoNode || shard.primary < nodes_.size());
    CHECK(shard.primary == Shard::kNoNode || nodes_[shard.primary].is_primary);
    bool is_offline = false;
    for (const uint16_t replica : shard.replicas) {
      CHECK_LT(replica, nodes_.size());
      CHECK(!nodes_[replica].is_primary);
      CHECK(!is_offline || !nodes_[replica].is_online) << "an online replica behind an offline one";
      is_offline = !nodes_[replica].is_online;
    }
  }
  std::set<std::pair<std::string_view, uint16_t>> addresses;
  for (const Node& node : nodes_) {
    CHECK(addresses.emplace(node.address.host, node.address.port).second)
        << node.address.ToString() << " twice";
  }
}

}  // namespace rcproxy::cluster
