#include "proxy/flags.h"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include <string>

namespace rcproxy::proxy {
namespace {

// Flags are as after the start of the process again when a test is over.
class FlagsTest : public testing::Test {
 protected:
  FlagsTest() { Set("startup_nodes", "127.0.0.1:7000"); }

  void Set(const char* name, const char* value) {
    ASSERT_NE(gflags::SetCommandLineOption(name, value), "") << name;
  }
  std::string Error() {
    const absl::StatusOr<Config> config = ConfigFromFlags();
    return config.ok() ? "" : std::string(config.status().message());
  }

 private:
  gflags::FlagSaver saver_;
};

TEST_F(FlagsTest, TheDefaultsAreValidWithStartupNodes) {
  const absl::StatusOr<Config> config = ConfigFromFlags();
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->listen.size(), 1u);
  EXPECT_EQ(config->listen[0].ToString(), "127.0.0.1:8088");
  EXPECT_GE(config->workers, 1) << "0 means one per processor";
}

// A default that differs from Config's own would be tested nowhere else.
TEST_F(FlagsTest, TheDefaultsAreThoseOfConfig) {
  const Config config = *ConfigFromFlags();
  const Config own;
  EXPECT_EQ(config.connect_timeout_ms, own.connect_timeout_ms);
  EXPECT_EQ(config.request_timeout_ms, own.request_timeout_ms);
  EXPECT_EQ(config.slots_reload_interval_ms, own.slots_reload_interval_ms);
  EXPECT_EQ(config.learn_commands, own.learn_commands);
  EXPECT_EQ(config.learn_commands_interval_ms, own.learn_commands_interval_ms);
  EXPECT_EQ(config.client_idle_timeout_s, own.client_idle_timeout_s);
  EXPECT_EQ(config.startup_timeout_s, own.startup_timeout_s);
  EXPECT_EQ(config.drain_timeout_s, own.drain_timeout_s);
  EXPECT_EQ(config.maxclients, own.maxclients);
  EXPECT_EQ(config.client_pipeline_max, own.client_pipeline_max);
  EXPECT_EQ(config.client_output_soft_bytes, own.client_output_soft_bytes);
  EXPECT_EQ(config.client_output_hard_bytes, own.client_output_hard_bytes);
  EXPECT_EQ(config.memory_limit_bytes, own.memory_limit_bytes);
  EXPECT_EQ(config.request_args_max, own.request_args_max);
  EXPECT_EQ(config.request_bulk_bytes_max, own.request_bulk_bytes_max);
  EXPECT_EQ(config.request_bytes_max, own.request_bytes_max);
  EXPECT_EQ(config.redirects_max, own.redirects_max);
  EXPECT_EQ(config.backend_idle_connections, own.backend_idle_connections);
  EXPECT_EQ(config.backend_idle_timeout_s, own.backend_idle_timeout_s);
  EXPECT_EQ(config.own_connections_max, own.own_connections_max);
  EXPECT_EQ(config.own_connections_total_max, own.own_connections_total_max);
  EXPECT_EQ(config.own_connections_opening_max, own.own_connections_opening_max);
  EXPECT_EQ(config.databases_max, own.databases_max);
  EXPECT_EQ(config.transaction_commands_max, own.transaction_commands_max);
  EXPECT_EQ(config.transactions, own.transactions);
  EXPECT_EQ(config.read_prefer, own.read_prefer);
  EXPECT_EQ(config.replica_read_prefer, own.replica_read_prefer);
  EXPECT_EQ(config.zone_spill_requests, own.zone_spill_requests);
  EXPECT_EQ(config.read_your_writes_ms, own.read_your_writes_ms);
  EXPECT_EQ(config.replica_lag_bytes_max, own.replica_lag_bytes_max);
  EXPECT_EQ(config.hedge_reads_after_ms, own.hedge_reads_after_ms);
  EXPECT_EQ(config.hedge_reads_budget, own.hedge_reads_budget);
  EXPECT_TRUE(config.replica_listen.empty());
  EXPECT_EQ(config.face, own.face);
  EXPECT_TRUE(config.announce.empty());
  EXPECT_EQ(config.function_bytes_max, own.function_bytes_max);
  EXPECT_EQ(config.zero_copy_min_bytes, own.zero_copy_min_bytes);
  EXPECT_EQ(config.retry_idempotent_writes, own.retry_idempotent_writes);
  EXPECT_EQ(config.retry_blocking_pops, own.retry_blocking_pops);
  EXPECT_EQ(config.shed_queue_delay_ms, own.shed_queue_delay_ms);
  EXPECT_EQ(config.upstream_ping_ms, own.upstream_ping_ms);
  EXPECT_EQ(config.upstream_silence_ms, own.upstream_silence_ms);
}

TEST_F(FlagsTest, EveryFlagReachesTheConfiguration) {
  Set("addr", "/tmp/a.sock,[::1]:99");
  Set("startup_nodes", "a:1,b:2");
  Set("workers", "3");
  Set("connect_timeout", "250ms");
  Set("request_timeout", "2s");
  Set("slots_reload_interval", "1500");
  Set("learn_commands", "false");
  Set("learn_commands_interval", "3s");
  Set("timeout", "60");
  Set("maxclients", "5");
  Set("client_pipeline_max", "7");
  Set("read_prefer", "2");
  Set("replica_read_prefer", "nearest");
  Set("zone_prefix", "10.1.");
  Set("zone", "a");
  Set("zone_map", "10.1.=a");
  Set("zone_spill_requests", "9");
  Set("read_your_writes", "250ms");
  Set("replica_lag_bytes_max", "1000");
  Set("hedge_reads_after", "15ms");
  Set("hedge_reads_budget", "20");
  Set("replica_addr", "127.0.0.1:98");
  Set("requirepass", "secret");
  Set("upstream_username", "user");
  Set("upstream_password", "word");
  Set("memory_limit_bytes", "33554432");
  Set("face", "cluster");
  Set("announce", "10.0.0.1:6379,10.0.0.2:6379");
  Set("function_bytes_max", "0");
  Set("own_connections_total_max", "70");
  Set("own_connections_opening_max", "20");
  Set("databases_max", "4");
  Set("transaction_commands_max", "80");
  Set("transactions", "split");
  Set("retry_idempotent_writes", "true");
  Set("retry_blocking_pops", "true");
  Set("shed_queue_delay", "70ms");
  Set("upstream_ping_interval", "3s");
  Set("upstream_silence_timeout", "900ms");
  const absl::StatusOr<Config> config = ConfigFromFlags();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen.size(), 2u);
  EXPECT_EQ(config->startup_nodes.size(), 2u);
  EXPECT_EQ(config->workers, 3);
  EXPECT_EQ(config->connect_timeout_ms, 250);
  EXPECT_EQ(config->request_timeout_ms, 2000);
  EXPECT_EQ(config->slots_reload_interval_ms, 1500) << "a number without a unit is milliseconds";
  EXPECT_FALSE(config->learn_commands);
  EXPECT_EQ(config->learn_commands_interval_ms, 3000);
  EXPECT_EQ(config->client_idle_timeout_s, 60);
  EXPECT_EQ(config->maxclients, 5u);
  EXPECT_EQ(config->client_pipeline_max, 7u);
  EXPECT_EQ(config->read_prefer, ReadPreference::kPreferReplica);
  EXPECT_EQ(config->replica_read_prefer, ReadPreference::kNearest);
  EXPECT_EQ(config->zones.own_prefix, "10.1.");
  EXPECT_EQ(config->zones.own, "a");
  EXPECT_EQ(config->zones.rules.size(), 1u);
  EXPECT_EQ(config->zone_spill_requests, 9u);
  EXPECT_EQ(config->read_your_writes_ms, 250);
  EXPECT_FALSE(config->read_your_writes_by_offset);
  EXPECT_EQ(config->replica_lag_bytes_max, 1000u);
  EXPECT_EQ(config->hedge_reads_after_ms, 15);
  EXPECT_EQ(config->hedge_reads_budget, 20u);
  EXPECT_EQ(config->replica_listen.size(), 1u);
  EXPECT_EQ(config->requirepass, "secret");
  EXPECT_EQ(config->upstream_username, "user");
  EXPECT_EQ(config->upstream_password, "word");
  EXPECT_EQ(config->memory_limit_bytes, 33554432u);
  EXPECT_EQ(config->face, Face::kCluster);
  EXPECT_EQ(config->own_connections_total_max, 70u);
  EXPECT_EQ(config->own_connections_opening_max, 20u);
  EXPECT_EQ(config->databases_max, 4u);
  EXPECT_EQ(config->transaction_commands_max, 80u);
  EXPECT_EQ(config->transactions, Transactions::kSplit);
  EXPECT_EQ(config->announce.size(), 2u);
  EXPECT_EQ(config->function_bytes_max, 0u);
  EXPECT_TRUE(config->retry_idempotent_writes);
  EXPECT_TRUE(config->retry_blocking_pops);
  EXPECT_EQ(config->shed_queue_delay_ms, 70);
  EXPECT_EQ(config->upstream_ping_ms, 3000);
  EXPECT_EQ(config->upstream_silence_ms, 900);
}

