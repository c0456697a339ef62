#include "proxy/watch.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {
namespace {

constexpr uint16_t kSlot = 7;
const std::string kWatch = Multibulk({"WATCH", "k"});
const std::string kUnit = "MULTI to EXEC";

class WatchTest : public testing::Test, public LinkForTest {
 protected:
  // The next round of `operation`, which has been answered `answer`; none when that is empty.
  static Round Next(Operation& operation, std::string_view answer = {}) {
    Round round;
    if (answer.empty()) {
      operation.Next({}, &round);
    } else {
      const std::string_view answers[] = {answer};
      operation.Next(answers, &round);
    }
    return round;
  }
  void Hold(Watch* watch, bool resp3 = false) { watch->held.Take(upstream.TakeOwnLink(resp3)); }
  // One whose node has agreed.
  std::unique_ptr<Watch> Watching(bool resp3 = false) {
    auto watch = std::make_unique<Watch>(kSlot);
    Hold(watch.get(), resp3);
    watch->is_watching = true;
    return watch;
  }
};

TEST_F(WatchTest, TheConnectionIsKeptWhenTheNodeAgrees) {
  Watch watch(kSlot);
  const auto operation = MakeWatchOperation(&watch, kWatch);
  const Round asked = Next(*operation);
  ASSERT_EQ(asked.questions().size(), 1u);
  EXPECT_EQ(asked.questions()[0].command, kWatch);
  EXPECT_EQ(asked.questions()[0].slot, kSlot);
  EXPECT_EQ(asked.questions()[0].held, &watch.held);
  Hold(&watch);
  EXPECT_EQ(Next(*operation, "+OK\r\n").reply(), "+OK\r\n");
  EXPECT_TRUE(watch.is_watching);
  EXPECT_NE(watch.held.link(), nullptr);
}

TEST_F(WatchTest, AndNotWhenItRefuses) {
  Watch watch(kSlot);
  const auto operation = MakeWatchOperation(&watch, kWatch);
  Next(*operation);
  Hold(&watch);
  EXPECT_EQ(Next(*operation, "-NOPERM no\r\n").reply(), "-NOPERM no\r\n");
  EXPECT_FALSE(watch.is_watching);
  EXPECT_EQ(watch.held.link(), nullptr);
}

TEST_F(WatchTest, ARefusalLeavesWhatIsWatchedAlready) {
  const auto watch = Watching();
  const auto operation = MakeWatchOperation(watch.get(), kWatch);
  Next(*operation);
  Next(*operation, "-NOPERM no\r\n");
  EXPECT_FALSE(watch->IsBroken());
}

TEST_F(WatchTest, ExecGoesWhereTheKeysAreWatched) {
  auto watch = Watching();
  HeldLink* const held = &watch->held;
  UpstreamConnection* const own = held->link();
  const auto operation = MakeExecOperation(std::move(watch), kUnit, resp::Protocol::kResp2);
  const Round asked = Next(*operation);
  ASSERT_EQ(asked.questions().size(), 1u);
  EXPECT_EQ(asked.questions()[0].command, kUnit);
  EXPECT_EQ(asked.questions()[0].held, held);
  EXPECT_TRUE(asked.questions()[0].is_unit);
  EXPECT_FALSE(asked.questions()[0].repeatable);
  EXPECT_EQ(Next(*operation, "*1\r\n+OK\r\n").reply(), "*1\r\n+OK\r\n");
  EXPECT_FALSE(own->is_held());
}

TEST_F(WatchTest, WhatIsLostIsNotExecuted) {
  auto watch = Watching();
  watch->held.Close();
  EXPECT_TRUE(watch->IsBroken());
  EXPECT_EQ(Next(*MakeWatchOperation(watch.get(), kWatch)).reply(), "+OK\r\n");
  EXPECT_EQ(Next(*MakeExecOperation(std::move(watch), kUnit, resp::Protocol::kResp2)).reply(),
            "*-1\r\n");
}

TEST_F(WatchTest, NorWhatHasBeenWatchedInAnotherProtocol) {
  EXPECT_EQ(Next(*MakeExecOperation(Watching(), kUnit, resp::Protocol::kResp3)).reply(), "_\r\n");
  EXPECT_EQ(Next(*MakeExecOperation(Watching(true), kUnit, resp::Protocol::kResp2)).reply(),
            "*-1\r\n");
}

TEST_F(WatchTest, UnwatchGivesTheConnectionBackClean) {
  auto watch = Watching();
  UpstreamConnection* const own = watch->held.link();
  const auto operation = MakeUnwatchOperation(std::move(watch), "+OK\r\n");
  EXPECT_EQ(Next(*operation).questions()[0].command, Multibulk({"UNWATCH"}));
  EXPECT_EQ(Next(*operation, "+OK\r\n").reply(), "+OK\r\n");
  EXPECT_FALSE(own->is_held());
  EXPECT_EQ(upstream.TakeOwnLink(/*resp3=*/false), own);
  upstream.ReturnOwnLink(own);
}

TEST_F(WatchTest, UnwatchAnswersWhateverBecomesOfTheConnection) {
  auto lost = Watching();
  lost->held.Close();
  EXPECT_EQ(Next(*MakeUnwatchOperation(std::move(lost), "-no\r\n")).reply(), "-no\r\n");
  const auto operation = MakeUnwatchOperation(Watching(), "+OK\r\n");
  Next(*operation);
  EXPECT_EQ(Next(*operation, "-ERR upstream unreachable\r\n").reply(), "+OK\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
