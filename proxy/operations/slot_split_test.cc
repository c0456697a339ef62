// a and foo are of node C, b and f of node A (in slots of their own), c of node B.
#include "proxy/operations/slot_split.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/errors.h"
#include "proxy/operations/operation_text.h"
#include "proxy/operations/operations_for_test.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

class SlotSplitTest : public testing::Test, public OperationsForTest {
 protected:
  // The entries of a stream, as a node gives them.
  static std::string Entries(std::string_view id) {
    return "*1\r\n*2\r\n" + Bulk(id) + "*2\r\n" + Bulk("f") + Bulk("v");
  }
};

TEST_F(SlotSplitTest, StreamsComeInTheOrderOfTheKeys) {
  ASSERT_TRUE(Begin("XREAD COUNT 2 STREAMS b a {b}2 c 1 2 3 $"));
  EXPECT_EQ(a.Take(), Wire("XREAD COUNT 2 STREAMS b {b}2 1 3"));
  EXPECT_EQ(b.Take(), Wire("XREAD COUNT 2 STREAMS c $"));
  EXPECT_EQ(c.Take(), Wire("XREAD COUNT 2 STREAMS a 2"));
  const std::string of_b = "*2\r\n" + Bulk("b") + Entries("1-1");
  const std::string of_b2 = "*2\r\n" + Bulk("{b}2") + Entries("4-1");
  const std::string of_a = "*2\r\n" + Bulk("a") + Entries("2-1");
  Reply(c, "*1\r\n" + of_a);
  Reply(b, "*-1\r\n");
  Reply(a, "*2\r\n" + of_b + of_b2);
  EXPECT_EQ(client.Take(), "*3\r\n" + of_b + of_a + of_b2);
}

TEST_F(SlotSplitTest, StreamsAreAMapInResp3) {
  protocol = resp::Protocol::kResp3;
  ASSERT_TRUE(Begin("XREAD STREAMS b a c 0 0 0"));
  Reply(c, "%1\r\n" + Bulk("a") + Entries("2-1"));
  Reply(b, "_\r\n");
  Reply(a, "%1\r\n" + Bulk("b") + Entries("1-1"));
  EXPECT_EQ(client.Take(), "%2\r\n" + Bulk("b") + Entries("1-1") + Bulk("a") + Entries("2-1"));
}

TEST_F(SlotSplitTest, NothingNewIsNull) {
  ASSERT_TRUE(Begin("XREAD STREAMS b a 0 0"));
  Reply(a, "*-1\r\n");
  Reply(c, "*-1\r\n");
  EXPECT_EQ(client.Take(), "*-1\r\n");
  protocol = resp::Protocol::kResp3;
  ASSERT_TRUE(Begin("XREAD STREAMS b a 0 0"));
  Reply(a, "_\r\n");
  Reply(c, "_\r\n");
  EXPECT_EQ(client.Take(), "_\r\n");
}

TEST_F(SlotSplitTest, AGroupReadsEachStreamOnce) {
  ASSERT_TRUE(Begin("XREADGROUP GROUP count noack COUNT 1 NOACK STREAMS b a > >"));
  EXPECT_EQ(a.Take(), Wire("XREADGROUP GROUP count noack COUNT 1 NOACK STREAMS b >"));
  EXPECT_EQ(c.Take(), Wire("XREADGROUP GROUP count noack COUNT 1 NOACK STREAMS a >"));
  Reply(a, "*1\r\n*2\r\n" + Bulk("b") + Entries("1-1"));
  c.peer().Close();
  Settle();
  EXPECT_EQ(client.Take(),
            "-ERR upstream lost: the node's connection broke after the command was "
            "sent, it may or may not have been executed (a part: of 2 parts 1 done, "
            "0 failed, 1 unknown)\r\n");
  EXPECT_FALSE(c.HasInput());
}

TEST_F(SlotSplitTest, AMissingIdIsTheNodesToSay) {
  ASSERT_TRUE(Begin("XREAD STREAMS b a c 0 0"));
  EXPECT_EQ(a.Take(), Wire("XREAD STREAMS b b b b b"));
  Reply(a, "-ERR Unbalanced\r\n");
  EXPECT_EQ(client.Take(), "-ERR Unbalanced\r\n");
  EXPECT_FALSE(c.HasInput());
}

// They would be about each part instead of all of it.
TEST_F(SlotSplitTest, UnknownOptionsAreNotSplit) {
  EXPECT_FALSE(Begin("XREAD MAXCOUNT 5 STREAMS a b 0 0"));
  EXPECT_FALSE(Begin("XREAD BLOCK 0 STREAMS a b 0 0"));
  EXPECT_FALSE(Begin("MSETEX 2 a 1 b 2 SOON"));
  EXPECT_FALSE(Begin("MSETEX 2 a 1 b 2 KEEPTTL EX 3"));
  EXPECT_FALSE(Begin("TS.MADD a 1 1 b 2"));
}

