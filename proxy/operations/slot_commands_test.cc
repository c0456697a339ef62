#include "proxy/operations/slot_commands.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

class SlotCommandsTest : public testing::Test, public OperationsForTest {
 protected:
  SlotCommandsTest() { sim.config.face = Face::kCluster; }
};

TEST_F(SlotCommandsTest, TheOwnerCountsAndLists) {
  Begin("CLUSTER COUNTKEYSINSLOT 5461");
  EXPECT_EQ(b.Take(), Wire("CLUSTER COUNTKEYSINSLOT 5461"));
  Reply(b, ":7\r\n");
  EXPECT_EQ(client.Take(), ":7\r\n");
  Begin("CLUSTER GETKEYSINSLOT 16383 -1");
  EXPECT_EQ(c.Take(), Wire("CLUSTER GETKEYSINSLOT 16383 -1"));
  Reply(c, "-ERR Invalid slot or number of keys\r\n");
  EXPECT_EQ(client.Take(), "-ERR Invalid slot or number of keys\r\n");
}

TEST_F(SlotCommandsTest, ASlotThatThereIsNotHasNoOwner) {
  for (const char* slot : {"16384", "-1", "9223372036854775807"}) {
    EXPECT_EQ(Ask(std::string("CLUSTER COUNTKEYSINSLOT ") + slot), "-ERR Invalid slot\r\n");
    EXPECT_EQ(Ask(std::string("CLUSTER GETKEYSINSLOT ") + slot + " 1"),
              "-ERR Invalid slot or number of keys\r\n");
  }
  for (const char* slot : {"x", "1.0", "99999999999999999999", "''"}) {
    EXPECT_EQ(Ask(std::string("CLUSTER COUNTKEYSINSLOT ") + slot),
              "-ERR value is not an integer or out of range\r\n");
  }
}

TEST_F(SlotCommandsTest, OneServerHasNoSlots) {
  sim.config.face = Face::kStandalone;
  EXPECT_EQ(Ask("CLUSTER COUNTKEYSINSLOT 1"),
            "-ERR This instance has cluster support disabled\r\n");
  EXPECT_EQ(Ask("CLUSTER GETKEYSINSLOT 1 1"),
            "-ERR This instance has cluster support disabled\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
