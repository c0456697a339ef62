#include "proxy/operations/slot_keys.h"

#include <array>
#include <random>
#include <string_view>

#include "cluster/hash_slot.h"
#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

struct Tags {
  std::array<uint32_t, cluster::kSlotCount> number_of_slot = {};
  std::string suffix;

  Tags() {
    std::array<bool, cluster::kSlotCount> found = {};
    int missing = cluster::kSlotCount;
    for (uint32_t number = 0; missing > 0; ++number) {
      const uint16_t slot = cluster::HashSlot(std::to_string(number));
      if (found[slot]) continue;
      found[slot] = true;
      number_of_slot[slot] = number;
      --missing;
    }
    std::random_device device;
    suffix = Concat("}rcproxy:", device(), device());
  }
};

}  // namespace

std::string UnusedKeyIn(uint16_t slot) {
  static const Tags* const tags = new Tags();
  return Concat("{", tags->number_of_slot[slot], tags->suffix);
}

}  // namespace rcproxy::proxy
