// Which client has read which key, and over which connection: whom to tell when it changes.
//
//   KeyReader ──< Reading >── TrackedKey (in the list of its slot)
//
// Told once: what is taken out here is forgotten, until it is read again.
//
// Owner: Tracking. Thread: the worker's.
// Invariants: 1. there is one Reading for each client and key; 2. a TrackedKey has at least one; 3.
// a KeyReader is destroyed without any (Forget). Per read: two look-ups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "uring/intrusive_list.h"
#include "uring/object_pool.h"

namespace rcproxy::proxy {

class KeyReader;
class UpstreamConnection;
struct TrackedKey;

struct Reading : ListLink<struct InTrackedKey>, ListLink<struct InOrderOfReading> {
  TrackedKey* key = nullptr;
  KeyReader* reader = nullptr;
  // Where its node would tell of a change. Only compared here.
  UpstreamConnection* link = nullptr;
};

struct TrackedKey : ListLink<struct InSlotOfKeys> {
  TrackedKey(std::string_view name, uint16_t slot) : name(name), slot(slot) {}

  const std::string name;
  const uint16_t slot;
  IntrusiveList<Reading, InTrackedKey> readings;
};

// A client, as far as it reads keys.
class KeyReader {
 public:
  // Of those there are, none has the same `id`.
  explicit KeyReader(int64_t id) : id_(id) {}

  int64_t id() const { return id_; }
  bool HasReadings() const { return !readings_.empty(); }

 protected:
  ~KeyReader() = default;

 private:
  friend class TrackedKeys;
  const int64_t id_;
  std::unordered_map<const TrackedKey*, Reading*> readings_;
};

class TrackedKeys {
 public:
  // Who came first hears first: what happens does not depend on where readers lie in memory.
  struct ById {
    bool operator()(const KeyReader* a, const KeyReader* b) const { return a->id() < b->id(); }
  };
  // Keys of some readers.
  using KeysOfReaders = std::map<KeyReader*, std::vector<std::string>, ById>;

  TrackedKeys() = default;
  ~TrackedKeys();  // Requires: empty.

  // `reader` has read `key` over `link`; where it had before is forgotten.
  void Add(KeyReader* reader, std::string_view key, uint16_t slot, UpstreamConnection* link);
  // Forgets `key`; its readers are added to `readers`.
  void Take(std::string_view key, std::vector<KeyReader*>* readers);
  // Of the key that was read first of all. Requires: not empty.
  std::string Oldest() const { return readings_.Front()->key->name; }
  // What `reader` has read of `key` over `link` is forgotten.
  void Forget(KeyReader* reader, std::string_view key, const UpstreamConnection* link);
  // All that `reader` has read is forgotten.
  void Forget(KeyReader* reader);
  // Those who have read something over `link`.
  std::vector<KeyReader*> ReadersOver(const UpstreamConnection* link) const;
  // Forgets readings of `slot` but those for which `stays(link)`.
  template <class F>
  void TakeSlot(uint16_t slot, F&& stays, KeysOfReaders* taken);
  // Slots that have keys.
  std::vector<uint16_t> Slots() const;

  size_t keys() const { return keys_.size(); }
  size_t readings() const { return count_; }

 private:
  using SlotOfKeys = IntrusiveList<TrackedKey, InSlotOfKeys>;

  void Remove(Reading* reading);

  std::unordered_map<std::string_view, std::unique_ptr<TrackedKey>> keys_;
  std::unordered_map<uint16_t, SlotOfKeys> slots_;
  IntrusiveList<Reading, InOrderOfReading> readings_;
  size_t count_ = 0;
  ObjectPool<Reading> pool_;
};

template <class F>
void TrackedKeys::TakeSlot(uint16_t slot, F&& stays, KeysOfReaders* taken) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return;
  std::vector<Reading*> leaving;
  for (TrackedKey* key = found->second.Front(); key != nullptr; key = found->second.Next(key)) {
    for (Reading* r = key->readings.Front(); r != nullptr; r = key->readings.Next(r)) {
      if (!stays(r->link)) leaving.push_back(r);
    }
  }
  for (Reading* reading : leaving) {
    (*taken)[reading->reader].push_back(reading->key->name);
    Remove(reading);
  }
}

}  // namespace rcproxy::proxy
