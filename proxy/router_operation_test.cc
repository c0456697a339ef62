// Commands for every node, and operations: several questions, one reply.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/errors.h"
#include "proxy/operation.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using Verdict = Router::Verdict;
using Answers = std::span<const std::string_view>;

class ScriptedOperation final : public Operation {
 public:
  using Step = std::function<void(Answers, Round*)>;
  ScriptedOperation(std::vector<Step> steps, int* alive) : steps_(std::move(steps)), alive_(alive) {
    ++*alive_;
  }
  ~ScriptedOperation() override { --*alive_; }
  void Next(Answers answers, Round* round) override { steps_.at(next_++)(answers, round); }

 private:
  std::vector<Step> steps_;
  size_t next_ = 0;
  int* alive_;
};

class RouterOperationTest : public testing::Test, public RouterForTest {
 protected:
  ~RouterOperationTest() override { EXPECT_EQ(alive_, 0); }

  Verdict Start(ClientForTest* to, std::vector<ScriptedOperation::Step> steps) {
    return router.Start(&to->replies, *cluster::FindCommand("scan"),
                        std::make_unique<ScriptedOperation>(std::move(steps), &alive_));
  }
  static void FinishWithAll(Answers answers, Round* round) {
    std::string all = "+";
    for (const std::string_view answer : answers) all += answer.substr(1, answer.size() - 3);
    round->Finish(all + "\r\n");
  }

  int alive_ = 0;
};

TEST_F(RouterOperationTest, ACommandForAllPrimariesGoesToEachAndIsMerged) {
  OpenAll();
  SendNow("DBSIZE");
  EXPECT_EQ(a.Take(), Wire("DBSIZE"));
  EXPECT_EQ(b.Take(), Wire("DBSIZE"));
  EXPECT_EQ(c.Take(), Wire("DBSIZE"));
  Reply(c, ":100\r\n");
  Reply(a, ":20\r\n");
  EXPECT_FALSE(client.HasOutput());
  Reply(b, ":3\r\n");
  EXPECT_EQ(client.Take(), ":123\r\n");
}

TEST_F(RouterOperationTest, AnErrorOfOnePrimaryIsTheReply) {
  OpenAll();
  SendNow("FLUSHALL");
  Reply(a, "+OK\r\n");
  Reply(b, "-NOPERM no\r\n");
  Reply(c, "+OK\r\n");
  EXPECT_EQ(client.Take(), "-NOPERM no (a part: of 3 parts 2 done, 1 failed, 0 unknown)\r\n");
  SendNow("FLUSHALL x");
  for (NodeForTest* node : {&a, &b, &c}) Reply(*node, "-ERR syntax error\r\n");
  EXPECT_EQ(client.Take(), "-ERR syntax error\r\n") << "nobody has done anything";
}

TEST_F(RouterOperationTest, AnOrderAmongOneClientsCommandsIsKeptAtEachNode) {
  OpenAll();
  Send("SET b 1");
  Send("DBSIZE");
  Send("SET b 2");
  Settle();
  EXPECT_EQ(a.Take(), Wire("SET b 1") + Wire("DBSIZE") + Wire("SET b 2"));
}

// The owner of the slot may be another than rcproxy knows: FLUSHALL would be there before SET.
TEST_F(RouterOperationTest, AWriteForAllPrimariesWaitsForWhatWasAskedBefore) {
  OpenAll();
  Send("SET b 1");
  EXPECT_FALSE(Send("FLUSHALL"));
  Settle();
  EXPECT_EQ(a.Take(), Wire("SET b 1"));
  Reply(a, Moved(3300, 'B'));
  EXPECT_FALSE(Send("FLUSHALL"));
  EXPECT_EQ(b.Take(), Wire("SET b 1"));
  Reply(b, "+OK\r\n");
  EXPECT_TRUE(Send("FLUSHALL"));
  EXPECT_TRUE(Send("SET b 2"));
  Settle();
  EXPECT_EQ(b.Take(), Wire("FLUSHALL") + Wire("SET b 2"));
}

