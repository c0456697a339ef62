// a is of node C, b of node A, c of node B.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "proxy/operations/cross_slot.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

class CrossSlotSetsTest : public testing::Test, public OperationsForTest {
 protected:
  CrossSlotSetsTest() { sim.config.cross_slot = CrossSlot::kCompute; }

  static std::string Set(std::string_view members) {
    std::string reply = "*" + std::to_string(members.size()) + "\r\n";
    for (const char member : members) reply += Bulk(std::string(1, member));
    return reply;
  }
};

TEST_F(CrossSlotSetsTest, AUnionIsUnited) {
  ASSERT_TRUE(Begin("SUNION a b {a}2"));
  EXPECT_EQ(c.Take(), Wire("SUNION a {a}2"));
  EXPECT_EQ(a.Take(), Wire("SUNION b"));
  Reply(c, Set("xy"));
  Reply(a, Set("yz"));
  EXPECT_EQ(client.Take(), Set("xyz"));
}

TEST_F(CrossSlotSetsTest, AnIntersectionIsReducedByEachNode) {
  ASSERT_TRUE(Begin("SINTER a b {a}2"));
  EXPECT_EQ(c.Take(), Wire("SINTER a {a}2"));
  EXPECT_EQ(a.Take(), Wire("SINTER b"));
  Reply(c, Set("wxy"));
  Reply(a, Set("xyz"));
  EXPECT_EQ(client.Take(), Set("xy"));
}

TEST_F(CrossSlotSetsTest, WhatIsTakenAwayIsUnited) {
  ASSERT_TRUE(Begin("SDIFF a b {a}2 {b}2"));
  EXPECT_EQ(c.Take(), Wire("SDIFF a {a}2"));
  EXPECT_EQ(a.Take(), Wire("SUNION b {b}2"));
  Reply(c, Set("wxy"));
  Reply(a, Set("xz"));
  EXPECT_EQ(client.Take(), Set("wy"));
}

TEST_F(CrossSlotSetsTest, ACardinalityStopsAtTheLimit) {
  for (const auto& [line, count] :
       {std::pair("SINTERCARD 2 a b", ":2\r\n"), std::pair("SINTERCARD 2 a b LIMIT 1", ":1\r\n"),
        std::pair("SINTERCARD 2 a b LIMIT 0", ":2\r\n"), std::pair("SUNIONCARD 2 a b", ":4\r\n"),
        std::pair("SUNIONCARD 2 a b limit 3 approx", ":3\r\n"),
        std::pair("SUNIONCARD 2 a b APPROX LIMIT 9", ":4\r\n"),
        std::pair("SDIFFCARD 2 a b", ":1\r\n"), std::pair("SDIFFCARD 2 a b LIMIT 5", ":1\r\n")}) {
    ASSERT_TRUE(Begin(line));
    Reply(c, Set("wxy"));
    Reply(a, Set("xyz"));
    EXPECT_EQ(client.Take(), count) << line;
  }
}

TEST_F(CrossSlotSetsTest, WrongOptionsAreForANodeToRefuse) {
  ASSERT_TRUE(Begin("SINTERCARD 2 a b LIMIT -1"));
  EXPECT_EQ(c.Take(), Wire("SINTERCARD 2 a a LIMIT -1"));
  EXPECT_EQ(a.Take(), Wire("SINTERCARD 2 b b LIMIT -1"));
  Reply(c, "-ERR LIMIT can't be negative\r\n");
  Reply(a, "-ERR LIMIT can't be negative\r\n");
  EXPECT_EQ(client.Take(), "-ERR LIMIT can't be negative\r\n");
  ASSERT_TRUE(Begin("SINTERCARD 2-0 a b"));
  Reply(c, "-ERR numkeys should be greater than 0\r\n");
  Reply(a, "-ERR numkeys should be greater than 0\r\n");
  EXPECT_EQ(client.Take(), "-ERR numkeys should be greater than 0\r\n");
  for (const char* line : {"SINTERCARD 2 a b NEWER 1", "SDIFFCARD 2 a b APPROX"}) {
    ASSERT_TRUE(Begin(line));
    Reply(c, ":1\r\n");
    Reply(a, ":1\r\n");
    EXPECT_EQ(client.Take(), kErrorCrossSlot) << "the node knows an option that rcproxy does not";
  }
}

TEST_F(CrossSlotSetsTest, Resp3HasSets) {
  protocol = resp::Protocol::kResp3;
  ASSERT_TRUE(Begin("SUNION a b"));
  Reply(c, "~1\r\n$1\r\nx\r\n");
  Reply(a, "~0\r\n");
  EXPECT_EQ(client.Take(), "~1\r\n$1\r\nx\r\n");
}

TEST_F(CrossSlotSetsTest, AnErrorIsTheReply) {
  ASSERT_TRUE(Begin("SUNION a b"));
  Reply(c, Set("x"));
  Reply(a, "-WRONGTYPE no set\r\n");
  EXPECT_EQ(client.Take(), "-WRONGTYPE no set\r\n");
}

TEST_F(CrossSlotSetsTest, NotMoreThanTheLimitIsFetched) {
  sim.config.compute_bytes_max = 20;
  ASSERT_TRUE(Begin("SUNION a b"));
  Reply(c, Set("vwxyz"));
  Reply(a, Set("x"));
  EXPECT_EQ(client.Take(),
            "-ERR cross-slot: the keys hold 50 bytes, more than --compute_bytes_max allows\r\n");
}

TEST_F(CrossSlotSetsTest, WhatStoresIsNotComputed) {
  EXPECT_FALSE(Begin("SUNIONSTORE a b c"));
  EXPECT_FALSE(Begin("RENAME a b"));
}

}  // namespace
}  // namespace rcproxy::proxy