TEST_F(FlagsTest, TimesThatAreNoneNameTheFlag) {
  Set("request_timeout", "soon");
  EXPECT_EQ(Error(), "--request_timeout: \"soon\" is not a time such as 250ms or 5s");
}

TEST_F(FlagsTest, ATimeIsNotCutToNothing) {
  Set("shed_queue_delay", "500us");
  EXPECT_EQ(Error(), "--shed_queue_delay: \"500us\" is not a whole number of milliseconds");
  Set("shed_queue_delay", "1.5s");
  const absl::StatusOr<Config> config = ConfigFromFlags();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->shed_queue_delay_ms, 1500);
}

TEST_F(FlagsTest, OwnWritesAreReadByOffsetOrForATime) {
  Set("read_your_writes", "offset");
  const absl::StatusOr<Config> config = ConfigFromFlags();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->read_your_writes_by_offset);
  EXPECT_EQ(config->read_your_writes_ms, 0);
  Set("read_your_writes", "offsets");
  EXPECT_EQ(Error(),
            "--read_your_writes: \"offsets\" is neither offset nor a time such as 250ms or 5s");
}

TEST_F(FlagsTest, TimesOutOfAnyUseAreRefused) {
  for (const char* time : {"inf", "-1s", "0", "999999999999h"}) {
    Set("connect_timeout", time);
    EXPECT_NE(Error().find("--connect_timeout"), std::string::npos) << time << ": " << Error();
  }
}