TEST_F(RouterOperationTest, WithoutAnyPrimaryItIsAnErrorAtOnce) {
  table.Adopt(cluster::Topology({NodeNamed('A', true)}, {{0, {}}}, {}));
  SendNow("DBSIZE");
  EXPECT_EQ(client.Take(), kErrorSlotNotServed);
  EXPECT_GT(topology.requests, 0);
}

TEST_F(RouterOperationTest, APartForAPrimaryThatIsReplacedGoesToItsSuccessor) {
  sim.network.SetConnectMode("10.0.0.1:7000", sim::ConnectMode::kSilent);
  Send("DBSIZE");
  Settle();
  Reply(b, ":1\r\n");
  Reply(c, ":1\r\n");
  table.Adopt(cluster::Topology({NodeNamed('B', true), NodeNamed('C', true)}, {{0, {}}, {1, {}}},
                                {{0, 10922, 0}, {10923, 16383, 1}}));
  router.OnTopologyChanged();
  Settle();
  b.Take();
  Reply(b, ":5\r\n");
  EXPECT_EQ(client.Take(), ":7\r\n");
}

TEST_F(RouterOperationTest, ACommandForAllNodesGoesToReplicasToo) {
  table.Adopt(cluster::Topology({NodeNamed('A', true), NodeNamed('B', false)}, {{0, {1}}},
                                {{0, 16383, 0}}));
  const cluster::CommandSpec* load =
      cluster::FindSubcommand(*cluster::FindCommand("script"), "load");
  ASSERT_NE(load, nullptr);
  const cluster::CommandForTest command(cluster::Words("SCRIPT LOAD x"));
  router.Route(&client.replies, *load, command.view(), nullptr);
  sim.RunUntil([this] { return a.HasInput() && b.HasInput(); });
  EXPECT_EQ(a.Take(), Wire("SCRIPT LOAD x"));
  EXPECT_EQ(b.Take(), Wire("SCRIPT LOAD x"));
  Reply(b, "+sha\r\n");
  Reply(a, "+sha\r\n");
  EXPECT_EQ(client.Take(), "+sha\r\n");
}

TEST_F(RouterOperationTest, AnOperationAsksRoundAfterRound) {
  OpenAll();
  const Verdict verdict = Start(&client, {[](Answers answers, Round* round) {
                                            EXPECT_TRUE(answers.empty());
                                            round->AskSlot(3300, Wire("DBSIZE"), true);
                                            round->AskNode(AddressOf('C'), Wire("ROLE"), true);
                                          },
                                          [](Answers answers, Round* round) {
                                            ASSERT_EQ(answers.size(), 2u);
                                            EXPECT_EQ(answers[0], ":1\r\n");
                                            EXPECT_EQ(answers[1], "+master\r\n");
                                            round->AskSlot(7365, Wire("RANDOMKEY"), true);
                                          },
                                          FinishWithAll});
  EXPECT_EQ(verdict, Verdict::kTaken);
  Settle();
  EXPECT_EQ(a.Take(), Wire("DBSIZE"));
  EXPECT_EQ(c.Take(), Wire("ROLE"));
  Reply(c, "+master\r\n");
  Reply(a, ":1\r\n");
  EXPECT_EQ(b.Take(), Wire("RANDOMKEY"));
  Reply(b, "+key\r\n");
  EXPECT_EQ(client.Take(), "+key\r\n");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
  EXPECT_EQ(client.replies.in_flight(), 0u);
  EXPECT_EQ(client.replies.bytes(), 0u);
}

TEST_F(RouterOperationTest, AnOperationMayFinishWithoutAsking) {
  Start(&client, {[](Answers, Round* round) { round->Finish("+at once\r\n"); }});
  EXPECT_EQ(client.Take(), "+at once\r\n");
}

