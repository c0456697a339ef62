#include "proxy/operations/slot_keys.h"

#include <gtest/gtest.h>

#include "cluster/hash_slot.h"

namespace rcproxy::proxy {
namespace {

TEST(SlotKeysTest, EverySlotHasAKeyOfItsOwn) {
  for (int slot = 0; slot < cluster::kSlotCount; ++slot) {
    ASSERT_EQ(cluster::HashSlot(UnusedKeyIn(slot)), slot);
  }
}

TEST(SlotKeysTest, TheKeyDoesNotChange) { EXPECT_EQ(UnusedKeyIn(7), UnusedKeyIn(7)); }

}  // namespace
}  // namespace rcproxy::proxy
