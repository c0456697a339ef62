#include "cluster/agreement.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "cluster/topology_builder.h"

namespace rcproxy::cluster {
namespace {

using Views = std::vector<const NodeView*>;

// Whether `view` knows the node; one that tells of nobody might know all.
bool Knows(const NodeView& view, const std::string& id) {
  return id.empty() || view.epochs.empty() || view.epochs.contains(id);
}

bool KnowsAnyOf(const NodeView& view, const Topology& topology) {
  return std::ranges::any_of(topology.nodes(),
                             [&view](const Node& node) { return Knows(view, node.id); });
}

Views InState(const Views& views, bool is_ok) {
  Views found;
  std::ranges::copy_if(views, std::back_inserter(found),
                       [is_ok](const NodeView* view) { return view->is_ok == is_ok; });
  return found;
}

// Those whose node more than half of all know. When nodes of two clusters balance each other, none.
Views WithoutStrangers(const Views& views) {
  Views members;
  for (const NodeView* view : views) {
    const auto knows_it = [view](const NodeView* other) { return Knows(*other, view->self); };
    if (std::ranges::count_if(views, knows_it) * 2 > std::ssize(views)) members.push_back(view);
  }
  return members;
}

Views ThatCount(const std::vector<NodeView>& views, size_t asked, const KnownMap& known) {
  Views all;
  for (const NodeView& view : views) all.push_back(&view);
  Views counted = InState(all, true);
  if (counted.empty() && views.size() * 2 > asked) counted = InState(all, false);
  counted = WithoutStrangers(counted);
  if (known.topology == nullptr) return counted;
  Views related;
  std::ranges::copy_if(counted, std::back_inserter(related),
                       [&](const NodeView* view) { return KnowsAnyOf(*view, *known.topology); });
  return related.empty() && counted.size() * 2 > asked ? counted : related;
}

// Builds the agreed picture slot by slot. What is looked up for each slot are small numbers: which
// shard of each view. Slots of which all views say the same share what was decided.
class Agreeing {
 public:
  Agreeing(Views views, size_t asked, const KnownMap& known)
      : views_(std::move(views)), asked_(asked), known_(known) {}

  Agreement Run() && {
    Said said, said_before;
    const std::string* owner = nullptr;
    for (int slot = 0; slot < kSlotCount; ++slot) {
      said.clear();
      for (const NodeView* view : views_) said.push_back(view->map.ShardOfSlot(slot));
      said.push_back(known_.topology == nullptr ? Topology::kNoShard
                                                : known_.topology->ShardOfSlot(slot));
      if (said != said_before) owner = Decide(said);
      AddSlot(slot, owner);
      said.swap(said_before);
    }
    return std::move(*this).Build();
  }

 private:
  // The shard of a slot in each view, and in the picture so far.
  using Said = std::vector<uint16_t>;

  struct Claim {
    uint64_t epoch = 0;  // As EpochHeard.
    uint64_t told = 0;   // The highest that a supporter tells.
    size_t supporters = 0;
    bool by_itself = false;  // The owner says so, too.
    const Node* owner = nullptr;
  };
  // Where a primary and its replicas are described: best by itself, else where its epoch is
  // highest.
  struct Description {
    bool by_itself = false;
    uint64_t epoch = 0;
    const Topology* map = nullptr;
    uint16_t shard = 0;

    const Node& primary() const { return *PrimaryOf(*map, shard); }
  };
  struct OwnedRun {
    int first;
    int last;
    const std::string* owner;
  };

  static const Node* PrimaryOf(const Topology& map, uint16_t shard) {
    if (shard == Topology::kNoShard) return nullptr;
    const uint16_t primary = map.shards()[shard].primary;
    return primary == Shard::kNoNode ? nullptr : &map.nodes()[primary];
  }
  static uint64_t EpochOf(const Epochs& epochs, const std::string& key) {
    const auto found = epochs.find(key);
    return found == epochs.end() ? 0 : found->second;
  }

  const NodeView* ViewOf(const std::string& key) const {
    const auto found = std::ranges::find(views_, key, &NodeView::self);
    return found == views_.end() ? nullptr : *found;
  }
  // Who is alone outvotes nobody.
  bool Outvotes(size_t views) const { return views > 1 && views * 2 > asked_; }

