#include "testing/simulator_model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/fake_store.h"

namespace rcproxy::sim {
namespace {

constexpr char kRefused[] = "-ERR upstream unreachable: no node could take the command\r\n";
constexpr char kUnknown[] = "-ERR upstream lost: it may or may not have been executed\r\n";

std::string Read(SimulatorModel& model, const std::string& key, const std::string& value) {
  return model.Check(model.Get({key}), BulkReply(value));
}

class SimulatorModelTest : public ::testing::Test {
 protected:
  std::string Append(const char* reply = ":1\r\n") {
    SimulatedRequest request = model_.Append("a1");
    EXPECT_EQ(model_.Check(request, reply), "");
    return request.args[2];
  }

  SimulatorModel model_{1, {.strict = true}};
};

TEST(ReplySizeTest, FindsTheEndOfAReply) {
  EXPECT_EQ(ReplySize("+OK\r\nx"), 5);
  EXPECT_EQ(ReplySize("$3\r\nab"), 0);
  EXPECT_EQ(ReplySize("$3\r\nabc\r\n+"), 9);
  EXPECT_EQ(ReplySize("_\r\n"), 3);
  EXPECT_EQ(ReplySize("%1\r\n:1\r\n_\r\n"), 11);
  EXPECT_EQ(ReplySize("%1\r\n:1\r\n"), 0);
  EXPECT_EQ(ReplySize("*2\r\n:1\r\n$-1\r\n"), 13);
  EXPECT_EQ(ReplySize("*2\r\n:1\r\n"), 0);
  EXPECT_EQ(ReplySize(">2\r\n:1\r\n_\r\n"), 11);
  EXPECT_EQ(ReplySize("HTTP\r\n"), -1);
  EXPECT_EQ(ReplyElements("*2\r\n:1\r\n$-1\r\n"),
            (std::vector<std::string_view>{":1\r\n", "$-1\r\n"}));
  EXPECT_EQ(ReplyElements(">1\r\n_\r\n"), std::vector<std::string_view>{"_\r\n"});
}

TEST_F(SimulatorModelTest, ReadsShowWhatWasAppendedInOrder) {
  const std::string one = Append(), two = Append();
  EXPECT_EQ(Read(model_, "a1", one + two), "");
  EXPECT_NE(Read(model_, "a1", two + one), "");
  EXPECT_NE(Read(model_, "a1", one), "");
  EXPECT_NE(Read(model_, "a1", one + two + one), "");
  EXPECT_NE(Read(model_, "a1", one + two + "a1/2.7;"), "");
}

TEST_F(SimulatorModelTest, ARefusedWriteMustNotShow) {
  const std::string refused = Append(kRefused);
  EXPECT_NE(Read(model_, "a1", refused), "");
  EXPECT_EQ(Read(model_, "a1", ""), "");
  EXPECT_TRUE(model_.MustNotBeExecuted("a1", refused));
}

TEST_F(SimulatorModelTest, AnUnknownWriteMayShowOnceAnywhere) {
  const std::string unknown = Append(kUnknown);
  const std::string done = Append();
  EXPECT_EQ(Read(model_, "a1", unknown + done), "");
  EXPECT_EQ(Read(model_, "a1", done + unknown), "");
  EXPECT_EQ(Read(model_, "a1", done), "");
  EXPECT_NE(Read(model_, "a1", unknown + done + unknown), "");
  EXPECT_FALSE(model_.MustNotBeExecuted("a1", unknown));
}

TEST_F(SimulatorModelTest, AWriteSeenByAnEarlierReadMustBeUnknown) {
  SimulatedRequest get = model_.Get({"a1"});
  SimulatedRequest append = model_.Append("a1");
  EXPECT_EQ(model_.Check(get, BulkReply(append.args[2])), "");
  EXPECT_NE(model_.Check(append, ":1\r\n"), "");
}

TEST_F(SimulatorModelTest, NullsAreThoseOfTheProtocol) {
  SimulatedRequest get = model_.Get({"s9"});
  EXPECT_EQ(model_.Check(get, "$-1\r\n"), "");
  EXPECT_NE(model_.Check(get, "_\r\n"), "");
  get.resp3 = true;
  EXPECT_EQ(model_.Check(get, "_\r\n"), "");
  EXPECT_NE(model_.Check(get, "$-1\r\n"), "");
  EXPECT_EQ(model_.Check(model_.Hello(true), "%1\r\n:1\r\n:2\r\n"), "");
  EXPECT_NE(model_.Check(model_.Hello(false), "%1\r\n:1\r\n:2\r\n"), "");
  EXPECT_NE(model_.Check(model_.Hello(true), "-ERR upstream unreachable\r\n"), "");
}

TEST_F(SimulatorModelTest, TheLastSetOrDeleteCounts) {
  SimulatedRequest set = model_.Set({"s1", "s2"}, 10);
  EXPECT_EQ(model_.Check(set, "+OK\r\n"), "");
  const std::string first = set.args[2];
  EXPECT_EQ(Read(model_, "s1", first), "");
  EXPECT_NE(Read(model_, "s2", first), "");
  EXPECT_EQ(model_.Check(model_.Delete({"s1"}), ":1\r\n"), "");
  EXPECT_NE(Read(model_, "s1", first), "");
  EXPECT_EQ(model_.Check(model_.Get({"s1"}), "$-1\r\n"), "");
  EXPECT_NE(model_.Check(model_.Get({"s2"}), "$-1\r\n"), "");
  SimulatedRequest lost = model_.Set({"s1"}, 0);
  model_.Lose(lost);
  EXPECT_EQ(Read(model_, "s1", lost.args[2]), "");
  EXPECT_EQ(model_.Check(model_.Get({"s1"}), "$-1\r\n"), "");
}

TEST_F(SimulatorModelTest, CountersCountEachIncrementOnce) {
  EXPECT_EQ(model_.Check(model_.Increment("i1"), ":1\r\n"), "");
  EXPECT_EQ(model_.Check(model_.Increment("i1"), ":2\r\n"), "");
  EXPECT_NE(Read(model_, "i1", "1"), "");
  SimulatorModel other(2, {.strict = true});
  EXPECT_NE(other.Check(other.Increment("i1"), ":2\r\n"), "");
  model_.Lose(model_.Increment("i1"));
  EXPECT_EQ(model_.CheckStored("i1", "1"), "the sum is 1, not 2..3");
  EXPECT_EQ(model_.CheckStored("i1", "3"), "");
}

TEST_F(SimulatorModelTest, RepliesHaveTheShapeOfTheirCommands) {
  EXPECT_NE(model_.Check(model_.Get({"s1", "s2"}), "*1\r\n$-1\r\n"), "");
  EXPECT_NE(model_.Check(model_.Get({"s1"}), ":1\r\n"), "");
  EXPECT_NE(model_.Check(model_.Set({"s1"}, 0), ":1\r\n"), "");
  EXPECT_NE(model_.Check(model_.Count("EXISTS", {"s1"}), ":2\r\n"), "");
  EXPECT_NE(model_.Check(model_.Echo("ECHO"), "$1\r\nx\r\n"), "");
  EXPECT_NE(model_.Check(model_.Get({"s1"}), "-MOVED 1 127.0.0.1:7000\r\n"), "");
}

TEST_F(SimulatorModelTest, WithoutStrictnessOrderIsFreeButNothingIsLost) {
  SimulatorModel model(1, {.strict = false});
  SimulatedRequest one = model.Append("a1"), two = model.Append("a1");
  EXPECT_EQ(model.Check(one, ":1\r\n"), "");
  EXPECT_EQ(model.Check(two, ":1\r\n"), "");
  EXPECT_EQ(Read(model, "a1", two.args[2] + one.args[2]), "");
  EXPECT_EQ(Read(model, "a1", two.args[2]), "");
  EXPECT_NE(model.CheckStored("a1", two.args[2]), "");
  EXPECT_EQ(model.CheckStored("a1", two.args[2] + one.args[2]), "");
}

TEST_F(SimulatorModelTest, WhatIsRepeatedMayShowInAnOlderReadThatWasAskedAgain) {
  for (const bool may_repeat : {false, true}) {
    SimulatorModel model(1, {.sets_may_repeat = may_repeat});
    const SimulatedRequest read = model.Get({"s1"});
    const SimulatedRequest write = model.Set({"s1"}, 0);
    EXPECT_EQ(model.Check(read, BulkReply(write.args[2])), "");
    EXPECT_EQ(model.Check(write, "+OK\r\n") == "", may_repeat);
  }
  SimulatorModel model(1, {.sets_may_repeat = true});
  const SimulatedRequest read = model.Get({"a1"});
  const SimulatedRequest write = model.Append("a1");
  EXPECT_EQ(model.Check(read, BulkReply(write.args[2])), "");
  EXPECT_NE(model.Check(write, ":1\r\n"), "") << "APPEND is not idempotent";
}

TEST_F(SimulatorModelTest, AKeyIsDeletedAtMostAsOftenAsAskedForAndNotRefused) {
  EXPECT_EQ(model_.DeletionsMax("s1"), 0u);
  EXPECT_EQ(model_.Check(model_.Delete({"s1"}), ":0\r\n"), "");
  EXPECT_EQ(model_.Check(model_.Delete({"s1"}), "-LOADING\r\n"), "");
  model_.Lose(model_.Delete({"s1", "s2"}));
  EXPECT_EQ(model_.DeletionsMax("s1"), 2u);
}

TEST_F(SimulatorModelTest, EachRefusalIsOne) {
  for (const char* error : {"-CLUSTERDOWN x", "-TRYAGAIN x", "-LOADING x", "-MASTERDOWN x",
                            "-READONLY x", "-ERR upstream unreachable", "-ERR upstream busy",
                            "-ERR upstream redirects", "-ERR upstream overloaded"}) {
    const SimulatedRequest write = model_.Set({"s1"}, 0);
    EXPECT_EQ(model_.Check(write, std::string(error) + "\r\n"), "") << error;
    EXPECT_TRUE(model_.MustNotBeExecuted("s1", write.args[2])) << error;
  }
}

}  // namespace
}  // namespace rcproxy::sim
