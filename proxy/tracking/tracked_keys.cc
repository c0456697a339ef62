#include "proxy/tracking/tracked_keys.h"

#include <glog/logging.h>

#include <set>
#include <utility>

namespace rcproxy::proxy {

TrackedKeys::~TrackedKeys() { CHECK(keys_.empty()); }

void TrackedKeys::Add(KeyReader* reader, std::string_view key, uint16_t slot,
                      UpstreamConnection* link) {
  auto found = keys_.find(key);
  if (found == keys_.end()) {
    auto made = std::make_unique<TrackedKey>(key, slot);
    slots_[slot].PushBack(made.get());
    const std::string_view name = made->name;
    found = keys_.emplace(name, std::move(made)).first;
  }
  TrackedKey* tracked = found->second.get();
  Reading*& reading = reader->readings_[tracked];
  if (reading == nullptr) {
    reading = pool_.New();
    reading->key = tracked;
    reading->reader = reader;
    tracked->readings.PushBack(reading);
    readings_.PushBack(reading);
    ++count_;
  }
  reading->link = link;
}

void TrackedKeys::Take(std::string_view key, std::vector<KeyReader*>* readers) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return;
  const auto& readings = found->second->readings;
  for (Reading* reading = readings.Front(); reading != nullptr;) {
    Reading* next = readings.Next(reading);  // With the last one the key goes, too.
    readers->push_back(reading->reader);
    Remove(reading);
    reading = next;
  }
}

void TrackedKeys::Forget(KeyReader* reader, std::string_view key, const UpstreamConnection* link) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return;
  const auto reading = reader->readings_.find(found->second.get());
  if (reading != reader->readings_.end() && reading->second->link == link) Remove(reading->second);
}

void TrackedKeys::Forget(KeyReader* reader) {
  while (!reader->readings_.empty()) Remove(reader->readings_.begin()->second);
}

std::vector<KeyReader*> TrackedKeys::ReadersOver(const UpstreamConnection* link) const {
  std::set<KeyReader*, ById> readers;
  for (const Reading* r = readings_.Front(); r != nullptr; r = readings_.Next(r)) {
    if (r->link == link) readers.insert(r->reader);
  }
  return {readers.begin(), readers.end()};
}

std::vector<uint16_t> TrackedKeys::Slots() const {
  std::vector<uint16_t> slots;
  for (const auto& [slot, keys] : slots_) slots.push_back(slot);
  return slots;
}

void TrackedKeys::Remove(Reading* reading) {
  TrackedKey* key = reading->key;
  reading->reader->readings_.erase(key);
  reading->ListLink<InTrackedKey>::Unlink();
  reading->ListLink<InOrderOfReading>::Unlink();
  pool_.Delete(reading);
  --count_;
  if (!key->readings.IsEmpty()) return;
  key->ListLink<InSlotOfKeys>::Unlink();
  const auto slot = slots_.find(key->slot);
  if (slot->second.IsEmpty()) slots_.erase(slot);
  keys_.erase(keys_.find(key->name));
}

}  // namespace rcproxy::proxy
