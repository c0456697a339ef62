// a is of node C, b of node A.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "proxy/operations/cross_slot.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

class CrossSlotStringsTest : public testing::Test, public OperationsForTest {
 protected:
  CrossSlotStringsTest() { sim.config.cross_slot = CrossSlot::kCompute; }

  std::string Compute(std::string_view line, std::string_view of_a, std::string_view of_b) {
    EXPECT_TRUE(Begin(line));
    EXPECT_EQ(c.Take(), Wire("GET a"));
    EXPECT_EQ(a.Take(), Wire("GET b"));
    Reply(c, of_a);
    Reply(a, of_b);
    return client.Take();
  }
};

TEST_F(CrossSlotStringsTest, CommonSubsequences) {
  const std::string a = Bulk("ohmytext");
  const std::string b = Bulk("mynewtext");
  EXPECT_EQ(Compute("LCS a b", a, b), Bulk("mytext"));
  EXPECT_EQ(Compute("LCS a b LEN", a, b), ":6\r\n");
  EXPECT_EQ(Compute("LCS a b LEN", a, "$-1\r\n"), ":0\r\n");
  EXPECT_EQ(Compute("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", a, b),
            "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
            "$3\r\nlen\r\n:6\r\n");
}

TEST_F(CrossSlotStringsTest, OnlyStringsHaveSubsequences) {
  EXPECT_EQ(Compute("LCS a b", "-WRONGTYPE no\r\n", Bulk("x")),
            "-ERR The specified keys must contain string values\r\n");
}

TEST_F(CrossSlotStringsTest, ATableThatIsTooLargeIsRefused) {
  sim.config.compute_bytes_max = 100;
  EXPECT_EQ(Compute("LCS a b", Bulk("12345"), Bulk("12345")),
            "-ERR cross-slot: LCS of 5 and 5 bytes takes more than --compute_bytes_max allows\r\n");
}

TEST_F(CrossSlotStringsTest, LengthAndIndexesExcludeEachOther) {
  ASSERT_TRUE(Begin("LCS a b LEN IDX"));
  EXPECT_EQ(c.Take(), Wire("LCS a a LEN IDX"));
  Reply(a, "-ERR please just use IDX.\r\n");
  Reply(c, "-ERR please just use IDX.\r\n");
  EXPECT_EQ(client.Take(), "-ERR please just use IDX.\r\n");
}

TEST_F(CrossSlotStringsTest, Counts) {
  EXPECT_EQ(Compute("PFCOUNT a b", "$-1\r\n", "$-1\r\n"), ":0\r\n");
  EXPECT_EQ(Compute("PFCOUNT a b", Bulk("x"), "$-1\r\n"),
            "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n");
  EXPECT_EQ(Compute("PFCOUNT a b", Bulk("HYLL\x01" + std::string(11, 'x')), "$-1\r\n"),
            "-INVALIDOBJ Corrupted HLL object detected\r\n");
  EXPECT_EQ(Compute("PFCOUNT a b", "-WRONGTYPE no\r\n", "$-1\r\n"), "-WRONGTYPE no\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
