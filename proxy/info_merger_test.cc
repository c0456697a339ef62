#include "proxy/info_merger.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/info_rules.h"

namespace rcproxy::proxy {
namespace {

// A section made of what two nodes and rcproxy say of it.
std::string Merge(std::string_view section, const std::vector<std::string>& nodes,
                  std::string_view own = "") {
  const std::string title = "# " + std::string(section) + "\r\n";
  std::vector<std::string> texts;
  for (const std::string& node : nodes) texts.push_back(title + node);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const std::string text =
      MergeInfo(title + std::string(own), views, InfoSectionsNamed({&section, 1}));
  EXPECT_TRUE(text.starts_with(title)) << text;
  return text.substr(title.size());
}

TEST(InfoMergerTest, CountersAreAddedUp) {
  EXPECT_EQ(Merge("Stats", {"expired_keys:2\r\n", "expired_keys:40\r\n"}), "expired_keys:42\r\n");
  EXPECT_EQ(
      Merge("Stats", {"instantaneous_input_kbps:0.25\r\n", "instantaneous_input_kbps:1.50\r\n"}),
      "instantaneous_input_kbps:1.75\r\n");
  EXPECT_EQ(Merge("CPU", {"used_cpu_user:1.000001\r\n", "used_cpu_user:2.5\r\n"}),
            "used_cpu_user:3.500001\r\n");
}

TEST(InfoMergerTest, BytesForPeopleAreThoseOfTheSum) {
  EXPECT_EQ(Merge("Memory", {"used_memory:1024\r\nused_memory_human:1.00K\r\n",
                             "used_memory:512\r\nused_memory_human:512B\r\n"}),
            "used_memory:1536\r\nused_memory_human:1.50K\r\n");
}

TEST(InfoMergerTest, RatiosAreWeighted) {
  EXPECT_EQ(Merge("Memory", {"used_memory:100\r\nmem_fragmentation_ratio:2.00\r\n",
                             "used_memory:300\r\nmem_fragmentation_ratio:1.00\r\n"}),
            "used_memory:400\r\nmem_fragmentation_ratio:1.25\r\n");
  EXPECT_EQ(Merge("Memory", {"used_memory:1\r\nused_memory_dataset_perc:10.00%\r\n",
                             "used_memory:1\r\nused_memory_dataset_perc:20.00%\r\n"}),
            "used_memory:2\r\nused_memory_dataset_perc:15.00%\r\n");
}

TEST(InfoMergerTest, OneNodeWithoutLimitMeansNone) {
  EXPECT_EQ(Merge("Memory", {"maxmemory:100\r\n", "maxmemory:200\r\n"}), "maxmemory:300\r\n");
  EXPECT_EQ(Merge("Memory", {"maxmemory:100\r\n", "maxmemory:0\r\n", "maxmemory:7\r\n"}),
            "maxmemory:0\r\n");
}

TEST(InfoMergerTest, TheNodeToLookAtSpeaks) {
  EXPECT_EQ(
      Merge("Persistence", {"rdb_last_bgsave_status:ok\r\n", "rdb_last_bgsave_status:err\r\n"}),
      "rdb_last_bgsave_status:err\r\n");
  EXPECT_EQ(
      Merge("Persistence", {"rdb_last_save_time:1700000900\r\n", "rdb_last_save_time:17\r\n"}),
      "rdb_last_save_time:17\r\n");
  EXPECT_EQ(Merge("Persistence", {"loading:0\r\n", "loading:1\r\n"}), "loading:1\r\n");
  EXPECT_EQ(Merge("Persistence", {"aof_enabled:1\r\n", "aof_enabled:0\r\n"}), "aof_enabled:0\r\n");
}

TEST(InfoMergerTest, TheKeyspaceIsThatOfOneServer) {
  EXPECT_EQ(Merge("Keyspace", {"db0:keys=10,expires=1,avg_ttl=1000\r\n", "",
                               "db0:keys=5,expires=3,avg_ttl=2000\r\n"}),
            "db0:keys=15,expires=4,avg_ttl=1750\r\n");
  EXPECT_EQ(Merge("Keyspace", {"", ""}), "");
}

TEST(InfoMergerTest, StatisticsByCommandAreAddedUpByCommand) {
  EXPECT_EQ(
      Merge("Commandstats", {"cmdstat_get:calls=1,usec=10,usec_per_call=10.00,failed_calls=0\r\n",
                             "cmdstat_set:calls=2,usec=4,usec_per_call=2.00,failed_calls=1\r\n"
                             "cmdstat_get:calls=3,usec=6,usec_per_call=2.00,failed_calls=0\r\n"}),
      "cmdstat_get:calls=4,usec=16,usec_per_call=4.00,failed_calls=0\r\n"
      "cmdstat_set:calls=2,usec=4,usec_per_call=2.00,failed_calls=1\r\n");
  EXPECT_EQ(Merge("Errorstats", {"errorstat_ERR:count=2\r\n", "errorstat_ERR:count=3\r\n"}),
            "errorstat_ERR:count=5\r\n");
  EXPECT_EQ(Merge("Latencystats", {"latency_percentiles_usec_get:p50=1.003,p99=2.007\r\n",
                                   "latency_percentiles_usec_get:p50=0.501,p99=9.023\r\n"}),
            "latency_percentiles_usec_get:p50=1.003,p99=9.023\r\n");
}

TEST(InfoMergerTest, ModulesAreNamedOnce) {
  EXPECT_EQ(Merge("Modules", {"module:name=a,ver=1\r\nmodule:name=b,ver=1\r\n",
                              "module:name=b,ver=1\r\nmodule:name=c,ver=1\r\n"}),
            "module:name=a,ver=1\r\nmodule:name=b,ver=1\r\nmodule:name=c,ver=1\r\n");
}

TEST(InfoMergerTest, WhatIsAboutTheProcessIsRcproxys) {
  EXPECT_EQ(Merge("Stats",
                  {"total_connections_received:3\r\nexpired_keys:1\r\nrejected_connections:0\r\n"},
                  "total_connections_received:9\r\nexpired_keys:77\r\n"),
            "total_connections_received:9\r\nexpired_keys:1\r\n");
  EXPECT_EQ(Merge("Server", {"redis_version:5.0.0\r\nuptime_in_seconds:1\r\n"},
                  "redis_version:7.0.15\r\n"),
            "redis_version:7.0.15\r\n");
}

TEST(InfoMergerTest, ReplicationHidesTheNodes) {
  EXPECT_EQ(Merge("Replication",
                  {"role:slave\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.1,port=1\r\n"
                   "master_host:10.0.0.9\r\nmaster_repl_offset:5\r\n",
                   "role:master\r\nconnected_slaves:2\r\nmaster_repl_offset:6\r\n"},
                  "role:master\r\nmaster_replid:abc\r\n"),
            "master_replid:abc\r\nrole:master\r\nconnected_slaves:3\r\nmaster_repl_offset:11\r\n");
}

TEST(InfoMergerTest, WithoutNodesRcproxysOwnIsLeft) {
  EXPECT_EQ(Merge("Replication", {}, "role:master\r\nconnected_slaves:0\r\n"), "role:master\r\n");
  EXPECT_EQ(Merge("Keyspace", {}), "");
}

TEST(InfoMergerTest, SectionsComeInTheirOrderWithALineBetween) {
  const std::string_view names[] = {"keyspace", "cluster", "nodes"};
  const std::string_view node =
      "# Keyspace\r\ndb0:keys=1\r\n\r\n# Other\r\nx:1\r\n# Nodes\r\ny:1\r\n";
  EXPECT_EQ(MergeInfo("# Cluster\r\ncluster_enabled:0\r\n\r\n# Cluster\r\nmore:1\r\n", {&node, 1},
                      InfoSectionsNamed(names)),
            "# Cluster\r\ncluster_enabled:0\r\nmore:1\r\n\r\n# Keyspace\r\ndb0:keys=1\r\n");
}

// ---- nodes lie

TEST(InfoMergerTest, SumsStayInRange) {
  EXPECT_EQ(Merge("Stats", {"n:9223372036854775807\r\n", "n:9223372036854775807\r\n"}),
            "n:9223372036854775807\r\n");
  EXPECT_EQ(Merge("Stats", {"n:-9223372036854775808\r\n", "n:-1\r\n"}),
            "n:-9223372036854775808\r\n");
  const std::string huge = "n:" + std::string(308, '9') + "\r\n";
  const std::string sum = Merge("Stats", {huge, huge, huge});
  EXPECT_EQ(sum.find("inf"), std::string::npos) << sum;
}

TEST(InfoMergerTest, WhatIsNoNumberCountsAsNothing) {
  for (const char* value : {"", "x", "1x", "nan", "inf", "-inf", "0x10", "1e5", "%", "--1", " 1"}) {
    EXPECT_EQ(Merge("Stats", {"n:1\r\n", "n:" + std::string(value) + "\r\n"}), "n:1\r\n") << value;
  }
  EXPECT_EQ(Merge("Stats", {"n:one\r\n", "n:two\r\n"}), "n:one\r\n");
}

TEST(InfoMergerTest, AFieldThatIsThereTwiceCountsOnce) {
  EXPECT_EQ(Merge("Stats", {"n:1\r\nn:100\r\n", "n:2\n"}), "n:3\r\n");
  EXPECT_EQ(Merge("Keyspace", {"db0:keys=1,keys=100\r\n"}), "db0:keys=1\r\n");
}

TEST(InfoMergerTest, WhatIsNoFieldIsPassedOver) {
  EXPECT_EQ(Merge("Stats", {"\r\n:\r\n:5\r\nno field\r\n\r\n\r\nn:1"}), "n:1\r\n");
  EXPECT_EQ(Merge("Keyspace", {"db0:,,=,=1,keys,keys=2,\r\n"}), "db0:keys=2\r\n");
}

TEST(InfoMergerTest, ANodeMayNotTalkForEver) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "field" + std::to_string(i) + ":1\r\n";
  const std::string merged = Merge("Stats", {text, text});
  EXPECT_NE(merged.find("field4095:2\r\n"), std::string::npos);
  EXPECT_EQ(merged.find("field4096:"), std::string::npos);
}

// Bytes by chance, put together of what is special in these texts: the answer is made of sections
// and fields all the same.
TEST(InfoMergerTest, AnyBytesMakeSectionsAndFields) {
  constexpr std::string_view kPieces[] = {
      "# Memory",
      "# Keyspace",
      "# Commandstats",
      "# Stats",
      "# ",
      "\r\n",
      "\n",
      "\r",
      ":",
      "=",
      ",",
      "1",
      "-",
      ".",
      "%",
      "e9",
      "_human",
      "maxmemory",
      "used_memory",
      "mem_fragmentation_ratio",
      "calls",
      "usec_per_call",
      "avg_ttl",
      "expires",
      std::string_view("\0", 1),
      "\xff",
      "9223372036854775807",
      "db0",
  };
  constexpr std::string_view kAll = "all";
  const unsigned seed = 20240807;
  std::minstd_rand chance(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> texts(3);
    for (std::string& text : texts) {
      for (size_t i = chance() % 40; i > 0; --i) text += kPieces[chance() % std::size(kPieces)];
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const std::string merged = MergeInfo(texts[0], views, InfoSectionsNamed({&kAll, 1}));
    for (size_t at = 0; at < merged.size();) {
      const size_t end = merged.find("\r\n", at);
      ASSERT_NE(end, std::string::npos) << "seed " << seed << " round " << round;
      const std::string line = merged.substr(at, end - at);
      EXPECT_TRUE(line.empty() || line.starts_with("# ") || line.find(':') != std::string::npos)
          << "seed " << seed << " round " << round << ": " << line;
      at = end + 2;
    }
  }
}

}  // namespace
}  // namespace rcproxy::proxy
