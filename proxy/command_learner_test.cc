#include "proxy/command_learner.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/command_report_for_test.h"
#include "proxy/router_for_test.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

using cluster::EntryForTest;
using cluster::LearntCommands;
using sim::kMillisecond;
using sim::kSecond;

EntryForTest Keyed(const std::string& name) {
  return {.name = name, .flags = {"readonly"}, .specs = {cluster::RangeSpecForTest(1)}};
}

class CommandLearnerTest : public testing::Test, public RouterForTest {
 protected:
  ~CommandLearnerTest() override {
    learner_.Stop();
    for (NodeForTest* node : {&a, &b, &c}) {
      if (node->connected()) node->peer().Reset();
    }
    sim.RunFor(kSecond);
  }

  // Whichever node is asked within `timeout_ns`, or nullptr.
  NodeForTest* AwaitQuestion(int64_t timeout_ns = kSecond) {
    NodeForTest* asked = nullptr;
    sim.RunUntil(
        [&] {
          for (NodeForTest* node : {&a, &b, &c}) {
            if (node->HasInput()) asked = node;
          }
          return asked != nullptr;
        },
        timeout_ns);
    if (asked != nullptr) {
      EXPECT_EQ(asked->Take(), Wire("COMMAND"));
    }
    return asked;
  }
  void Answer(const std::string& reply) {
    NodeForTest* node = AwaitQuestion();
    ASSERT_NE(node, nullptr);
    Reply(*node, reply);
  }
  void AnswerAll(const std::vector<EntryForTest>& entries) {
    for (int i = 0; i < 3; ++i) Answer(cluster::CommandReplyForTest(entries));
    Settle();
  }
  // A map in which D has taken over from C.
  void ReplaceC() {
    table.Adopt(cluster::Topology(
        {NodeNamed('A', true), NodeNamed('B', true), NodeNamed('D', true)},
        {{0, {}}, {1, {}}, {2, {}}}, {{0, 5460, 0}, {5461, 10922, 1}, {10923, 16383, 2}}));
    learner_.OnMapAdopted();
  }

  std::vector<std::shared_ptr<const LearntCommands>> published_;
  CommandLearner learner_{sim.resources, table, router,
                          [this](std::shared_ptr<const LearntCommands> commands) {
                            published_.push_back(std::move(commands));
                          }};
};

TEST_F(CommandLearnerTest, AsksEachPrimaryOnceAndPublishes) {
  learner_.OnMapAdopted();
  AnswerAll({Keyed("my.get"), Keyed("get")});
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_NE(published_[0]->Find("my.get"), nullptr);
  EXPECT_EQ(sim.stats.command_tables_read.value(), 3u);
  EXPECT_EQ(sim.stats.commands_learnt.value(), 1u);
  EXPECT_EQ(sim.stats.command_tables_differ.value(), 0u);
  learner_.OnMapAdopted();
  EXPECT_EQ(AwaitQuestion(60 * kSecond), nullptr) << "nothing new in the map";
}

TEST_F(CommandLearnerTest, OneNodeAtATime) {
  learner_.OnMapAdopted();
  NodeForTest* first = AwaitQuestion();
  EXPECT_EQ(AwaitQuestion(), nullptr);
  Reply(*first, cluster::CommandReplyForTest({Keyed("x")}));
  EXPECT_NE(AwaitQuestion(), nullptr);
}

TEST_F(CommandLearnerTest, DoesNothingWhenSwitchedOff) {
  sim.config.learn_commands = false;
  learner_.OnMapAdopted();
  EXPECT_EQ(AwaitQuestion(), nullptr);
}

TEST_F(CommandLearnerTest, PublishesWhatAllHave) {
  learner_.OnMapAdopted();
  Answer(cluster::CommandReplyForTest({Keyed("both"), Keyed("first")}));
  Answer(cluster::CommandReplyForTest({Keyed("both"), Keyed("second")}));
  Answer(cluster::CommandReplyForTest({Keyed("both")}));
  Settle();
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(published_[0]->commands().size(), 1u);
  EXPECT_NE(published_[0]->Find("both"), nullptr);
  EXPECT_EQ(sim.stats.command_tables_differ.value(), 1u);
}

