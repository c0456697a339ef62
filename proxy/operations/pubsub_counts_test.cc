#include "proxy/operations/pubsub_counts.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"
#include "proxy/pubsub/channel_use.h"

namespace rcproxy::proxy {
namespace {

class PubSubCountsTest : public testing::Test, public OperationsForTest {
 protected:
  // What the client gets when the workers, and then the nodes, answer this.
  std::string Counted(std::string_view line, const std::vector<ChannelUse>& of_first,
                      const std::vector<ChannelUse>& of_second, std::string_view of_a,
                      std::string_view of_b, std::string_view of_c) {
    Begin(line);
    EXPECT_EQ(a.Take(), "") << "the workers are asked first";
    const std::string first = EncodeChannelUses(of_first);
    const std::string second = EncodeChannelUses(of_second);
    const std::string_view answers[] = {first, second};
    router.Resume(workers.asked, answers);
    sim.RunFor(sim::kMillisecond);
    for (NodeForTest* node : {&a, &b, &c}) EXPECT_EQ(node->Take(), Wire(line));
    Reply(a, of_a);
    Reply(b, of_b);
    Reply(c, of_c);
    return client.Take();
  }
  std::string AddressOfA() { return table.Find(0).primary->address().ToString(); }
};

TEST_F(PubSubCountsTest, ClientsOfAllWorkersAndThoseOfNodes) {
  EXPECT_EQ(Counted("PUBSUB NUMSUB x y", {{"x", 3, {AddressOfA()}}}, {{"x", 4, {AddressOfA()}}},
                    "*4\r\n+x\r\n:5\r\n+y\r\n:0\r\n", "*4\r\n+x\r\n:0\r\n+y\r\n:2\r\n",
                    "*4\r\n+x\r\n:1\r\n+y\r\n:0\r\n"),
            "*4\r\n$1\r\nx\r\n:11\r\n$1\r\ny\r\n:2\r\n");
}

TEST_F(PubSubCountsTest, ASubscriptionThatTheNodeDoesNotCountAnyMore) {
  EXPECT_EQ(Counted("PUBSUB SHARDNUMSUB x", {{"x", 1, {AddressOfA()}}}, {}, "*2\r\n+x\r\n:0\r\n",
                    "*2\r\n+x\r\n:0\r\n", "*2\r\n+x\r\n:0\r\n"),
            "*2\r\n$1\r\nx\r\n:1\r\n");
}

TEST_F(PubSubCountsTest, APatternOfSeveralWorkersIsOne) {
  const std::string node = AddressOfA();
  EXPECT_EQ(Counted("PUBSUB NUMPAT", {{"a*", 3, {node}}, {"b*", 1, {node}}}, {{"a*", 1, {node}}},
                    ":3\r\n", ":1\r\n", ":0\r\n"),
            ":4\r\n");
}

TEST_F(PubSubCountsTest, NoNames) {
  EXPECT_EQ(Ask("PUBSUB NUMSUB"), "*0\r\n");
  EXPECT_EQ(Ask("PUBSUB SHARDNUMSUB"), "*0\r\n");
}

TEST_F(PubSubCountsTest, AnswersOfOtherShapesAndErrors) {
  EXPECT_EQ(Counted("PUBSUB NUMSUB x", {}, {}, "*2\r\n+x\r\n:1\r\n", "*0\r\n", "*0\r\n"),
            kErrorUnexpectedPart);
  EXPECT_EQ(Counted("PUBSUB NUMSUB x", {}, {}, "*2\r\n+x\r\n+y\r\n", "*0\r\n", "*0\r\n"),
            kErrorUnexpectedPart);
  EXPECT_EQ(Counted("PUBSUB NUMPAT", {}, {}, ":1\r\n", "+x\r\n", ":0\r\n"), kErrorUnexpectedPart);
  EXPECT_EQ(Counted("PUBSUB NUMPAT", {}, {}, ":1\r\n", "-ERR no\r\n", ":0\r\n"), "-ERR no\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
