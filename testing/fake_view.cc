#include "testing/fake_view.h"

#include "testing/fake_store.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

struct SlotRange {
  int first;
  int last;
  int16_t shard;
};

std::vector<SlotRange> RangesOf(const ClusterView& view) {
  std::vector<SlotRange> ranges;
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    const int16_t shard = view.shard_of_slot[slot];
    if (shard == ClusterView::kNoShard) continue;
    if (!ranges.empty() && ranges.back().shard == shard && ranges.back().last == slot - 1) {
      ranges.back().last = slot;
    } else {
      ranges.push_back({slot, slot, shard});
    }
  }
  return ranges;
}

std::string MapHeader(size_t pairs, bool resp3) {
  return resp3 ? Concat("%", pairs, "\r\n") : ArrayHeader(2 * pairs);
}

std::string EncodeShardNode(const ClusterView& view, const FakeMember& member, bool resp3) {
  const char* health = !member.alive ? "fail" : member.loading ? "loading" : "online";
  return Concat(MapHeader(7, resp3), BulkReply("id"), BulkReply(member.id), BulkReply("port"),
                IntegerReply(member.port), BulkReply("ip"), BulkReply(member.host),
                BulkReply("endpoint"), BulkReply(member.host), BulkReply("role"),
                BulkReply(view.IsPrimary(member) ? "master" : "replica"),
                BulkReply("replication-offset"), IntegerReply(1), BulkReply("health"),
                BulkReply(health));
}

std::string EncodeSlotNode(const FakeMember& member) {
  return Concat(ArrayHeader(4), BulkReply(member.host), IntegerReply(member.port),
                BulkReply(member.id), ArrayHeader(0));
}

}  // namespace

const FakeMember* ClusterView::OwnerOf(uint16_t slot) const {
  const int16_t shard = shard_of_slot[slot];
  return shard == kNoShard ? nullptr : primary_of_shard[shard];
}

bool ClusterView::IsPrimary(const FakeMember& member) const {
  return primary_of_shard[member.shard] == &member;
}

std::string EncodeClusterShards(const ClusterView& view, const FakeMembers& members, bool resp3) {
  const std::vector<SlotRange> ranges = RangesOf(view);
  std::string reply = ArrayHeader(view.primary_of_shard.size());
  for (size_t shard = 0; shard < view.primary_of_shard.size(); ++shard) {
    std::string slots, nodes;
    size_t slot_count = 0, node_count = 0;
    for (const SlotRange& range : ranges) {
      if (range.shard != static_cast<int16_t>(shard)) continue;
      slots += IntegerReply(range.first) + IntegerReply(range.last);
      slot_count += 2;
    }
    for (const FakeMember* member : members) {
      if (member->shard != static_cast<int>(shard)) continue;
      nodes += EncodeShardNode(view, *member, resp3);
      ++node_count;
    }
    reply += Concat(MapHeader(2, resp3), BulkReply("slots"), ArrayHeader(slot_count), slots,
                    BulkReply("nodes"), ArrayHeader(node_count), nodes);
  }
  return reply;
}

std::string EncodeClusterNodes(const ClusterView& view, const FakeMembers& members,
                               const FakeMember& self) {
  const std::vector<SlotRange> ranges = RangesOf(view);
  std::string lines;
  for (const FakeMember* member : members) {
    const size_t shard = static_cast<size_t>(member->shard);
    const bool is_primary = view.IsPrimary(*member);
    lines +=
        Concat(member->id, " ", member->Address(), "@", member->port + 10000, " ",
               member == &self ? "myself," : "", is_primary ? "master" : "slave",
               member->alive ? " " : ",fail ",
               is_primary ? std::string("-") : view.primary_of_shard[shard]->id, " 0 0 ",
               shard < view.epoch_of_shard.size() ? view.epoch_of_shard[shard] : 0, " connected");
    for (const SlotRange& range : ranges) {
      if (is_primary && range.shard == member->shard)
        lines += Concat(" ", range.first, "-", range.last);
    }
    lines += "\n";
  }
  return BulkReply(lines);
}

std::string EncodeClusterInfo(bool is_ok) {
  return BulkReply(Concat("cluster_state:", is_ok ? "ok" : "fail", "\r\ncluster_slots_ok:1\r\n"));
}

std::string EncodeClusterSlots(const ClusterView& view, const FakeMembers& members) {
  const std::vector<SlotRange> ranges = RangesOf(view);
  std::string reply = ArrayHeader(ranges.size());
  for (const SlotRange& range : ranges) {
    const FakeMember* primary = view.primary_of_shard[range.shard];
    std::string nodes = EncodeSlotNode(*primary);
    size_t node_count = 1;
    for (const FakeMember* member : members) {
      // The server leaves out replicas that have failed.
      if (member->shard != range.shard || member == primary || !member->alive) continue;
      nodes += EncodeSlotNode(*member);
      ++node_count;
    }
    reply += Concat(ArrayHeader(2 + node_count), IntegerReply(range.first),
                    IntegerReply(range.last), nodes);
  }
  return reply;
}

}  // namespace rcproxy::sim
