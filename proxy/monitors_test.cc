#include "proxy/monitors.h"

#include <gtest/gtest.h>

#include <string>
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
  void ShowOnAllWorkers(std::string line) override { monitors_.Show(line); }
  void CountMonitorOnAllWorkers(int difference, uint64_t) override { monitors_.Count(difference); }

  std::string Begin() {
    const auto operation = monitors_.Begin(&monitor_);
    Round told;
    operation->Next({}, &told);
    EXPECT_TRUE(told.waits());
    EXPECT_FALSE(monitor_.IsLinked());
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
  Monitor monitor_{sim_.resources, client_.replies};
  Session session_;
};

TEST_F(MonitorsTest, AClientSeesCommandsFromItsReplyOnAndUntilItIsRemoved) {
  EXPECT_FALSE(sim_.resources.observed);
  EXPECT_EQ(Note("GET a"), "");
  EXPECT_EQ(Begin(), "+OK\r\n");
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

TEST_F(MonitorsTest, CommandsAreObservedAllTheTimeWhenTheyAreLogged) {
  sim_.config.log_every_n = 10;
  Begin();
  monitors_.Remove(&monitor_);
  EXPECT_TRUE(sim_.resources.observed);
}

}  // namespace
}  // namespace rcproxy::proxy
