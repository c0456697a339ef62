// a is of node C, b of node A.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/errors.h"
#include "proxy/operations/cross_slot.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

class CrossSlotSortedSetsTest : public testing::Test, public OperationsForTest {
 protected:
  CrossSlotSortedSetsTest() {
    sim.config.cross_slot = CrossSlot::kCompute;
    OpenAll();
  }

  static std::string List(std::string_view line) {
    const std::vector<std::string> words = cluster::Words(line);
    std::string reply = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) reply += Bulk(word);
    return reply;
  }
  // The reply to `line` when a and b hold these members and scores.
  std::string Compute(std::string_view line, std::string_view of_a, std::string_view of_b) {
    EXPECT_TRUE(Begin(line));
    const std::string info = Bulk("redis_version:7.0.15\r\n");
    // The node that is asked for its version changes.
    struct Asked {
      NodeForTest& node;
      std::string text;
    } asked[] = {{c, List(of_a)}, {a, List(of_b)}, {b, ""}};
    for (Asked& one : asked) {
      const bool version = one.node.Take().find("INFO") != std::string::npos;
      if (!(one.text + (version ? info : "")).empty()) {
        Reply(one.node, one.text + (version ? info : ""));
      }
    }
    return client.Take();
  }
};

TEST_F(CrossSlotSortedSetsTest, ScoresAreAddedUp) {
  EXPECT_EQ(Compute("ZUNION 2 a b WITHSCORES", "x 1 y 2", "y 3 z 0.5"), List("z 0.5 x 1 y 5"));
  EXPECT_EQ(Compute("ZUNION 2 a b", "x 1 y 2", "y 3 z 0.5"), List("z x y"));
}

TEST_F(CrossSlotSortedSetsTest, WeightsAndAggregates) {
  EXPECT_EQ(Compute("ZUNION 2 a b WEIGHTS 2 -1 WITHSCORES", "x 1 y 2", "y 3"), List("y 1 x 2"));
  EXPECT_EQ(Compute("ZUNION 2 a b AGGREGATE max WITHSCORES", "x 1 y 2", "y 3"), List("x 1 y 3"));
  EXPECT_EQ(Compute("ZINTER 2 a b AGGREGATE MIN WITHSCORES", "x 1 y 2", "y 3"), List("y 2"));
  EXPECT_EQ(Compute("ZUNION 2 a b WITHSCORES", "x inf", "x -inf"), List("x 0"));
  EXPECT_EQ(Compute("ZUNION 2 a b WEIGHTS 0 1 WITHSCORES", "x inf", "x 1"), List("x 1"));
}

TEST_F(CrossSlotSortedSetsTest, EqualScoresAreInTheOrderOfMembers) {
  EXPECT_EQ(Compute("ZUNION 2 a b", "b 1 d 1", "a 1 c 1"), List("a b c d"));
}

TEST_F(CrossSlotSortedSetsTest, Differences) {
  EXPECT_EQ(Compute("ZDIFF 2 a b WITHSCORES", "x 1.5 y 2", "y 3"), List("x 1.5"));
}

TEST_F(CrossSlotSortedSetsTest, Cardinalities) {
  EXPECT_EQ(Compute("ZINTERCARD 2 a b", "x 1 y 2", "y 3 x 1"), ":2\r\n");
  EXPECT_EQ(Compute("ZINTERCARD 2 a b LIMIT 1", "x 1 y 2", "y 3 x 1"), ":1\r\n");
}

TEST_F(CrossSlotSortedSetsTest, AKeyThatIsNamedTwiceIsFetchedOnce) {
  ASSERT_TRUE(Begin("ZINTER 3 a b a"));
  EXPECT_EQ(c.Take(), Wire("ZUNION 1 a WITHSCORES"));
  Reply(c, List("x 1"));
  Reply(a, List("x 5"));
  EXPECT_EQ(client.Take(), List("x"));
}

TEST_F(CrossSlotSortedSetsTest, Resp3HasPairsAndDoubles) {
  protocol = resp::Protocol::kResp3;
  ASSERT_TRUE(Begin("ZDIFF 2 a b"));
  Reply(c, "*1\r\n*2\r\n$1\r\nx\r\n,1.5\r\n");
  Reply(a, "*0\r\n");
  EXPECT_EQ(client.Take(), "*1\r\n$1\r\nx\r\n");
}

TEST_F(CrossSlotSortedSetsTest, WrongOptionsAreForANodeToRefuse) {
  for (const char* options : {"WEIGHTS 1", "WEIGHTS 1 x", "AGGREGATE avg", "LIMIT 1"}) {
    ASSERT_TRUE(Begin(std::string("ZUNION 2 a b ") + options));
    EXPECT_EQ(c.Take(), Wire(std::string("ZUNION 2 a a ") + options));
    Reply(c, "-ERR syntax error\r\n");
    Reply(a, "-ERR syntax error\r\n");
    EXPECT_EQ(client.Take(), "-ERR syntax error\r\n");
  }
  ASSERT_TRUE(Begin("ZUNION 2 a b WEIGHTS 1"));
  Reply(c, "-ERR syntax error\r\n");
  Reply(a, "-WRONGTYPE no\r\n");
  EXPECT_EQ(client.Take(), "-WRONGTYPE no\r\n") << "which the server sees before the options";
}

}  // namespace
}  // namespace rcproxy::proxy
