#include "proxy/operations/keys.h"

#include <gtest/gtest.h>

#include <string_view>

#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

class KeysTest : public testing::Test, public OperationsForTest {
 protected:
  // Asks, and lets the nodes have the question.
  void BeginKeys(std::string_view line) {
    ASSERT_TRUE(Begin(line));
    AnswerGreetings();
  }
};

TEST_F(KeysTest, TheKeysOfAllPrimariesAreOneArray) {
  BeginKeys("KEYS x*");
  for (NodeForTest* node : {&a, &b, &c}) EXPECT_EQ(node->Take(), Wire("KEYS x*"));
  Reply(c, "*1\r\n$2\r\nx3\r\n");
  Reply(a, "*2\r\n$2\r\nx1\r\n$2\r\nx2\r\n");
  EXPECT_FALSE(client.HasOutput());
  Reply(b, "*0\r\n");
  EXPECT_EQ(client.Take(), "*3\r\n$2\r\nx1\r\n$2\r\nx2\r\n$2\r\nx3\r\n");
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
  EXPECT_EQ(client.replies.in_flight(), 0u);
  EXPECT_EQ(client.replies.bytes(), 0u);
  EXPECT_TRUE(Send("GET b"));
}

TEST_F(KeysTest, WithoutAPrimaryItIsAnError) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {}));
  EXPECT_EQ(Ask("KEYS *"), kErrorSlotNotServed);
}

TEST_F(KeysTest, AHashTagIsForOneNode) {
  BeginKeys("KEYS {b}*");
  EXPECT_EQ(a.Take(), Wire("KEYS {b}*"));
  EXPECT_FALSE(b.HasInput());
  EXPECT_FALSE(c.HasInput());
  Reply(a, "*1\r\n$4\r\n{b}1\r\n");
  EXPECT_EQ(client.Take(), "*1\r\n$4\r\n{b}1\r\n");
}

TEST(SlotOfPatternTest, NeedsAWholeTagOfPlainCharacters) {
  EXPECT_EQ(SlotOfPattern("{user}:*"), cluster::HashSlot("user"));
  EXPECT_EQ(SlotOfPattern("x{user}[ab]"), cluster::HashSlot("user"));
  EXPECT_EQ(SlotOfPattern("{user}"), cluster::HashSlot("user"));
  for (const char* pattern :
       {"*", "user", "{user*}", "*{user}", "{}*", "{us\\er}*", "}{user", ""}) {
    EXPECT_EQ(SlotOfPattern(pattern), -1) << pattern;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