TEST_F(SlotSplitTest, ValuesThatExpireAreWrittenBySlot) {
  ASSERT_TRUE(Begin("MSETEX 3 b 1 a 2 {b}2 3 KEEPTTL"));
  EXPECT_EQ(a.Take(), Wire("MSETEX 2 b 1 {b}2 3 KEEPTTL"));
  EXPECT_EQ(c.Take(), Wire("MSETEX 1 a 2 KEEPTTL"));
  Reply(a, ":1\r\n");
  EXPECT_FALSE(client.HasOutput());
  Reply(c, ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(SlotSplitTest, TheyExpireAtOneTime) {
  const int64_t before_ms = absl::ToUnixMillis(absl::Now());
  ASSERT_TRUE(Begin("MSETEX 2 b 1 a 2 ex 100"));
  const std::string sent = a.Take();
  const size_t at = sent.find("PXAT\r\n");
  ASSERT_NE(at, std::string::npos) << sent;
  const std::string_view time = TextOf(std::string_view(sent).substr(at + 6));
  int64_t expires_ms = 0;
  ASSERT_TRUE(resp::ParseStrictInteger(time, &expires_ms));
  EXPECT_GE(expires_ms, before_ms + 100'000);
  EXPECT_LE(expires_ms, absl::ToUnixMillis(absl::Now()) + 100'000);
  EXPECT_EQ(c.Take(), Wire("MSETEX 1 a 2 PXAT " + std::string(time)));
  Reply(a, ":1\r\n");
  Reply(c, ":1\r\n");
}

TEST_F(SlotSplitTest, WhatIsNoTimeTheNodesRefuse) {
  for (const std::string expiry : {"EX 0", "PX x", "EX 9223372036854775807", "PXAT 5"}) {
    ASSERT_TRUE(Begin("MSETEX 2 b 1 a 2 " + expiry));
    EXPECT_EQ(a.Take(), Wire("MSETEX 1 b 1 " + expiry));
    c.Take();
    Reply(a, "-ERR invalid expire time in 'msetex' command\r\n");
    Reply(c, "-ERR invalid expire time in 'msetex' command\r\n");
    EXPECT_EQ(client.Take(), "-ERR invalid expire time in 'msetex' command\r\n");
  }
}

// All or nothing can not be split.
TEST_F(SlotSplitTest, ConditionsAreNotSplit) {
  EXPECT_FALSE(Begin("MSETEX 2 a 1 b 2 NX"));
  EXPECT_FALSE(Begin("MSETEX 2 a 1 b 2 EX 5 xx"));
}

TEST_F(SlotSplitTest, AWriteThatWasDoneInPartSaysSo) {
  ASSERT_TRUE(Begin("MSETEX 2 b 1 a 2"));
  Reply(a, "-OOM full\r\n");
  Reply(c, ":1\r\n");
  EXPECT_EQ(client.Take(), "-OOM full (a part: of 2 parts 1 done, 1 failed, 0 unknown)\r\n");
}

TEST_F(SlotSplitTest, ModulesCommandsOfSeveralKeys) {
  ASSERT_TRUE(Begin("JSON.MGET b a {b}2 b $.x"));
  EXPECT_EQ(a.Take(), Wire("JSON.MGET b {b}2 b $.x"));
  EXPECT_EQ(c.Take(), Wire("JSON.MGET a $.x"));
  Reply(a, "*3\r\n" + Bulk("[1]") + "$-1\r\n" + Bulk("[1]"));
  Reply(c, "*1\r\n" + Bulk("[2]"));
  EXPECT_EQ(client.Take(), "*4\r\n" + Bulk("[1]") + Bulk("[2]") + "$-1\r\n" + Bulk("[1]"));

  ASSERT_TRUE(Begin("TS.MADD a 1 1.5 b 2 2.5"));
  EXPECT_EQ(a.Take(), Wire("TS.MADD b 2 2.5"));
  EXPECT_EQ(c.Take(), Wire("TS.MADD a 1 1.5"));
  Reply(a, "*1\r\n-ERR TSDB: the key does not exist\r\n");
  Reply(c, "*1\r\n:1\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n:1\r\n-ERR TSDB: the key does not exist\r\n");

  ASSERT_TRUE(Begin("JSON.MSET a $ 1 b $.x 2"));
  EXPECT_EQ(a.Take(), Wire("JSON.MSET b $.x 2"));
  EXPECT_EQ(c.Take(), Wire("JSON.MSET a $ 1"));
  Reply(a, "+OK\r\n");
  Reply(c, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(SlotSplitTest, WhatIsNoAnswerIsAnError) {
  ASSERT_TRUE(Begin("JSON.MGET b a $"));
  Reply(a, "*2\r\n$-1\r\n$-1\r\n");
  Reply(c, "*1\r\n$-1\r\n");
  EXPECT_EQ(client.Take(), kErrorUnexpectedPart);
  ASSERT_TRUE(Begin("XREAD STREAMS b a 0 0"));
  Reply(a, ":1\r\n");
  Reply(c, "*-1\r\n");
  EXPECT_EQ(client.Take(), kErrorUnexpectedPart);
}

TEST_F(SlotSplitTest, NotWhenNothingIsSplit) {
  sim.config.cross_slot = CrossSlot::kStrict;
  EXPECT_FALSE(Begin("XREAD STREAMS a b 0 0"));
}

}  // namespace
}  // namespace rcproxy::proxy
