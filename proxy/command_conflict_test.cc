#include "proxy/command_conflict.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/command_for_test.h"

namespace rcproxy::proxy {
namespace {

bool Share(const std::string& a, const std::string& b) {
  const cluster::CommandForTest first(cluster::Words(a));
  const cluster::CommandForTest second(cluster::Words(b));
  const cluster::CommandSpec* first_spec = cluster::FindCommand(cluster::Words(a)[0]);
  const cluster::CommandSpec* second_spec = cluster::FindCommand(cluster::Words(b)[0]);
  const bool one_way =
      MayShareKey({*first_spec, first.view().bytes()}, {*second_spec, second.view().bytes()});
  EXPECT_EQ(one_way, MayShareKey({*second_spec, second.view().bytes()},
                                 {*first_spec, first.view().bytes()}));
  return one_way;
}

TEST(MayShareKeyTest, ComparesKeysAndNothingElse) {
  EXPECT_TRUE(Share("SET a 1", "GET a"));
  EXPECT_FALSE(Share("SET a b", "SET b a"));
  EXPECT_FALSE(Share("SET ab 1", "SET a 1"));
  EXPECT_TRUE(Share("MSET x 1 y 2 z 3", "DEL a y"));
  EXPECT_FALSE(Share("MSET x y y z", "DEL z"));
  EXPECT_TRUE(Share("ZUNIONSTORE to 2 a b", "SET to 1"));
  EXPECT_TRUE(Share("EVAL script 1 k a", "GET k"));
  EXPECT_FALSE(Share("EVAL script 1 k a", "GET a"));
}

TEST(MayShareKeyTest, IsTrueWhenKeysAreNotKnown) {
  EXPECT_TRUE(Share("EVAL script 0", "GET a"));
  EXPECT_TRUE(Share("EVAL script many a", "GET b"));
}

TEST(MayShareKeyTest, IsTrueForBytesThatAreNoCommand) {
  const cluster::CommandSpec& get = *cluster::FindCommand("get");
  EXPECT_TRUE(MayShareKey({get, "*2\r\n$3\r\nGET\r\n"}, {get, "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"}));
  EXPECT_TRUE(MayShareKey({get, ""}, {get, ""}));
  EXPECT_TRUE(MayShareKey({get, "*1\r\n$3\r\nGET\r\n"}, {get, "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"}));
}

TEST(CanHaveManyKeysTest, FollowsTheKeySpecs) {
  for (const char* name : {"mget", "mset", "del", "rename", "lmove", "eval", "zunionstore", "sort"})
    EXPECT_TRUE(CanHaveManyKeys(*cluster::FindCommand(name))) << name;
  for (const char* name : {"get", "set", "incr", "hset", "zadd", "lpush", "ping"})
    EXPECT_FALSE(CanHaveManyKeys(*cluster::FindCommand(name))) << name;
}

}  // namespace
}  // namespace rcproxy::proxy
