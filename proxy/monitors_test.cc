#include "proxy/monitors.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/command_for_test.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

class MonitorsTest : public testing::Test, private MonitorHost {
 protected:
  ~MonitorsTest() override {
    if (monitor_.IsLinked()) monitors_.Remove(&monitor_);
  }
  // What all workers have been told comes at once.
  void OnAllWorkers(std::function<void(Monitors&)> what, uint64_t) override { what(monitors_); }

  std::string Begin(MonitorFilter filter = {}) {
    const auto operation = monitors_.Begin(&monitor_, std::move(filter));
    Round told;
    operation->Next({}, &told);
    EXPECT_TRUE(told.waits());
    Round all_know;
    operation->Next({}, &all_know);
    return all_know.reply();
  }
  // What the client sees of a command.
  std::string Note(std::string_view line) {
    const cluster::CommandForTest command(cluster::Words(line));
    monitors_.Note(session_, *cluster::FindCommand(command.view()[0]), command.view());
    const std::string seen = client_.Take();
    return seen.substr(seen.find(']') + 1);
  }

  SimForTest sim_;
  ClientForTest client_{sim_.resources};
  Monitors monitors_{sim_.resources, *this};
  Monitor monitor_{sim_.resources, client_.replies, /*client=*/1};
  Session session_;
};

TEST_F(MonitorsTest, AClientSeesCommandsFromItsReplyOnAndUntilItIsRemoved) {
  EXPECT_FALSE(sim_.resources.observed);
  EXPECT_EQ(Note("GET a"), "");
  EXPECT_FALSE(monitor_.IsLinked());
  EXPECT_EQ(Begin(), "+OK\r\n");
  EXPECT_TRUE(monitor_.IsLinked());
  EXPECT_TRUE(sim_.resources.observed);
  EXPECT_EQ(Note("GET a"), " \"GET\" \"a\"\r\n");
  EXPECT_EQ(Note("SHUTDOWN"), "") << "not what administrators do";
  monitors_.Remove(&monitor_);
  EXPECT_FALSE(sim_.resources.observed);
  EXPECT_EQ(Note("GET a"), "");
}

TEST_F(MonitorsTest, AboveTheRateLinesAreLeftOutAndCounted) {
  sim_.config.monitor_lines_per_s = 2;
  Begin();
  EXPECT_NE(Note("GET a"), "");
  EXPECT_NE(Note("GET a"), "");
  EXPECT_EQ(Note("GET a"), "");
  EXPECT_EQ(sim_.stats.monitor_lines_dropped.value(), 1u);
  sim_.RunFor(sim::kSecond);
  EXPECT_NE(Note("GET a"), "");
}

TEST_F(MonitorsTest, OnlyWhatIsWantedIsShownAndCountsForTheRate) {
  sim_.config.monitor_lines_per_s = 1;
  Begin({.key_pattern = "a*", .commands = {}, .address = {}, .client_id = {}});
  EXPECT_EQ(Note("GET b"), "");
  EXPECT_EQ(Note("GET a1"), " \"GET\" \"a1\"\r\n");
  EXPECT_EQ(sim_.stats.monitor_lines_dropped.value(), 0u);
  EXPECT_EQ(Begin(), "+OK\r\n") << "all, from now on";
  sim_.RunFor(sim::kSecond);
  EXPECT_EQ(Note("GET b"), " \"GET\" \"b\"\r\n");
}

TEST_F(MonitorsTest, WhatAnotherClientWantsToSeeIsNotForThisOne) {
  ClientForTest other_client{sim_.resources};
  Monitor other{sim_.resources, other_client.replies, /*client=*/2};
  Begin({.key_pattern = {}, .commands = {"set"}, .address = {}, .client_id = {}});
  const auto operation = monitors_.Begin(&other, {});
  Round told, all_know;
  operation->Next({}, &told);
  operation->Next({}, &all_know);
  EXPECT_EQ(Note("GET a"), "");
  EXPECT_NE(other_client.Take().find("\"GET\" \"a\""), std::string::npos);
  EXPECT_NE(Note("SET a 1"), "");
  EXPECT_NE(other_client.Take().find("\"SET\""), std::string::npos);
  monitors_.Remove(&other);
  EXPECT_TRUE(sim_.resources.observed);
}

TEST_F(MonitorsTest, QueuedCommandsAreShownOneByOne) {
  Begin();
  monitors_.NoteAll(session_, Multibulk({"SET", "a", "1"}) +
                                  Multibulk({"CONFIG", "SET", "a", "1"}) + Multibulk({"GET", "a"}));
  const std::string seen = client_.Take();
  EXPECT_NE(seen.find("\"SET\" \"a\" \"1\"\r\n"), std::string::npos);
  EXPECT_NE(seen.find("\"GET\" \"a\"\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("CONFIG"), std::string::npos);
}

TEST_F(MonitorsTest, CommandsAreObservedAllTheTimeWhenTheyAreLogged) {
  sim_.config.log_every_n = 10;
  Begin();
  monitors_.Remove(&monitor_);
  EXPECT_TRUE(sim_.resources.observed);
}

}  // namespace
}  // namespace rcproxy::proxy