TEST_F(RouterOperationTest, WhatFollowsWaitsUntilItHasFinished) {
  OpenAll();
  Start(&client,
        {[](Answers, Round* round) { round->AskSlot(3300, Wire("DBSIZE"), true); }, FinishWithAll});
  EXPECT_FALSE(Send("GET b"));
  ClientForTest other(sim.resources);
  EXPECT_TRUE(Send(&other, "GET b"));
  Settle();
  Reply(a, "+1\r\n+x\r\n");
  EXPECT_EQ(client.Take(), "+1\r\n");
  EXPECT_TRUE(Send("GET b"));
}

TEST_F(RouterOperationTest, ItWaitsForWhatWasAskedBefore) {
  OpenAll();
  SendNow("GET b");
  EXPECT_EQ(Start(&client, {FinishWithAll}), Verdict::kWait);
  EXPECT_EQ(alive_, 0);
}

TEST_F(RouterOperationTest, ItsQuestionsFollowRedirectsAndAreTriedAgain) {
  OpenAll();
  Start(&client,
        {[](Answers, Round* round) { round->AskSlot(3300, Wire("GET b"), true); }, FinishWithAll});
  Settle();
  a.Take();
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "-LOADING Redis is loading the dataset in memory\r\n");
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "+v\r\n");
  EXPECT_EQ(client.Take(), "+v\r\n");
}

TEST_F(RouterOperationTest, AClientThatLeavesEndsIt) {
  OpenAll();
  {
    ClientForTest leaving(sim.resources);
    Start(&leaving, {[](Answers, Round* round) { round->AskSlot(3300, Wire("DBSIZE"), true); },
                     FinishWithAll});
    Settle();
    EXPECT_EQ(alive_, 1);
    leaving.Leave();
  }
  EXPECT_EQ(alive_, 0);
  Reply(a, ":1\r\n");
  EXPECT_EQ(sim.resources.requests.live(), 0u);
}

TEST_F(RouterOperationTest, ANodeThatCannotBeReachedAnswersWithAnError) {
  sim.config.request_timeout_ms = 100;
  sim.network.SetConnectMode("10.0.0.3:7000", sim::ConnectMode::kRefuse);
  Start(&client, {[](Answers, Round* round) { round->AskNode(AddressOf('C'), Wire("ROLE"), true); },
                  [](Answers answers, Round* round) { round->Finish(std::string(answers[0])); }});
  EXPECT_EQ(Await(), kErrorUnreachable);
}

TEST_F(RouterOperationTest, MayWaitForSomebodyElse) {
  OpenAll();
  uint64_t id = 0;
  const auto wait = [&id](Answers, Round* round) { id = round->Wait(); };
  ASSERT_EQ(Start(&client, {wait, FinishWithAll}), Verdict::kTaken);
  EXPECT_EQ(Offer(&client, {"GET", kKeyOfA}), Verdict::kWait);
  const std::string_view answers[] = {"+one\r\n", "+two\r\n"};
  router.Resume(id + 1, answers);
  EXPECT_FALSE(client.HasOutput());
  router.Resume(id, answers);
  EXPECT_EQ(client.Take(), "+onetwo\r\n");
  EXPECT_TRUE(client.replies.empty());
  router.Resume(id, answers);  // Too late: nothing waits.
  EXPECT_FALSE(client.HasOutput());
}

TEST_F(RouterOperationTest, WhoeverIsWaitedForMayAnswerAfterTheClientHasLeft) {
  uint64_t id = 0;
  {
    ClientForTest other{sim.resources};
    Start(&other, {[&id](Answers, Round* round) { id = round->Wait(); }, FinishWithAll});
    EXPECT_EQ(alive_, 1);
  }
  EXPECT_EQ(alive_, 0);
  router.Resume(id, {});
}

}  // namespace
}  // namespace rcproxy::proxy
