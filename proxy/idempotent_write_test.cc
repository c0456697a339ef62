#include "proxy/idempotent_write.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"

namespace rcproxy::proxy {
namespace {

bool IsIdempotent(const std::string& line) {
  const cluster::CommandForTest command(cluster::Words(line));
  return IsIdempotentWrite(*cluster::FindCommand(cluster::Words(line)[0]), command.view().bytes());
}

TEST(IdempotentWriteTest, SetIsUnlessItLooksAtWhatWasThere) {
  for (const char* line : {"SET k v", "SET k v EX 10", "set k v px 10", "SET k v EXAT 1",
                           "SET k v PXAT 1", "SET k v KEEPTTL", "SET nx get EX 1"}) {
    EXPECT_TRUE(IsIdempotent(line)) << line;
  }
  for (const char* line : {"SET k v NX", "SET k v XX", "SET k v GET", "SET k v EX 10 NX",
                           "SET k v IFEQ old", "SET k v KEEPTTL get", "SET k v NEWER"}) {
    EXPECT_FALSE(IsIdempotent(line)) << line;
  }
}

TEST(IdempotentWriteTest, CommandsThatPutValuesWithoutCountingAre) {
  for (const char* line : {"SETEX k 10 v", "PSETEX k 10 v", "MSET a 1 b 2", "HMSET h f v",
                           "LSET l 0 v", "SETRANGE k 3 v"}) {
    EXPECT_TRUE(IsIdempotent(line)) << line;
  }
}

TEST(IdempotentWriteTest, CommandsThatCountOrChangeTheDataTwiceAreNot) {
  for (const char* line :
       {"DEL k", "HSET h f v", "SADD s a", "ZADD z 1 a", "INCR k", "APPEND k v", "LPUSH l v",
        "LTRIM l 1 -1", "EXPIRE k 1", "SETNX k v", "GETSET k v", "SETBIT k 1 1", "RENAME a b",
        "EVAL s 1 k", "PUBLISH c m", "FLUSHALL", "XADD s * f v", "RPOPLPUSH a b", "PERSIST k"}) {
    EXPECT_FALSE(IsIdempotent(line)) << line;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
