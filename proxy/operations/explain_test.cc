#include "proxy/operations/explain.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_for_test.h"
#include "cluster/command_report_for_test.h"
#include "cluster/learnt_commands.h"
#include "proxy/operations/operations_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

class ExplainTest : public testing::Test, public OperationsForTest {
 protected:
  resp::Value Explained(const std::string& line) {
    return *resp::ParseValue(Ask("PROXY EXPLAIN " + line));
  }
  std::string Field(const std::string& line, std::string_view field) {
    const resp::Value reply = Explained(line);
    const resp::Value* found = reply.Find(field);
    return found == nullptr ? "" : found->text;
  }
};

TEST_F(ExplainTest, OneSlot) {
  const resp::Value reply = Explained("GET b");
  EXPECT_EQ(reply.Find("command")->text, "get");
  EXPECT_EQ(reply.Find("route")->text, "slot");
  EXPECT_EQ(reply.Find("keys")->elements.at(0).text, "b");
  EXPECT_EQ(reply.Find("slots")->elements.at(0).integer, 3300);
  EXPECT_EQ(reply.Find("nodes")->elements.at(0).text, "10.0.0.1:7000");
  EXPECT_EQ(reply.Find("plan")->text, "one request to the owner of the slot");
}

TEST_F(ExplainTest, SeveralSlots) {
  EXPECT_EQ(Field("MGET a b {a}2", "plan"), "2 requests, one for each slot");
  EXPECT_EQ(Field("MGET a b", "merge"), "key order");
  EXPECT_EQ(Field("RENAME a b", "plan"), "error: CROSSSLOT");
  EXPECT_EQ(Field("XREAD STREAMS a b 0 0", "plan"), "2 requests, one for each slot");
  EXPECT_EQ(Field("XREAD BLOCK 1 STREAMS a b 0 0", "plan"), "error: CROSSSLOT");
  EXPECT_EQ(Field("SINTER a b", "plan"), "error: CROSSSLOT");
  sim.config.cross_slot = CrossSlot::kCompute;
  EXPECT_EQ(Field("SINTER a b", "plan"), "computed from what the nodes have");
  EXPECT_EQ(Field("SINTERSTORE a b c", "plan"), "error: CROSSSLOT");
  sim.config.cross_slot = CrossSlot::kStrict;
  EXPECT_EQ(Field("MGET a b", "plan"), "error: CROSSSLOT");
}

TEST_F(ExplainTest, WithoutKeys) {
  EXPECT_EQ(Field("DBSIZE", "plan"), "3 requests, one for each node");
  EXPECT_EQ(Field("SCAN 0", "plan"), "several questions to nodes");
  EXPECT_EQ(Field("PING", "plan"), "answered by rcproxy");
  EXPECT_EQ(Field("PUBLISH x y", "plan"), "one request to any primary");
}

TEST_F(ExplainTest, WhatBlocks) {
  EXPECT_EQ(Field("BLPOP a 0", "plan"),
            "one request to the owner of the slot, over a connection of its own");
  EXPECT_EQ(Field("BLPOP a b 0", "plan"), "error: CROSSSLOT");
}

TEST_F(ExplainTest, LearntCommands) {
  EXPECT_TRUE(Ask("PROXY EXPLAIN MY.GET a").starts_with("-ERR unknown command 'MY.GET'"));
  sim.resources.commands.Adopt(
      std::make_shared<const cluster::LearntCommands>(cluster::ReportForTest(
          {{.name = "my.get", .flags = {"readonly"}, .specs = {cluster::RangeSpecForTest(1, -1)}},
           {.name = "my.sort", .flags = {"readonly"}, .specs = {cluster::UnknownSpecForTest()}}})));
  EXPECT_EQ(Field("MY.GET b", "plan"), "one request to the owner of the slot");
  EXPECT_EQ(Explained("MY.GET b").Find("slots")->elements.at(0).integer, 3300);
  EXPECT_TRUE(Field("MY.GET b", "retry").starts_with("read"));
  EXPECT_EQ(Field("MY.SORT b", "plan"),
            "error: ERR MY.SORT is not available through rcproxy: the nodes do not say where its "
            "keys are");
  sim.config.cross_slot = CrossSlot::kCompute;
  EXPECT_EQ(Field("MY.GET a b", "plan"), "error: CROSSSLOT");
  const cluster::CommandForTest command(cluster::Words("MY.GET a b"));
  const cluster::CommandSpec& spec = *sim.resources.commands.Find("my.get");
  EXPECT_EQ(operations.MakeCrossSlot(spec, command.view(), protocol), nullptr);
}

TEST_F(ExplainTest, WhatIsNotServedAndWhatMayBeRepeated) {
  EXPECT_TRUE(Field("SHUTDOWN", "plan").starts_with("error: ERR SHUTDOWN is not available"));
  EXPECT_TRUE(Field("GET a", "retry").starts_with("read"));
  EXPECT_TRUE(Field("SET a 1", "retry").starts_with("other"));
}

}  // namespace
}  // namespace rcproxy::proxy
