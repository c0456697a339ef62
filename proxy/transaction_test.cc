#include "proxy/transaction.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

class TransactionTest : public testing::Test {
 protected:
  std::string Queue(const std::string& line) {
    const cluster::CommandForTest command(cluster::Words(line));
    const cluster::CommandSpec* spec = cluster::FindCommand(command.view()[0]);
    if (!spec->subcommands.empty() && command.view().size() > 1)
      spec = cluster::FindSubcommand(*spec, command.view()[1]);
    return transaction_.Queue(*spec, command.view());
  }

  Transaction transaction_{1000};
  const std::string queued_ = "+QUEUED\r\n";
};

TEST_F(TransactionTest, TheUnitIsWhatWasQueuedBetweenMultiAndExec) {
  EXPECT_TRUE(transaction_.empty());
  EXPECT_EQ(Queue("SET {k}1 v"), queued_);
  EXPECT_EQ(Queue("PING"), queued_);
  EXPECT_EQ(Queue("BLPOP {k}2 0"), queued_);
  EXPECT_EQ(transaction_.Unit(),
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\n{k}1\r\n$1\r\nv\r\n*1\r\n$4\r\nPING\r\n"
            "*3\r\n$5\r\nBLPOP\r\n$4\r\n{k}2\r\n$1\r\n0\r\n*1\r\n$4\r\nEXEC\r\n");
  EXPECT_EQ(transaction_.slot(), 7629);
  EXPECT_FALSE(transaction_.spoiled());
  EXPECT_FALSE(transaction_.empty());
}

TEST_F(TransactionTest, KeysOfAnotherSlotSpoilIt) {
  EXPECT_EQ(Queue("SET a v"), queued_);
  EXPECT_EQ(Queue("SET b v"), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_TRUE(transaction_.spoiled());
}

TEST_F(TransactionTest, KeysOfSeveralSlotsInOneCommandSpoilIt) {
  EXPECT_EQ(Queue("MGET a b"), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_TRUE(transaction_.spoiled());
}

TEST_F(TransactionTest, CommandsForManyNodesOrForTheConnectionAreRefused) {
  for (const char* line : {"DBSIZE", "FLUSHALL", "CLIENT SETNAME x", "SUBSCRIBE x", "CONFIG GET x",
                           "WATCH a", "SHUTDOWN"}) {
    EXPECT_EQ(Queue(line).substr(0, 45), "-ERR Command not allowed inside a transaction") << line;
  }
  EXPECT_TRUE(transaction_.spoiled());
}

// On a server that has several it would be the database of everybody who shares the connection.
TEST_F(TransactionTest, TheDatabaseOfTheConnectionStaysWhatItIs) {
  EXPECT_EQ(Queue("SELECT 0"), queued_);
  EXPECT_EQ(Queue("SELECT 1"), "-ERR DB index is out of range\r\n");
  EXPECT_TRUE(transaction_.spoiled());
}

TEST_F(TransactionTest, ItHasALimit) {
  EXPECT_EQ(Queue("SET k " + std::string(900, 'v')), queued_);
  EXPECT_EQ(Queue("SET k " + std::string(900, 'v')).substr(0, 24), "-ERR transaction too big");
  EXPECT_TRUE(transaction_.spoiled());
}

TEST_F(TransactionTest, OnlyReadsMayBeRepeated) {
  EXPECT_EQ(Queue("GET k"), queued_);
  EXPECT_TRUE(transaction_.read_only());
  EXPECT_EQ(Queue("INCR k"), queued_);
  EXPECT_FALSE(transaction_.read_only());
}

}  // namespace
}  // namespace rcproxy::proxy
