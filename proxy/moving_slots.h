// Slots that were seen to be in motion a moment ago: a node answered ASK or TRYAGAIN for one of
// their keys. Kept apart from the routing table because a slot in motion still has its old owner.
//
// Owner: Router. Thread: the worker's. Per look-up: one load while nothing moves.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>

#include "cluster/hash_slot.h"
#include "cluster/topology.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class MovingSlots {
 public:
  // A slot counts as moving for one to two times this long after the last sign of it.
  static constexpr int64_t kPeriodNs = 1'000'000'000;

  explicit MovingSlots(uring::TimerQueue& timers)
      : timer_(
            timers, [](void* self) { static_cast<MovingSlots*>(self)->NextPeriod(); }, this) {}

  void Note(uint16_t slot, int64_t now_ns) {
    if (slot >= cluster::kSlotCount) return;  // A node says so of a command without keys.
    now_.set(slot);
    any_ = true;
    if (!timer_.armed()) timer_.Arm(now_ns + kPeriodNs);
  }
  // ASK named `target`: the slot is on its way there.
  void NoteTarget(uint16_t slot, const cluster::NodeAddress& target, int64_t now_ns) {
    targets_[slot] = target;
    Note(slot, now_ns);
  }
  // A node answered TRYAGAIN.
  void NoteTryAgain(uint16_t slot, int64_t now_ns) {
    try_again_since_.try_emplace(slot, now_ns);
    Note(slot, now_ns);
  }
  // For how long nodes have been known to do so; 0: not. For cold paths.
  int64_t TryAgainNs(uint16_t slot, int64_t now_ns) const {
    const auto found = try_again_since_.find(slot);
    return found == try_again_since_.end() || !Has(slot) ? 0 : now_ns - found->second;
  }
  // Where ASK said last that the slot is going; nullptr when nothing is known. For cold paths.
  const cluster::NodeAddress* Target(uint16_t slot) const {
    if (!any_) return nullptr;
    const auto found = targets_.find(slot);
    return found == targets_.end() || !Has(slot) ? nullptr : &found->second;
  }
  // Whether some slot is: the next one to move gives no sign before its first.
  bool HasAny() const { return any_; }
  bool Has(uint16_t slot) const { return any_ && (now_[slot] || before_[slot]); }

 private:
  void NextPeriod() {
    before_ = now_;
    now_.reset();
    any_ = before_.any();
    const auto is_over = [this](const auto& entry) { return !before_[entry.first]; };
    std::erase_if(targets_, is_over);
    std::erase_if(try_again_since_, is_over);
    if (any_) timer_.Arm(timer_.deadline_ns() + kPeriodNs);
  }

  bool any_ = false;
  std::bitset<cluster::kSlotCount> now_;
  std::bitset<cluster::kSlotCount> before_;
  std::map<uint16_t, cluster::NodeAddress> targets_;
  std::map<uint16_t, int64_t> try_again_since_;
  uring::Timer timer_;
};

}  // namespace rcproxy::proxy
