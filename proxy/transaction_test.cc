#include "proxy/transaction.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

class TransactionTest : public testing::Test {
 protected:
  TransactionTest() {
    config_.request_bytes_max = 1000;
    config_.transaction_commands_max = 5;
  }
  std::string Queue(const std::string& line) {
    const cluster::CommandForTest command(cluster::Words(line));
    const cluster::CommandSpec* spec = cluster::FindCommand(command.view()[0]);
    if (!spec->subcommands.empty() && command.view().size() > 1)
      spec = cluster::FindSubcommand(*spec, command.view()[1]);
    return transaction_.Queue(*spec, command.view());
  }

  Config config_;
  Stats stats_;
  Transaction transaction_{config_, stats_};
  const std::string queued_ = "+QUEUED\r\n";
};

TEST_F(TransactionTest, TheUnitIsWhatWasQueuedBetweenMultiAndExec) {
  EXPECT_TRUE(transaction_.empty());
  EXPECT_EQ(Queue("SET {k}1 v"), queued_);
  EXPECT_EQ(Queue("PING"), queued_);
  EXPECT_EQ(Queue("BLPOP {k}2 0"), queued_);
  ASSERT_EQ(transaction_.parts().size(), 1u);
  EXPECT_EQ(transaction_.parts()[0].Unit(),
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\n{k}1\r\n$1\r\nv\r\n*1\r\n$4\r\nPING\r\n"
            "*3\r\n$5\r\nBLPOP\r\n$4\r\n{k}2\r\n$1\r\n0\r\n*1\r\n$4\r\nEXEC\r\n");
  EXPECT_EQ(transaction_.parts()[0].slot, 7629);
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

TEST_F(TransactionTest, WhatIsRefusedIsToldWhy) {
  for (const char* line : {"HELLO 3", "CLIENT ID", "SUBSCRIBE x", "SSUBSCRIBE x", "MONITOR"}) {
    EXPECT_NE(Queue(line).find("it concerns the client itself\r\n"), std::string::npos) << line;
  }
  for (const char* line : {"DBSIZE", "CONFIG GET x"}) {
    EXPECT_NE(Queue(line).find("it concerns more than one node\r\n"), std::string::npos) << line;
  }
}

// On a server that has several it would be the database of everybody who shares the connection.
TEST_F(TransactionTest, TheDatabaseOfTheConnectionStaysWhatItIs) {
  EXPECT_EQ(Queue("SELECT 0"), queued_);
  EXPECT_EQ(Queue("SELECT 1"),
            "-ERR SELECT of another database is not allowed inside a transaction through "
            "rcproxy\r\n");
  EXPECT_TRUE(transaction_.spoiled());
}

TEST_F(TransactionTest, ItsBytesHaveALimit) {
  EXPECT_EQ(Queue("SET k " + std::string(900, 'v')), queued_);
  EXPECT_EQ(Queue("SET k " + std::string(900, 'v')).substr(0, 24), "-ERR transaction too big");
  EXPECT_TRUE(transaction_.spoiled());
  EXPECT_EQ(stats_.errors_transaction_limit.value(), 1u);
}

TEST_F(TransactionTest, ItsCommandsHaveALimit) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Queue("PING"), queued_);
  EXPECT_FALSE(transaction_.spoiled());
  EXPECT_EQ(Queue("PING"),
            "-ERR transaction too big: it has more commands than --transaction_commands_max\r\n");
  EXPECT_TRUE(transaction_.spoiled());
  EXPECT_EQ(stats_.errors_transaction_limit.value(), 1u);
}

TEST_F(TransactionTest, KeysHaveTheSlotOfWatchedOnes) {
  config_.transactions = Transactions::kSplit;
  Transaction watching(config_, stats_, /*watched_slot=*/7629);
  const cluster::CommandForTest here(cluster::Words("GET {k}1"));
  const cluster::CommandForTest elsewhere(cluster::Words("GET a"));
  const cluster::CommandSpec& get = cluster::CommandNamed("get");
  EXPECT_TRUE(watching.empty());
  EXPECT_EQ(watching.Queue(get, here.view()), queued_);
  EXPECT_EQ(watching.Queue(get, elsewhere.view()),
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(watching.parts().size(), 1u);
}

TEST_F(TransactionTest, ItMayBeSplitBySlot) {
  config_.transactions = Transactions::kSplit;
  Transaction split(config_, stats_);
  const auto queue = [&](const std::string& line) {
    const cluster::CommandForTest command(cluster::Words(line));
    return split.Queue(*cluster::FindCommand(command.view()[0]), command.view());
  };
  EXPECT_EQ(queue("PING"), queued_);
  EXPECT_EQ(queue("SET a 1"), queued_);
  EXPECT_EQ(queue("GET b"), queued_);
  EXPECT_EQ(queue("ECHO x"), queued_);
  EXPECT_EQ(queue("INCR a"), queued_);
  EXPECT_EQ(split.part_of_command(), (std::vector<uint32_t>{0, 0, 1, 1, 0}));
  ASSERT_EQ(split.parts().size(), 2u);
  EXPECT_EQ(split.parts()[0].slot, 15495);
  EXPECT_EQ(split.parts()[1].slot, 3300);
  EXPECT_FALSE(split.parts()[0].read_only);
  EXPECT_EQ(split.parts()[1].commands,
            "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n");
  EXPECT_FALSE(split.spoiled());
}

TEST_F(TransactionTest, OneCommandIsNotSplit) {
  config_.transactions = Transactions::kSplit;
  Transaction split(config_, stats_);
  const cluster::CommandForTest command(cluster::Words("MSET a 1 b 2"));
  EXPECT_EQ(split.Queue(cluster::CommandNamed("mset"), command.view()),
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_TRUE(split.spoiled());
}

TEST_F(TransactionTest, OnlyReadsMayBeRepeated) {
  EXPECT_EQ(Queue("GET k"), queued_);
  EXPECT_TRUE(transaction_.parts()[0].read_only);
  EXPECT_EQ(Queue("INCR k"), queued_);
  EXPECT_FALSE(transaction_.parts()[0].read_only);
}

}  // namespace
}  // namespace rcproxy::proxy
