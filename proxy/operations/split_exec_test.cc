#include "proxy/operations/split_exec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "proxy/config.h"
#include "proxy/errors.h"
#include "proxy/stats.h"
#include "proxy/transaction.h"

namespace rcproxy::proxy {
namespace {

constexpr uint16_t kSlotOfA = 15495;
constexpr uint16_t kSlotOfB = 3300;

class SplitExecTest : public testing::Test {
 protected:
  SplitExecTest() {
    config_.transactions = Transactions::kSplit;
    Transaction transaction(config_, stats_);
    for (const char* line : {"SET a 1", "GET b", "INCR a"}) {
      const cluster::CommandForTest command(cluster::Words(line));
      transaction.Queue(*cluster::FindCommand(command.view()[0]), command.view());
    }
    operation_ = MakeSplitExec(&transaction);
    operation_->Next({}, &asked_);
  }

  std::string Reply(std::string_view of_a, std::string_view of_b) {
    const std::string_view answers[] = {of_a, of_b};
    Round round;
    operation_->Next(answers, &round);
    return round.reply();
  }

  Config config_;
  Stats stats_;
  std::unique_ptr<Operation> operation_;
  Round asked_;
};

TEST_F(SplitExecTest, EachSlotGetsATransaction) {
  ASSERT_EQ(asked_.questions().size(), 2u);
  const Question& a = asked_.questions()[0];
  const Question& b = asked_.questions()[1];
  EXPECT_EQ(a.slot, kSlotOfA);
  EXPECT_EQ(b.slot, kSlotOfB);
  EXPECT_TRUE(a.is_unit && b.is_unit);
  EXPECT_FALSE(a.repeatable);
  EXPECT_TRUE(b.repeatable) << "it only reads";
  EXPECT_EQ(b.command, "*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n");
}

TEST_F(SplitExecTest, RepliesAreInTheOrderOfTheQueue) {
  EXPECT_EQ(Reply("*2\r\n+OK\r\n:2\r\n", "*1\r\n$1\r\nx\r\n"), "*3\r\n+OK\r\n$1\r\nx\r\n:2\r\n");
}

TEST_F(SplitExecTest, APartThatFailsGivesItsErrorInItsPlaces) {
  EXPECT_EQ(Reply("-EXECABORT x\r\n", "*1\r\n-WRONGTYPE y\r\n"),
            "*3\r\n-EXECABORT x\r\n-WRONGTYPE y\r\n-EXECABORT x\r\n");
}

TEST_F(SplitExecTest, AnAnswerOfAnotherShapeIsAnErrorInItsPlaces) {
  const std::string error(kErrorUnexpectedPart);
  EXPECT_EQ(Reply("*1\r\n+OK\r\n", "+OK\r\n"), "*3\r\n+OK\r\n" + error + error);
}

}  // namespace
}  // namespace rcproxy::proxy
