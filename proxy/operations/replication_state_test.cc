#include "proxy/operations/replication_state.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rcproxy::proxy {
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

}  // namespace
}  // namespace rcproxy::proxy
