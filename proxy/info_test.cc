#include "proxy/info.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/config.h"
#include "proxy/server_facts.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {
namespace {

class InfoTest : public testing::Test {
 protected:
  InfoTest() {
    facts_.config = &config_;
    facts_.workers = {&workers_[0], &workers_[1]};
    facts_.run_id = std::string(40, '1');
    facts_.kernel_features = "multishot";
    facts_.executable = "/usr/bin/rcproxy";
    facts_.tcp_port = 8088;
  }

  std::string Info(const std::vector<std::string_view>& sections) {
    return InfoText(facts_, sections);
  }
  // What stands behind "name:" in `text`; "absent" when there is no such line.
  static std::string Field(const std::string& text, const std::string& name) {
    const std::string begin = "\r\n" + name + ":";
    const size_t at = text.find(begin);
    if (at == std::string::npos) return "absent";
    const size_t value = at + begin.size();
    return text.substr(value, text.find("\r\n", value) - value);
  }

  Config config_;
  Stats workers_[2];
  ServerFacts facts_;
};

TEST_F(InfoTest, HasWhatClientsLookFor) {
  config_.maxclients = 123;
  const std::string text = Info({});
  EXPECT_EQ(text.find("# Server\r\n"), 0u);
  EXPECT_EQ(Field(text, "redis_version"), "7.0.15");
  EXPECT_EQ(Field(text, "redis_mode"), "standalone");
  EXPECT_EQ(Field(text, "tcp_port"), "8088");
  EXPECT_EQ(Field(text, "process_id"), std::to_string(getpid()));
  EXPECT_EQ(Field(text, "maxclients"), "123");
  EXPECT_EQ(Field(text, "maxmemory"), "0");
  EXPECT_EQ(Field(text, "loading"), "0");
  EXPECT_EQ(Field(text, "role"), "master");
  EXPECT_EQ(Field(text, "cluster_enabled"), "0");
  EXPECT_EQ(Field(text, "rcproxy_version"), "0.1.0");
  EXPECT_EQ(Field(text, "rcproxy_kernel_features"), "multishot");
  EXPECT_GT(std::stoull(Field(text, "used_memory")), 100'000u);
  EXPECT_GE(std::stod(Field(text, "used_cpu_user")), 0.0);
}

TEST_F(InfoTest, AddsUpTheWorkers) {
  workers_[0].clients_connected.Set(3);
  workers_[1].clients_connected.Set(4);
  workers_[0].commands.Add(10);
  workers_[1].commands.Add(5);
  const std::string text = Info({});
  EXPECT_EQ(Field(text, "connected_clients"), "7");
  EXPECT_EQ(Field(text, "total_commands_processed"), "15");
  EXPECT_EQ(Field(text, "rcproxy_commands"), "15");
  EXPECT_EQ(Field(text, "rcproxy_workers"), "2");
}

TEST_F(InfoTest, BlockedClientsOfAllWorkersAreCounted) {
  workers_[1].clients_blocked.Set(2);
  EXPECT_EQ(Field(Info({"clients"}), "blocked_clients"), "2");
}

TEST_F(InfoTest, ShowsEveryCounter) {
  const std::string text = Info({"proxy"});
#define RCPROXY_EXPECT(name, type, help) EXPECT_EQ(Field(text, "rcproxy_" #name), "0");
  RCPROXY_STATS(RCPROXY_EXPECT)
#undef RCPROXY_EXPECT
}

TEST_F(InfoTest, SectionsAreChosenByNameInAnyCase) {
  EXPECT_EQ(Info({"CLUSTER"}), "# Cluster\r\ncluster_enabled:0\r\n");
  EXPECT_EQ(Info({"keyspace"}), "# Keyspace\r\n");
  EXPECT_EQ(Info({"keyspace", "nosuch", "Modules", "modules"}), "# Modules\r\n\r\n# Keyspace\r\n");
  EXPECT_EQ(Info({"nosuch"}), "");
}

TEST_F(InfoTest, AllIsWhatNoNameIs) {
  for (const std::string_view name : {"all", "DEFAULT", "everything"}) {
    const std::string text = Info({name});
    EXPECT_NE(text.find("\r\n\r\n# Proxy\r\n"), std::string::npos) << name;
    EXPECT_EQ(text.find("# Server\r\n"), 0u) << name;
  }
}

TEST_F(InfoTest, EveryLineIsATitleOrAField) {
  const std::string text = Info({});
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    const std::string line = text.substr(at, end - at);
    EXPECT_TRUE(line.empty() || line.starts_with("# ") || line.find(':') != std::string::npos)
        << line;
    at = end + 2;
  }
}

TEST_F(InfoTest, BytesAreAlsoGivenForReading) {
  workers_[0].memory_bytes.Set(1);
  const std::string text = Info({"memory"});
  EXPECT_EQ(Field(text, "maxmemory_human"), "0B");
  const std::string used = Field(text, "used_memory_human");
  EXPECT_NE(std::string_view("KMG").find(used.back()), std::string_view::npos) << used;
}

}  // namespace
}  // namespace rcproxy::proxy
