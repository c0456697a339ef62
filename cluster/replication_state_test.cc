#include "cluster/replication_state.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rcproxy::cluster {
namespace {

constexpr std::string_view kPrimary =
    "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
    "slave0:ip=127.0.0.1,port=7003,state=online,offset=1200,lag=0\r\n"
    "slave1:ip=127.0.0.1,port=7004,state=wait_bgsave,offset=5000,lag=0\r\n"
    "slave2:ip=::1,port=7005,state=online,offset=1000,lag=1,type=replica\r\n"
    "master_failover_state:no-failover\r\nmaster_repl_offset:1200\r\n";

TEST(ReplicationStateTest, CountsTheReplicasThatHaveCaughtUp) {
  const ReplicationState state = ParseReplicationState(kPrimary);
  EXPECT_TRUE(state.is_primary);
  EXPECT_EQ(state.offset, 1200);
  EXPECT_EQ(state.CountAt(0), 2);
  EXPECT_EQ(state.CountAt(1000), 2);
  EXPECT_EQ(state.CountAt(1001), 1);
  EXPECT_EQ(state.CountAt(1200), 1);
  EXPECT_EQ(state.CountAt(1201), 0);
}

TEST(ReplicationStateTest, AReplicaIsNoPrimary) {
  const ReplicationState state = ParseReplicationState(
      "role:slave\r\nslave_repl_offset:77\r\nslave_priority:100\r\nmaster_repl_offset:77\r\n");
  EXPECT_FALSE(state.is_primary);
  EXPECT_EQ(state.CountAt(0), 0);
}

// What is no number, no state and no replica counts as no replica.
TEST(ReplicationStateTest, WhatIsWrongIsNotCounted) {
  for (const char* line :
       {"slave0:", "slave0:state=online", "slave0:state=online,offset=",
        "slave:state=online,offset=9", "slave0:state=online,offset=9x",
        "slave0:state=online,offset=99999999999999999999", "slave0:offset=9",
        "slavex:state=online,offset=9", "slave0:stateonline,offset=9", ",,,=,=:,", "slave0", ""}) {
    const ReplicationState state = ParseReplicationState("role:master\r\n" + std::string(line));
    EXPECT_EQ(state.CountAt(0), 0) << line;
    EXPECT_EQ(state.offset, -1) << line;
  }
}

constexpr std::string_view kPrimaryAt1200 =
    "role:master\r\nconnected_slaves:1\r\nmaster_replid:1af3\r\nmaster_replid2:0000\r\n"
    "master_repl_offset:1200\r\nsecond_repl_offset:-1\r\n";

// Of a replica, with one line in the place of the one that begins as it does.
std::string Replica(std::string_view line = "role:slave") {
  std::string info;
  for (const std::string_view each :
       {"role:slave", "master_link_status:up", "slave_read_repl_offset:5000",
        "slave_repl_offset:1200", "master_replid:1af3", "master_repl_offset:5000"}) {
    const std::string_view name = each.substr(0, each.find(':') + 1);
    info += std::string(line.starts_with(name) ? line : each) + "\r\n";
  }
  return info;
}

bool HasApplied(std::string_view primary, std::string_view replica) {
  return HasAppliedAllOf(ParseReplicationState(primary), ParseReplicationState(replica));
}

TEST(ReplicationStateTest, AReplicaHasWhatItHasAppliedOfTheSameStream) {
  EXPECT_TRUE(HasApplied(kPrimaryAt1200, Replica()));
  EXPECT_TRUE(HasApplied(kPrimaryAt1200, Replica("slave_repl_offset:1201")));
  for (const char* line :
       {"slave_repl_offset:1199", "slave_repl_offset:", "slave_repl_offset:1200x",
        "slave_repl_offset:-1", "slave_repl_offset:99999999999999999999", "master_link_status:down",
        "master_link_status:", "master_replid:1af4", "master_replid:", "role:master"}) {
    EXPECT_FALSE(HasApplied(kPrimaryAt1200, Replica(line))) << line;
  }
}

TEST(ReplicationStateTest, APrimaryThatDoesNotSayHowFarItIsHasNoReplicas) {
  for (const char* primary : {"", "role:master\r\n", "role:master\r\nmaster_replid:1af3\r\n",
                              "role:master\r\nmaster_repl_offset:0\r\n",
                              "role:slave\r\nmaster_replid:1af3\r\nmaster_repl_offset:1200\r\n",
                              "master_replid:1af3\r\nmaster_repl_offset:1200\r\n",
                              "role:master\r\nmaster_replid:1af3\r\nmaster_repl_offset:-1\r\n"}) {
    EXPECT_FALSE(HasApplied(primary, Replica())) << primary;
  }
  EXPECT_FALSE(HasApplied("role:master\r\nmaster_replid:\r\nmaster_repl_offset:0\r\n",
                          Replica("master_replid:")));
}

}  // namespace
}  // namespace rcproxy::cluster