TEST_F(FlagsTest, ErrorsOfThePartsAreHandedOn) {
  Set("addr", "nowhere");
  EXPECT_NE(Error().find("--addr"), std::string::npos);
  Set("addr", "");
  EXPECT_EQ(Error(), "--addr is empty");
  Set("addr", "127.0.0.1:1");
  Set("startup_nodes", "");
  EXPECT_NE(Error().find("--startup_nodes"), std::string::npos);
  Set("startup_nodes", "a:1");
  Set("replica_addr", "nowhere");
  EXPECT_NE(Error().find("--replica_addr"), std::string::npos);
  Set("replica_addr", "");
  Set("read_prefer", "9");
  EXPECT_NE(Error().find("--read_prefer"), std::string::npos);
  Set("read_prefer", "2");
  EXPECT_NE(Error().find("--zone_prefix"), std::string::npos);
  Set("read_prefer", "0");
  Set("replica_read_prefer", "2");
  EXPECT_NE(Error().find("--replica_read_prefer=2 needs --zone"), std::string::npos);
  Set("replica_read_prefer", "far");
  EXPECT_NE(Error().find("--replica_read_prefer: \"far\""), std::string::npos);
  Set("replica_read_prefer", "");
  Set("read_prefer", "2");
  Set("zone", "a");
  Set("zone_map", "10.");
  EXPECT_NE(Error().find("--zone_map"), std::string::npos);
  Set("zone_map", "");
  Set("transactions", "any");
  EXPECT_EQ(Error(), "--transactions: \"any\" is not slot or split");
  Set("transactions", "slot");
  Set("face", "two");
  EXPECT_NE(Error().find("--face"), std::string::npos);
  Set("face", "cluster");
  Set("announce", "nowhere");
  EXPECT_NE(Error().find("--announce"), std::string::npos);
}

}  // namespace
}  // namespace rcproxy::proxy
