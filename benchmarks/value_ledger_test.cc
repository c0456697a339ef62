#include "benchmarks/value_ledger.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

class ValueLedgerTest : public testing::Test {
 protected:
  // Writes the key and returns what a server would answer to a GET from then on.
  std::string Write(uint32_t key) {
    std::string command;
    ledger_.AppendSet(key, &command);
    // "*3 $3 SET $13 key" and then the value, in the form of the reply.
    return command.substr(command.find("$40\r\n"));
  }
  Verdict Check(uint32_t key, std::string_view reply) {
    return ledger_.CheckRead(key, ledger_.issued(key), reply);
  }

  ValueLedger ledger_{"k", 10, 40};
};

TEST_F(ValueLedgerTest, CommandsHaveTheirWireForm) {
  std::string output;
  ledger_.AppendGet(7, &output);
  EXPECT_EQ(output, "*2\r\n$3\r\nGET\r\n$13\r\nk000000000007\r\n");
  output.clear();
  EXPECT_EQ(ledger_.AppendSet(7, &output), 1u);
  EXPECT_EQ(output,
            "*3\r\n$3\r\nSET\r\n$13\r\nk000000000007\r\n$40\r\n"
            "k000000000007#0000000001#!\"#$%&'()*+,-./\r\n");
}

TEST_F(ValueLedgerTest, AWriteMayBeReadOnceItIsSent) {
  EXPECT_EQ(Check(1, "$-1\r\n"), Verdict::kRight);
  std::string first = Write(1);
  EXPECT_EQ(Check(1, "$-1\r\n"), Verdict::kRight);
  EXPECT_EQ(Check(1, "_\r\n"), Verdict::kRight);
  EXPECT_EQ(Check(1, first), Verdict::kRight);
}

TEST_F(ValueLedgerTest, AnAcknowledgedWriteMustBeRead) {
  std::string first = Write(1);
  std::string second = Write(1);
  ledger_.Acknowledge(1, 1);
  EXPECT_EQ(Check(1, "$-1\r\n"), Verdict::kMissing);
  EXPECT_EQ(Check(1, first), Verdict::kRight);
  EXPECT_EQ(Check(1, second), Verdict::kRight);
  ledger_.Acknowledge(1, 2);
  EXPECT_EQ(Check(1, first), Verdict::kStale);
  EXPECT_EQ(Check(1, second), Verdict::kRight);
}

TEST_F(ValueLedgerTest, AReadCannotSeeALaterWrite) {
  Write(1);
  uint32_t issued_at_send = ledger_.issued(1);
  std::string later = Write(1);
  EXPECT_EQ(ledger_.CheckRead(1, issued_at_send, later), Verdict::kUnwritten);
}

TEST_F(ValueLedgerTest, AnotherKeysValueIsRecognised) {
  Write(1);
  EXPECT_EQ(Check(1, Write(2)), Verdict::kOtherKey);
}

TEST_F(ValueLedgerTest, DamagedValuesAreRecognised) {
  std::string good = Write(1);
  for (size_t i = 5; i < good.size() - 2; ++i) {
    std::string bad = good;
    bad[i] = '?';
    EXPECT_NE(Check(1, bad), Verdict::kRight) << "byte " << i;
  }
  EXPECT_EQ(Check(1, "+OK\r\n"), Verdict::kMalformed);
  EXPECT_EQ(Check(1, ""), Verdict::kMalformed);
  EXPECT_EQ(Check(1, "$3\r\nabc\r\n"), Verdict::kMalformed);
  EXPECT_EQ(Check(1, good.substr(0, good.size() - 2)), Verdict::kMalformed);
}

TEST_F(ValueLedgerTest, AValueIsNeverShorterThanItsHeader) {
  ValueLedger tiny("k", 1, 0);
  std::string output;
  tiny.AppendSet(0, &output);
  EXPECT_TRUE(output.ends_with("$25\r\nk000000000000#0000000001#\r\n"));
}

TEST_F(ValueLedgerTest, VerdictsHaveNames) {
  for (size_t i = 0; i < kVerdictCount; ++i) {
    EXPECT_STRNE(VerdictName(static_cast<Verdict>(i)), "");
  }
}

}  // namespace
}  // namespace rcproxy::benchmarks
