#include "proxy/node_use.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rcproxy::proxy {
namespace {

TEST(NodeUseTest, WorkersAreAddedUp) {
  const std::string first = EncodeNodeUse("10.0.0.1:7000", {.connections = 1, .requests = 3}) +
                            EncodeNodeUse("10.0.0.2:7000", {.is_failing = true});
  const std::string second = EncodeNodeUse("10.0.0.1:7000", {.connections = 2, .requests = 4}) +
                             EncodeNodeUse("10.0.0.2:7000", {.connections = 1});
  const std::string_view answers[] = {first, "", second};
  const auto uses = AddNodeUses(answers);
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses.at("10.0.0.1:7000").connections, 3u);
  EXPECT_EQ(uses.at("10.0.0.1:7000").requests, 7u);
  EXPECT_FALSE(uses.at("10.0.0.1:7000").is_failing);
  EXPECT_EQ(uses.at("10.0.0.2:7000").connections, 1u);
  EXPECT_TRUE(uses.at("10.0.0.2:7000").is_failing);
}

TEST(NodeUseTest, NoWorkerKnowsNoNode) { EXPECT_TRUE(AddNodeUses({}).empty()); }

}  // namespace
}  // namespace rcproxy::proxy