  // The node's own word, else what more than half of those that count say at least.
  uint64_t EpochHeard(const std::string& key) const {
    if (const NodeView* own = ViewOf(key)) return EpochOf(own->epochs, key);
    std::vector<uint64_t> told;
    for (const NodeView* view : views_) told.push_back(EpochOf(view->epochs, key));
    const auto middle = told.begin() + std::ssize(told) / 2;
    std::ranges::nth_element(told, middle, std::greater());
    return *middle;
  }
  // The epoch of an owner so far, or its own word where that is less: others are measured by it.
  uint64_t EpochKnown(const std::string& key) const {
    const uint64_t known = EpochOf(*known_.epochs, key);
    const NodeView* own = ViewOf(key);
    return own == nullptr ? known : std::min(known, EpochOf(own->epochs, key));
  }
  // Whether what `view` says of slots of an owner so far is older than what is known.
  bool IsStale(const NodeView& view, const std::string& owner) const {
    const auto told = view.epochs.find(owner);
    return told != view.epochs.end() && told->second < EpochKnown(owner);
  }
  bool AreAllStale(const std::string& owner) const {
    return std::ranges::all_of(views_, [&](const NodeView* view) { return IsStale(*view, owner); });
  }
  // What is known of an owner from now on.
  uint64_t EpochToKeep(const std::string& key) const {
    const uint64_t heard = EpochHeard(key);
    const bool is_known = known_.epochs != nullptr && known_.epochs->contains(key);
    if (!is_known || ViewOf(key) != nullptr) return heard;
    const uint64_t known = EpochOf(*known_.epochs, key);
    if (!Outvotes(views_.size())) return known;
    return AreAllStale(key) ? heard : std::max(heard, known);
  }

  const std::string* Decide(const Said& said) {
    const auto [decided, is_new] = owners_.try_emplace(said);
    if (is_new) decided->second = OwnerOf(said);
    return &decided->second;
  }

  // Returns the key of the owner, "" when nobody is.
  std::string OwnerOf(const Said& said) {
    const Node* before =
        known_.topology == nullptr ? nullptr : PrimaryOf(*known_.topology, said.back());
    const std::string key_before = before == nullptr ? std::string() : KeyOf(*before);
    if (before != nullptr && AreAllStale(key_before)) {
      to_ask_.push_back(before->address);
      return KeepOwner(*before, said.back());
    }
    std::map<std::string, Claim> claims;
    for (size_t i = 0; i < views_.size(); ++i) {
      const NodeView& view = *views_[i];
      if (before != nullptr && IsStale(view, key_before)) continue;
      if (PrimaryOf(view.map, said[i]) != nullptr) AddClaim(view, said[i], &claims);
    }
    return Choose(claims, before, said.back());
  }

  void AddClaim(const NodeView& view, uint16_t shard, std::map<std::string, Claim>* claims) {
    const Node& owner = *PrimaryOf(view.map, shard);
    const std::string key = KeyOf(owner);
    const uint64_t epoch = EpochOf(view.epochs, key);
    const bool by_itself = view.self == key;
    Claim& claim = (*claims)[key];
    if (claim.owner == nullptr) claim.epoch = EpochHeard(key);
    claim.told = std::max(claim.told, epoch);
    ++claim.supporters;
    claim.by_itself |= by_itself || view.self.empty();  // Who does not tell its id may be it.
    claim.owner = &owner;
    Description& best = described_[key];
    if (best.map == nullptr ||
        std::pair(by_itself, epoch) > std::pair(best.by_itself, best.epoch)) {
      best = {by_itself, epoch, &view.map, shard};
    }
  }

  std::string KeepOwner(const Node& owner, uint16_t shard) {
    const std::string key = KeyOf(owner);
    Description& best = described_[key];
    if (best.map == nullptr) best = {false, EpochOf(*known_.epochs, key), known_.topology, shard};
    return key;
  }

