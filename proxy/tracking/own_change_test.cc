#include "proxy/tracking/own_change.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

bool HasChanged(const std::string& line, std::string_view reply) {
  const cluster::CommandForTest command(cluster::Words(line));
  return HasChangedItsKeys(*cluster::FindCommand(command.view()[0]), command.view(), reply);
}

TEST(OwnChangeTest, OkSaysThatItIsSet) {
  EXPECT_TRUE(HasChanged("SET k 1", "+OK\r\n"));
  EXPECT_TRUE(HasChanged("SET k 1 NX", "+OK\r\n"));
  EXPECT_TRUE(HasChanged("MSET k 1 j 2", "+OK\r\n"));
  for (const char* reply :
       {"$-1\r\n", "_\r\n", "$2\r\nOK\r\n", "-ERR syntax error\r\n", "+QUEUED\r\n"})
    EXPECT_FALSE(HasChanged("SET k 1 NX GET", reply)) << reply;
}

TEST(OwnChangeTest, OfACounterAnyNumberDoes) {
  EXPECT_TRUE(HasChanged("INCRBY k -5", ":-5\r\n"));
  EXPECT_TRUE(HasChanged("HSET k field 1", ":0\r\n")) << "overwritten";
  EXPECT_FALSE(HasChanged("INCR k", "-ERR value is not an integer or out of range\r\n"));
}

TEST(OwnChangeTest, WhereZeroMeansNothingItProvesNothing) {
  EXPECT_TRUE(HasChanged("SADD k a b", ":1\r\n"));
  EXPECT_TRUE(HasChanged("EXPIRE k 10", ":1\r\n"));
  for (const char* line : {"SADD k a", "SETNX k 1", "HDEL k a", "ZADD k 1 a", "EXPIRE k 10"})
    EXPECT_FALSE(HasChanged(line, ":0\r\n")) << line;
  EXPECT_FALSE(HasChanged("ZADD k INCR 1 a", "$1\r\n1\r\n"));
}

TEST(OwnChangeTest, AllKeysHaveToBeDeleted) {
  EXPECT_TRUE(HasChanged("DEL k j", ":2\r\n"));
  EXPECT_FALSE(HasChanged("DEL k j", ":1\r\n")) << "which one?";
  EXPECT_FALSE(HasChanged("UNLINK k", ":0\r\n"));
}

TEST(OwnChangeTest, AValueThatWasThere) {
  EXPECT_TRUE(HasChanged("GETDEL k", "$1\r\n1\r\n"));
  EXPECT_FALSE(HasChanged("GETDEL k", "$-1\r\n"));
  EXPECT_FALSE(HasChanged("GETDEL k", "_\r\n"));
}

TEST(OwnChangeTest, OthersProveNothing) {
  for (const char* line : {"EVAL return 1 k", "COPY k j", "SMOVE k k a", "RENAME k k",
                           "LTRIM k 0 1", "GET k", "SETRANGE k 0 x", "PERSIST k", "RESTORE k 0 x"})
    for (const char* reply : {"+OK\r\n", ":1\r\n", "$1\r\n1\r\n"})
      EXPECT_FALSE(HasChanged(line, reply)) << line;
  EXPECT_FALSE(HasChanged("SET k 1", "")) << "not at hand";
}

}  // namespace
}  // namespace rcproxy::proxy
