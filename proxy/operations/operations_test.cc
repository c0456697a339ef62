#include "proxy/operations/operations.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "cluster/command_table.h"
#include "proxy/operations/operations_for_test.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;

class OperationsTest : public testing::Test, public OperationsForTest {};

void ForEachSpec(const std::function<void(const CommandSpec&)>& visit) {
  for (const CommandSpec& command : cluster::AllCommands()) {
    visit(command);
    for (const CommandSpec& subcommand : command.subcommands) visit(subcommand);
  }
}

TEST_F(OperationsTest, EveryCommandThatTheTableCallsAnOperationIsOne) {
  ForEachSpec([this](const CommandSpec& spec) {
    if (!spec.Has(cluster::kFlagOperation) || spec.Has(cluster::kFlagNotYet)) return;
    const size_t words = spec.arity < 0 ? -spec.arity : spec.arity;
    const cluster::CommandForTest command(std::vector<std::string>(words, "1"));
    EXPECT_NE(operations.Make(spec, command.view(), protocol, &client.replies.writes()), nullptr)
        << spec.name;
  });
}

TEST_F(OperationsTest, NothingIsComputedUnlessItIsWanted) {
  EXPECT_FALSE(Begin("SINTER a b"));
  sim.config.cross_slot = CrossSlot::kStrict;
  EXPECT_FALSE(Begin("SINTER a b"));
}

}  // namespace
}  // namespace rcproxy::proxy