  // The best claim that may be believed. `before` had the slot until now.
  std::string Choose(const std::map<std::string, Claim>& claims, const Node* before,
                     uint16_t shard_before) {
    std::vector<std::pair<std::string, Claim>> ranked(claims.begin(), claims.end());
    std::ranges::stable_sort(ranked, std::greater(), [](const auto& entry) {
      return std::tuple(entry.second.epoch, entry.second.supporters, entry.second.told);
    });
    const auto is_believed = [&](const auto& entry) {
      const auto& [key, claim] = entry;
      const bool moves = before != nullptr && key != KeyOf(*before);
      return !moves || claim.by_itself || claim.supporters * 2 > asked_;
    };
    const auto best = std::ranges::find_if(ranked, is_believed);
    const uint64_t epoch = best == ranked.end() ? 0 : best->second.epoch;
    for (const auto& entry : ranked) {
      const bool is_newer = entry.second.told >= epoch;
      if (is_newer && !is_believed(entry)) to_ask_.push_back(entry.second.owner->address);
    }
    if (best != ranked.end()) return best->first;
    // Others claim the slot, and none of them is believed yet.
    return ranked.empty() ? std::string() : KeepOwner(*before, shard_before);
  }

  void AddSlot(int slot, const std::string* owner) {
    if (!runs_.empty() && *runs_.back().owner == *owner) {
      runs_.back().last = slot;
    } else {
      runs_.push_back({slot, slot, owner});
    }
  }

  // All owners come before any replica: an address counts where it is named first, and a view that
  // is behind may call a new primary a replica still.
  Agreement Build() && {
    Agreement agreement;
    for (const OwnedRun& run : runs_) {
      if (run.owner->empty()) continue;
      const Description& best = described_[*run.owner];
      const auto [shard, is_new] = shard_at_.try_emplace(best.primary().address.ToString());
      if (is_new) {
        shard->second = builder_.AddShard();
        builder_.AddNode(shard->second, best.primary());
      }
      builder_.AddRange(run.first, run.last, shard->second);
      agreement.epochs[*run.owner] = EpochToKeep(*run.owner);
    }
    for (const auto& [owner, epoch] : agreement.epochs) {
      const Description& best = described_[owner];
      AddNodes(*best.map, best.shard, shard_at_[best.primary().address.ToString()]);
    }
    for (const NodeView* view : views_) AddShardsWithoutSlots(view->map);
    agreement.topology = std::move(builder_).Build();
    agreement.to_ask = std::move(to_ask_);
    return agreement;
  }

  void AddNodes(const Topology& map, uint16_t from, uint16_t to) {
    const Shard& shard = map.shards()[from];
    if (shard.primary != Shard::kNoNode) builder_.AddNode(to, map.nodes()[shard.primary]);
    for (const uint16_t replica : shard.replicas) builder_.AddNode(to, map.nodes()[replica]);
  }

  // A primary that waits for its first slots is a node of the cluster, too.
  void AddShardsWithoutSlots(const Topology& map) {
    for (uint16_t shard = 0; shard < map.shards().size() && !builder_.IsFull(); ++shard) {
      const Node* primary = PrimaryOf(map, shard);
      if (primary == nullptr || builder_.HasNode(primary->address)) continue;
      AddNodes(map, shard, builder_.AddShard());
    }
  }

  const Views views_;
  const size_t asked_;
  const KnownMap known_;
  std::map<Said, std::string> owners_;  // By key; "" is nobody.
  std::map<std::string, Description> described_;
  std::map<std::string, uint16_t> shard_at_;  // By the address of its primary.
  std::vector<OwnedRun> runs_;
  std::vector<NodeAddress> to_ask_;
  TopologyBuilder builder_;
};

void KeepOneOfEach(std::vector<NodeAddress>* addresses) {
  const auto key = [](const NodeAddress& address) { return std::pair(address.host, address.port); };
  std::ranges::sort(*addresses, {}, key);
  addresses->erase(std::unique(addresses->begin(), addresses->end()), addresses->end());
}

}  // namespace

Agreement Agree(const std::vector<NodeView>& views, size_t asked, const KnownMap& known) {
  Views counted = ThatCount(views, asked, known);
  const size_t views_left_out = views.size() - counted.size();
  Agreement agreement;
  if (!counted.empty()) agreement = Agreeing(std::move(counted), asked, known).Run();
  KeepOneOfEach(&agreement.to_ask);
  agreement.views_left_out = views_left_out;
  return agreement;
}

}  // namespace rcproxy::cluster
