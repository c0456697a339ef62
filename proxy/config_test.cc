#include "proxy/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proxy/config_parser.h"

namespace rcproxy::proxy {
namespace {

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(ListenAddressTest, UnderstandsHostAndPort) {
  const struct {
    const char* text;
    const char* host;
    int port;
  } cases[] = {
      {"127.0.0.1:8088", "127.0.0.1", 8088},
      {":6379", "", 6379},
      {"[::1]:80", "::1", 80},
      {"::1:80", "::1", 80},
      {"proxy.example:1", "proxy.example", 1},
      {"*:0", "*", 0},
      {"0.0.0.0:65535", "0.0.0.0", 65535},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(c.text);
    ASSERT_TRUE(address.ok()) << c.text;
    EXPECT_EQ(address->host, c.host) << c.text;
    EXPECT_EQ(address->port, c.port) << c.text;
    EXPECT_EQ(address->unix_path, "") << c.text;
  }
}

TEST(ListenAddressTest, UnderstandsPaths) {
  for (const char* text : {"/run/rcproxy.sock", "unix:/run/rcproxy.sock"}) {
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->unix_path, "/run/rcproxy.sock");
    EXPECT_EQ(address->ToString(), "/run/rcproxy.sock");
  }
}

TEST(ListenAddressTest, RefusesTheRestAndQuotesIt) {
  for (const char* text : {"", "8088", "host", "host:", "host:x", "host:65536", "host:-1",
                           "unix:relative", "host:80x"}) {
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(Message(address.status()).find("neither HOST:PORT"), std::string::npos);
  }
  EXPECT_EQ(Message(ParseListenAddress("host:x").status()),
            "\"host:x\" is neither HOST:PORT nor the path of a Unix socket");
}

TEST(ListenAddressTest, PrintsItself) {
  EXPECT_EQ(ParseListenAddress("127.0.0.1:1")->ToString(), "127.0.0.1:1");
  EXPECT_EQ(ParseListenAddress(":1")->ToString(), "*:1");
  EXPECT_EQ(ParseListenAddress("[::1]:80")->ToString(), "[::1]:80");
}

TEST(ListenAddressTest, NoneIsNamedTwice) {
  for (const char* address : {"127.0.0.1:1", "/a/b"}) {
    Config config;
    config.listen = {*ParseListenAddress(address), *ParseListenAddress("127.0.0.1:2")};
    EXPECT_TRUE(Validate(config).ok());
    config.replica_listen = {*ParseListenAddress(address)};
    EXPECT_EQ(Message(Validate(config)),
              std::string("--addr and --replica_addr name ") + address + " twice");
  }
  Config config;
  config.listen.assign(2, *ParseListenAddress("127.0.0.1:0"));
  EXPECT_TRUE(Validate(config).ok()) << "two ports of the system's choice";
}

TEST(ListenAddressTest, SeveralAreSeparatedByCommas) {
  const auto addresses = ParseListenAddresses("addr", "127.0.0.1:1, /a/b ,[::1]:2,");
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  ASSERT_EQ(addresses->size(), 3u);
  EXPECT_EQ((*addresses)[1].unix_path, "/a/b");
  EXPECT_EQ(Message(ParseListenAddresses("addr", "127.0.0.1:1,bad").status()),
            "--addr: \"bad\" is neither HOST:PORT nor the path of a Unix socket");
  EXPECT_TRUE(ParseListenAddresses("addr", " , ")->empty());
}

TEST(StartupNodesTest, AreHostsAndPorts) {
  const auto nodes = ParseStartupNodes("10.0.0.1:7000,node.example:7001 , [::1]:7002");
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_EQ(nodes->size(), 3u);
  EXPECT_EQ((*nodes)[1].host, "node.example");
  EXPECT_EQ((*nodes)[1].port, 7001);
  EXPECT_EQ((*nodes)[2].host, "::1");
}

TEST(StartupNodesTest, ErrorsNameTheFlag) {
  EXPECT_EQ(Message(ParseStartupNodes("").status()),
            "--startup_nodes is empty: name at least one node of the cluster, HOST:PORT");
  EXPECT_EQ(Message(ParseStartupNodes("host:99999").status()).find("--startup_nodes: "), 0u);
}

TEST(FaceTest, IsOneServerOrACluster) {
  EXPECT_EQ(*ParseFace("standalone"), Face::kStandalone);
  EXPECT_EQ(*ParseFace("cluster"), Face::kCluster);
  EXPECT_EQ(Message(ParseFace("Cluster").status()),
            "--face: \"Cluster\" is not standalone or cluster");
}

TEST(AnnounceTest, IsAListThatMayBeEmpty) {
  EXPECT_TRUE(ParseAnnounce("")->empty());
  EXPECT_EQ(ParseAnnounce("a:1,[::1]:2")->size(), 2u);
  EXPECT_EQ(Message(ParseAnnounce("a").status()).find("--announce: "), 0u);
}

TEST(AnnounceTest, NeedsSomebodyToTell) {
  Config config;
  config.announce = {{"a", 1}};
  EXPECT_NE(Message(Validate(config)).find("--face=cluster"), std::string::npos);
  config.face = Face::kCluster;
  EXPECT_TRUE(Validate(config).ok());
  config.announce.assign(16385, {"a", 1});
  EXPECT_EQ(Message(Validate(config)).find("--announce names 16385 addresses"), 0u);
}

TEST(NodeAddressMapTest, SaysWhereNodesAreReached) {
  Config config;
  config.node_addresses = *ParseNodeAddressMap("10.0.0.1:7000=[::1]:17000, node-2:7000=proxy:1");
  EXPECT_EQ(config.WhereToReach({"10.0.0.1", 7000}), (cluster::NodeAddress{"::1", 17000}));
  EXPECT_EQ(config.WhereToReach({"node-2", 7000}), (cluster::NodeAddress{"proxy", 1}));
  EXPECT_EQ(config.WhereToReach({"10.0.0.1", 7001}), (cluster::NodeAddress{"10.0.0.1", 7001}));
  EXPECT_TRUE(ParseNodeAddressMap("")->empty());
}

TEST(NodeAddressMapTest, ErrorsNameTheFlag) {
  for (const char* list : {"a:1", "a:1=", "=b:1", "a=b:1", "a:1=b", "a:1=b:1,a:1=c:1"}) {
    const auto map = ParseNodeAddressMap(list);
    ASSERT_FALSE(map.ok()) << list;
    EXPECT_NE(Message(map.status()).find("--node_addresses"), std::string::npos) << list;
  }
}

TEST(ReadPreferenceTest, HasNamesAndNumbers) {
  EXPECT_EQ(*ParseReadPreference("primary"), ReadPreference::kPrimary);
  EXPECT_EQ(*ParseReadPreference("0"), ReadPreference::kPrimary);
  EXPECT_EQ(*ParseReadPreference("replica"), ReadPreference::kReplica);
  EXPECT_EQ(*ParseReadPreference("1"), ReadPreference::kPreferReplica) << "as in the Go rcproxy";
  EXPECT_EQ(*ParseReadPreference("2"), ReadPreference::kPreferReplica);
  for (const char* name :
       {"primary", "prefer_primary", "replica", "prefer_replica", "any", "nearest"})
    EXPECT_EQ(NameOf(*ParseReadPreference(name)), name);
  EXPECT_EQ(
      Message(ParseReadPreference("far").status()),
      "--read_prefer: \"far\" is not primary, prefer_primary, replica, prefer_replica, any or "
      "nearest");
}

TEST(ConfigTest, TheDefaultsAreValid) {
  EXPECT_TRUE(Validate(Config()).ok()) << Validate(Config());
}

TEST(ConfigTest, EachBoundNamesItsFlag) {
  const struct {
    const char* flag;
    std::function<void(Config*)> set;
  } cases[] = {
      {"workers", [](Config* c) { c->workers = 0; }},
      {"workers", [](Config* c) { c->workers = -1; }},
      {"workers", [](Config* c) { c->workers = 1025; }},
      {"connect_timeout", [](Config* c) { c->connect_timeout_ms = 0; }},
      {"connect_timeout", [](Config* c) { c->connect_timeout_ms = INT64_MAX; }},
      {"request_timeout", [](Config* c) { c->request_timeout_ms = 9; }},
      {"request_timeout", [](Config* c) { c->request_timeout_ms = INT64_MAX; }},
      {"timeout", [](Config* c) { c->client_idle_timeout_s = -1; }},
      {"timeout", [](Config* c) { c->client_idle_timeout_s = INT64_MAX; }},
      {"slots_reload_interval", [](Config* c) { c->slots_reload_interval_ms = 99; }},
      {"slots_reload_interval", [](Config* c) { c->slots_reload_interval_ms = INT64_MAX; }},
      {"learn_commands_interval", [](Config* c) { c->learn_commands_interval_ms = 99; }},
      {"learn_commands_interval", [](Config* c) { c->learn_commands_interval_ms = INT64_MAX; }},
      {"topology_nodes_asked", [](Config* c) { c->topology_nodes_asked = 0; }},
      {"hold_timeout", [](Config* c) { c->hold_timeout_ms = -1; }},
      {"hold_timeout", [](Config* c) { c->hold_timeout_ms = INT64_MAX; }},
      {"own_connections_opening_max", [](Config* c) { c->own_connections_opening_max = 0; }},
      {"shed_queue_delay", [](Config* c) { c->shed_queue_delay_ms = -1; }},
      {"shed_queue_delay", [](Config* c) { c->shed_queue_delay_ms = INT64_MAX; }},
      {"upstream_ping_interval", [](Config* c) { c->upstream_ping_ms = -1; }},
      {"upstream_ping_interval", [](Config* c) { c->upstream_ping_ms = 99; }},
      {"upstream_ping_interval", [](Config* c) { c->upstream_ping_ms = INT64_MAX; }},
      {"upstream_silence_timeout", [](Config* c) { c->upstream_silence_ms = -1; }},
      {"upstream_silence_timeout", [](Config* c) { c->upstream_silence_ms = 99; }},
      {"upstream_silence_timeout", [](Config* c) { c->upstream_silence_ms = 5000; }},
      {"maxclients", [](Config* c) { c->maxclients = 0; }},
      {"databases_max", [](Config* c) { c->databases_max = 0; }},
      {"databases_max", [](Config* c) { c->databases_max = 1025; }},
      {"client_pipeline_max", [](Config* c) { c->client_pipeline_max = 0; }},
      {"client_output_soft_bytes", [](Config* c) { c->client_output_soft_bytes = 4095; }},
      {"client_output_hard_bytes", [](Config* c) { c->client_output_hard_bytes = 5000; }},
      {"memory_limit_bytes", [](Config* c) { c->memory_limit_bytes = 1 << 20; }},
      {"request_args_max", [](Config* c) { c->request_args_max = 15; }},
      {"request_bulk_bytes_max", [](Config* c) { c->request_bulk_bytes_max = 1000; }},
      {"request_bytes_max", [](Config* c) { c->request_bytes_max = 1000; }},
      {"drain_timeout_s", [](Config* c) { c->drain_timeout_s = -1; }},
      {"drain_timeout_s", [](Config* c) { c->drain_timeout_s = INT64_MAX; }},
      {"startup_timeout_s", [](Config* c) { c->startup_timeout_s = -1; }},
      {"backend_idle_timeout_s", [](Config* c) { c->backend_idle_timeout_s = -1; }},
      {"backend_idle_timeout_s", [](Config* c) { c->backend_idle_timeout_s = INT64_MAX; }},
      {"zone_map",
       [](Config* c) {
         c->zones.rules = {{"10.", "a"}};
       }},
      {"zone_spill_requests", [](Config* c) { c->zone_spill_requests = 0; }},
      {"read_your_writes", [](Config* c) { c->read_your_writes_ms = -1; }},
      {"hedge_reads_after", [](Config* c) { c->hedge_reads_after_ms = -1; }},
      {"hedge_reads_after", [](Config* c) { c->hedge_reads_after_ms = 5000; }},
      {"hedge_reads_after", [](Config* c) { c->hedge_reads_after_ms = INT64_MAX; }},
      {"hedge_reads_budget", [](Config* c) { c->hedge_reads_budget = 0; }},
      {"hedge_reads_budget", [](Config* c) { c->hedge_reads_budget = 101; }},
  };
  for (const auto& c : cases) {
    Config config;
    c.set(&config);
    const absl::Status status = Validate(config);
    EXPECT_FALSE(status.ok()) << c.flag;
    EXPECT_NE(Message(status).find(std::string("--") + c.flag), std::string::npos) << status;
  }
}

TEST(ConfigTest, TheSmallestValuesAreValid) {
  Config config;
  config.connect_timeout_ms = 1;
  config.request_timeout_ms = 10;
  config.slots_reload_interval_ms = 100;
  config.maxclients = 1;
  config.client_pipeline_max = 1;
  config.client_output_soft_bytes = 4096;
  config.client_output_hard_bytes = 4096;
  config.memory_limit_bytes = 16 << 20;
  EXPECT_TRUE(Validate(config).ok()) << Validate(config);
}

TEST(ConfigTest, MessagesSayWhatWouldDo) {
  Config config;
  config.request_timeout_ms = 5;
  EXPECT_EQ(Message(Validate(config)), "--request_timeout must be at least 10, not 5");
  config = Config();
  config.hedge_reads_budget = 101;
  EXPECT_EQ(Message(Validate(config)), "--hedge_reads_budget must be at most 100, not 101");
}

}  // namespace
}  // namespace rcproxy::proxy