TEST_F(CommandLearnerTest, ANodeThatDoesNotTellIsLeftOutAndAskedAgainLater) {
  learner_.OnMapAdopted();
  Answer("-NOPERM this user has no permissions to run the 'command' command\r\n");
  Answer(cluster::CommandReplyForTest({Keyed("x")}));
  AwaitQuestion()->peer().Reset();
  sim.RunUntil([this] { return !published_.empty(); });
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(sim.stats.command_table_failures.value(), 2u);
  EXPECT_EQ(AwaitQuestion(60 * kSecond), nullptr) << "a map brings it up again";
  learner_.OnMapAdopted();
  AnswerAll({Keyed("x")});
  EXPECT_EQ(published_.size(), 1u) << "it is the same";
}

TEST_F(CommandLearnerTest, NonsenseFromAllPublishesNothing) {
  learner_.OnMapAdopted();
  Answer("+OK\r\n");
  Answer("*0\r\n");
  Answer("*1\r\n:1\r\n");
  Settle();
  EXPECT_TRUE(published_.empty());
  EXPECT_EQ(sim.stats.command_table_failures.value(), 3u);
}

TEST_F(CommandLearnerTest, ANodeThatCannotBeReachedIsLeftOut) {
  sim.network.SetConnectMode(b.address(), sim::ConnectMode::kRefuse);
  learner_.OnMapAdopted();
  Answer(cluster::CommandReplyForTest({Keyed("x")}));
  Answer(cluster::CommandReplyForTest({Keyed("x")}));
  sim.RunUntil([this] { return !published_.empty(); });
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(sim.stats.command_table_failures.value(), 1u);
}

TEST_F(CommandLearnerTest, ANewPrimaryMakesItAskAllAgainButNotAtOnce) {
  NodeForTest d(sim.network, "10.0.0.4:7000");
  learner_.OnMapAdopted();
  AnswerAll({Keyed("x")});
  ReplaceC();
  EXPECT_EQ(AwaitQuestion(9 * kSecond), nullptr);
  int answered = 0;
  sim.RunUntil(
      [&] {
        for (NodeForTest* node : {&a, &b, &d}) {
          if (!node->HasInput()) continue;
          EXPECT_EQ(node->Take(), Wire("COMMAND"));
          node->Reply(cluster::CommandReplyForTest({Keyed("y")}));
          ++answered;
        }
        return published_.size() == 2;
      },
      5 * kSecond);
  EXPECT_EQ(answered, 3);
  ASSERT_EQ(published_.size(), 2u);
  EXPECT_NE(published_[1]->Find("y"), nullptr);
  EXPECT_EQ(published_[1]->Find("x"), nullptr);
  EXPECT_EQ(sim.stats.command_table_changes.value(), 2u);
}

TEST_F(CommandLearnerTest, WhenToldToForgetItAsksAllAgain) {
  sim.config.learn_commands_interval_ms = 100;
  learner_.OnMapAdopted();
  AnswerAll({Keyed("x")});
  learner_.Forget();
  EXPECT_EQ(AwaitQuestion(), nullptr) << "not before the next map";
  learner_.OnMapAdopted();
  AnswerAll({Keyed("x"), Keyed("y")});
  EXPECT_EQ(published_.size(), 2u);
}

TEST_F(CommandLearnerTest, ATableThatComesBackIsTheOneThatWas) {
  sim.config.learn_commands_interval_ms = 100;
  const auto learn = [this](const std::string& name) {
    // One that does not tell makes the next map ask again.
    learner_.OnMapAdopted();
    Answer(cluster::CommandReplyForTest({Keyed(name)}));
    Answer(cluster::CommandReplyForTest({Keyed(name)}));
    Answer("-ERR no\r\n");
    Settle();
  };
  for (const char* name : {"x", "y", "x"}) learn(name);
  ASSERT_EQ(published_.size(), 3u);
  EXPECT_EQ(published_[0], published_[2]);
  for (size_t i = 2; i < CommandLearner::kTablesMax; ++i) learn("x" + std::to_string(i));
  const size_t all = published_.size();
  EXPECT_EQ(all, CommandLearner::kTablesMax + 1);
  learn("one.too.many");
  EXPECT_EQ(published_.size(), all) << "workers keep each, so there is a last one";
  learn("y");
  EXPECT_EQ(published_.size(), all + 1) << "but the old ones are still there";
}

TEST_F(CommandLearnerTest, StopsWithAQuestionOnItsWay) {
  learner_.OnMapAdopted();
  NodeForTest* node = AwaitQuestion();
  learner_.Stop();
  Reply(*node, cluster::CommandReplyForTest({Keyed("x")}));
  EXPECT_EQ(AwaitQuestion(), nullptr);
  EXPECT_TRUE(published_.empty());
}

}  // namespace
}  // namespace rcproxy::proxy
