#include "testing/fake_store.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rcproxy::sim {
namespace {

class FakeStoreTest : public ::testing::Test {
 protected:
  std::string Run(FakeArgs args) { return store_.Execute(args, "$-1\r\n"); }
  FakeStore store_;
};

TEST_F(FakeStoreTest, AnswersSingleKeyCommandsAsAServer) {
  EXPECT_EQ(Run({"GET", "a"}), "$-1\r\n");
  EXPECT_EQ(Run({"set", "a", "1"}), "+OK\r\n");
  EXPECT_EQ(Run({"GET", "a"}), "$1\r\n1\r\n");
  EXPECT_EQ(Run({"INCR", "a"}), ":2\r\n");
  EXPECT_EQ(Run({"APPEND", "a", "x"}), ":2\r\n");
  EXPECT_EQ(Run({"STRLEN", "a"}), ":2\r\n");
  EXPECT_EQ(Run({"INCR", "a"}), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(Run({"GET"}), "-ERR wrong number of arguments for 'get' command\r\n");
}

TEST_F(FakeStoreTest, TellsOfItsCommands) {
  EXPECT_TRUE(EncodeKeyRules().starts_with(
      "*11\r\n*6\r\n$3\r\nget\r\n:-2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"));
}

TEST_F(FakeStoreTest, AnswersMultiKeyCommandsAsAServer) {
  EXPECT_EQ(Run({"MSET", "a", "1", "b", "2"}), "+OK\r\n");
  EXPECT_EQ(Run({"MGET", "b", "none", "a"}), "*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n");
  EXPECT_EQ(Run({"EXISTS", "a", "a", "none"}), ":2\r\n");
  EXPECT_EQ(Run({"DEL", "a", "a"}), ":1\r\n");
  EXPECT_EQ(Run({"UNLINK", "b"}), ":1\r\n");
  EXPECT_EQ(Run({"TOUCH", "b"}), ":0\r\n");
  EXPECT_EQ(Run({"MSET", "a", "1", "b"}), "-ERR wrong number of arguments for 'mset' command\r\n");
}

TEST_F(FakeStoreTest, NamesTheKeys) {
  EXPECT_EQ(FindKeyRule("PING"), nullptr);
  EXPECT_EQ(KeysOf(*FindKeyRule("GET"), {"GET", "a"}), (std::vector<std::string>{"a"}));
  EXPECT_EQ(KeysOf(*FindKeyRule("MSET"), {"MSET", "a", "1", "b", "2"}),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(KeysOf(*FindKeyRule("DEL"), {"DEL", "a", "b"}), (std::vector<std::string>{"a", "b"}));
}

TEST_F(FakeStoreTest, KeepsTheKeysOfDatabasesApart) {
  const KeyRule& mset = *FindKeyRule("MSET");
  store_.Execute(InDatabase(12, mset, {"MSET", "a", "a", "b", "2"}), "$-1\r\n");
  EXPECT_EQ(store_.Get("a"), std::nullopt);
  EXPECT_EQ(store_.Get(StoredKey(12, "a")), "a");
  EXPECT_EQ(store_.Get(StoredKey(12, "b")), "2");
  EXPECT_EQ(StoredKey(0, "a"), "a");
  EXPECT_EQ(PlaceOfStored(StoredKey(12, "a")).database, 12);
  EXPECT_EQ(PlaceOfStored(StoredKey(12, "a")).key, "a");
  EXPECT_EQ(PlaceOfStored("a").database, 0);
}

TEST_F(FakeStoreTest, TellsTheObserverEachChange) {
  std::string changes;
  store_.SetObserver([&](const std::string& key, const std::optional<std::string>& value) {
    changes += key + "=" + value.value_or("(gone)") + " ";
  });
  Run({"SET", "a", "1"});
  Run({"GET", "a"});
  Run({"DEL", "a", "none"});
  EXPECT_EQ(changes, "a=1 a=(gone) ");
}

}  // namespace
}  // namespace rcproxy::sim
