#include "cluster/command_keys.h"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

const CommandSpec& SpecOf(const std::vector<std::string>& words) {
  const CommandSpec* spec = FindCommand(words[0]);
  if (spec != nullptr && words.size() > 1) {
    const CommandSpec* subcommand = FindSubcommand(*spec, words[1]);
    if (subcommand != nullptr) spec = subcommand;
  }
  static const CommandSpec none;
  EXPECT_NE(spec, nullptr) << words[0];
  return spec != nullptr ? *spec : none;
}

KeyRuns Find(std::string_view line) {
  const std::vector<std::string> words = Words(line);
  const CommandForTest command(words);
  return FindKeys(SpecOf(words), command.view());
}

// The keys, joined by blanks; a status other than kOk as a word in brackets.
std::string Keys(std::string_view line) {
  const std::vector<std::string> words = Words(line);
  const CommandForTest command(words);
  const KeyRuns found = FindKeys(SpecOf(words), command.view());
  switch (found.status) {
    case KeysStatus::kNoKeys:
      return "<none>";
    case KeysStatus::kBadKeyCount:
      return "<count>";
    case KeysStatus::kSyntax:
      return "<syntax>";
    case KeysStatus::kOk:
      break;
  }
  std::string keys;
  for (int run = 0; run < found.size; ++run) {
    for (uint32_t i = 0; i < found.runs[run].count; ++i) {
      if (!keys.empty()) keys += ' ';
      keys += words.at(found.runs[run].first + i * found.runs[run].step);
    }
  }
  return keys;
}

TEST(FindKeysTest, FindsKeysAtFixedPlaces) {
  EXPECT_EQ(Keys("GET k"), "k");
  EXPECT_EQ(Keys("set k v EX 10"), "k");
  EXPECT_EQ(Keys("OBJECT ENCODING k"), "k");
  EXPECT_EQ(Keys("xgroup create s g $"), "s");
  EXPECT_EQ(Keys("RENAME a b"), "a b");
  EXPECT_EQ(Keys("LCS a b LEN"), "a b");
  EXPECT_EQ(Keys("COPY a b REPLACE"), "a b");
  EXPECT_EQ(Keys("GET ''"), "");
}

TEST(FindKeysTest, FindsRanges) {
  EXPECT_EQ(Keys("MGET a b c"), "a b c");
  EXPECT_EQ(Keys("MSET a 1 b 2"), "a b");
  EXPECT_EQ(Keys("MSET a 1 b"), "a b");  // The arity error is the caller's.
  EXPECT_EQ(Keys("BLPOP a b 0"), "a b");
  EXPECT_EQ(Keys("BITOP AND dest a b"), "dest a b");
  EXPECT_EQ(Keys("PFMERGE dest"), "dest");
  EXPECT_EQ(Keys("SINTERSTORE dest a b"), "dest a b");
  EXPECT_EQ(Keys("JSON.MSET a $ 1 b $ 2"), "a b");
  EXPECT_EQ(Keys("JSON.MGET a b $"), "a b");
}

TEST(FindKeysTest, FindsCountedKeys) {
  EXPECT_EQ(Keys("EVAL script 2 a b arg"), "a b");
  EXPECT_EQ(Keys("EVAL script 0 arg"), "<none>");
  EXPECT_EQ(Keys("LMPOP 2 a b LEFT"), "a b");
  EXPECT_EQ(Keys("BLMPOP 0 2 a b LEFT"), "a b");
  EXPECT_EQ(Keys("ZUNIONSTORE dest 2 a b WEIGHTS 1 2"), "dest a b");
  EXPECT_EQ(Keys("MSETEX 2 a 1 b 2 EX 5"), "a b");
  EXPECT_EQ(Keys("CMS.MERGE dest 2 a b"), "dest a b");
}

TEST(FindKeysTest, RefusesCountsThatServersRefuse) {
  for (const std::string_view count :
       {"-1", "x", "3", "4", "+", "+-1", "''", "99999999999999999999", "9223372036854775807",
        "18446744073709551617", "999999999"}) {
    EXPECT_EQ(Keys("EVAL script " + std::string(count) + " a b"), "<count>") << count;
  }
  EXPECT_EQ(Keys("MSETEX 2 a 1 b"), "a b");
  EXPECT_EQ(Keys("MSETEX 3 a 1 b"), "<count>");
  EXPECT_EQ(Keys("ZUNIONSTORE dest 9 a b"), "<count>");
  EXPECT_EQ(Keys("ZUNIONSTORE dest 0 a b"), "<count>");
  EXPECT_EQ(Find("ZUNIONSTORE dest 9 a b").size, 0);  // Not the destination alone.
}

// They are refused later, by the owner of the keys; any other node would redirect them there.
TEST(FindKeysTest, ReadsCountsAsServersDoWhenTheyRoute) {
  EXPECT_EQ(Keys("EVAL script 01 a b"), "a");
  EXPECT_EQ(Keys("EVAL script +2 a b"), "a b");
  EXPECT_EQ(Keys("EVAL script 1x a b"), "a");
  EXPECT_EQ(Keys("EVAL script 1.0 a b"), "a");
  EXPECT_EQ(Keys("EVAL script 0x1 a b"), "<none>");
}

TEST(FindKeysTest, FindsTheHalfBehindStreams) {
  EXPECT_EQ(Keys("XREAD COUNT 2 STREAMS a b 0 0"), "a b");
  EXPECT_EQ(Keys("xread block 0 streams a $"), "a");
  EXPECT_EQ(Keys("XREAD STREAMS a b 0"), "a");  // Unbalanced: the server's error.
  EXPECT_EQ(Keys("XREAD COUNT 2 a b"), "<syntax>");
  EXPECT_EQ(Keys("XREAD COUNT 2 STREAMS"), "<syntax>");
  EXPECT_EQ(Keys("XREADGROUP GROUP g c STREAMS a >"), "a");
  EXPECT_EQ(Keys("XREADGROUP GROUP STREAMS STREAMS STREAMS a >"), "a");
}

TEST(FindKeysTest, TakesTheLastDestinationOfSort) {
  EXPECT_EQ(Keys("SORT k"), "k");
  EXPECT_EQ(Keys("SORT k BY w_* LIMIT 0 5 GET o_* STORE d"), "k d");
  EXPECT_EQ(Keys("SORT k STORE d store e"), "k e");
  EXPECT_EQ(Keys("SORT k BY store GET STORE ALPHA"), "k");
  EXPECT_EQ(Keys("SORT k STORE"), "k");
  EXPECT_EQ(Keys("SORT_RO k BY w_*"), "k");
}

TEST(FindKeysTest, TakesTheDestinationsOfGeoRadius) {
  EXPECT_EQ(Keys("GEORADIUS k 15 37 200 km"), "k");
  EXPECT_EQ(Keys("GEORADIUS k 15 37 200 km STORE d"), "k d");
  EXPECT_EQ(Keys("GEORADIUS k 15 37 200 km STORE d STOREDIST e"), "k d e");
  EXPECT_EQ(Keys("GEORADIUS k 15 37 200 km STORE"), "k");
  EXPECT_EQ(Keys("GEORADIUSBYMEMBER k STORE 200 km"), "k");
  EXPECT_EQ(Keys("GEORADIUSBYMEMBER k m 200 km storedist d"), "k d");
  EXPECT_EQ(Keys("GEORADIUSBYMEMBER_RO k STORE 200 km"), "k");
}

TEST(FindKeysTest, FindsTheKeysOfMigrate) {
  EXPECT_EQ(Keys("MIGRATE h 1 k 0 5"), "k");
  EXPECT_EQ(Keys("MIGRATE h 1 '' 0 5 COPY KEYS a b"), "a b");
  EXPECT_EQ(Keys("MIGRATE h 1 '' 0 5 AUTH KEYS KEYS a b"), "a b");
  EXPECT_EQ(Keys("MIGRATE h 1 k 0 5 KEYS a"), "<syntax>");
  EXPECT_EQ(Keys("MIGRATE h 1 k 0 5 KEYS"), "k");
}

TEST(FindKeysTest, FindsTheKeyOfJsonDebugMemoryOnly) {
  EXPECT_EQ(Keys("JSON.DEBUG MEMORY memory $"), "memory");
  EXPECT_EQ(Keys("JSON.DEBUG HELP"), "<none>");
  EXPECT_EQ(Keys("JSON.DEBUG HELP MEMORY"), "<none>");
}

TEST(FindKeysTest, MarksShardChannels) {
  const KeyRuns found = Find("SPUBLISH channel message");
  ASSERT_EQ(found.size, 1);
  EXPECT_TRUE(found.runs[0].is_channel);
  EXPECT_EQ(Keys("SSUBSCRIBE a b"), "a b");
  EXPECT_FALSE(Find("GET a").runs[0].is_channel);
}

TEST(FindKeysTest, SaysWhenThereAreNone) {
  EXPECT_EQ(Keys("PING"), "<none>");
  EXPECT_EQ(Keys("CLIENT LIST"), "<none>");
  EXPECT_EQ(Keys("SUNSUBSCRIBE"), "<none>");
}

TEST(KeyRunsTest, CountsKeysOverAllRuns) {
  EXPECT_EQ(Find("GET a").TotalKeys(), 1u);
  EXPECT_EQ(Find("ZUNIONSTORE d 3 a b c").TotalKeys(), 4u);
  EXPECT_EQ(Find("PING").TotalKeys(), 0u);
}

// Whatever a client sends, positions lie inside the command and never at its name.
TEST(CommonSlotTest, IsThatOfAllKeys) {
  const auto slot = [](std::string_view line) {
    const CommandForTest command(Words(line));
    const CommandSpec& spec = *FindCommand(command.view()[0]);
    return CommonSlot(command.view(), FindKeys(spec, command.view()));
  };
  EXPECT_EQ(slot("GET foo"), 12182);
  EXPECT_EQ(slot("MGET {foo}1 {foo}2"), 12182);
  EXPECT_EQ(slot("MGET foo bar"), -1);
  EXPECT_EQ(slot("MGET foo bar foo"), -1);
  EXPECT_EQ(slot("EVAL x 0"), -1);
}

TEST(FindKeysTest, StaysInsideRandomCommands) {
  constexpr uint32_t kSeed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> pool = {"STREAMS", "KEYS",  "STORE", "storedist", "",
                                         "0",       "1",     "2",     "-1",        "999999999",
                                         "AUTH",    "AUTH2", "GROUP", "MEMORY",    "k"};
  const auto check = [&](const CommandSpec& spec) {
    for (int round = 0; round < 200; ++round) {
      std::vector<std::string> words = {std::string(spec.name)};
      const size_t least = static_cast<size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
      const size_t size = spec.arity < 0 ? least + random() % 8 : least;
      while (words.size() < size) words.push_back(pool[random() % pool.size()]);
      const CommandForTest command(words);
      const KeyRuns found = FindKeys(spec, command.view());
      for (int run = 0; run < found.size; ++run) {
        const KeyRun& keys = found.runs[run];
        ASSERT_GE(keys.first, 1u);
        ASSERT_GE(keys.count, 1u);
        ASSERT_LT(keys.first + uint64_t{keys.count - 1} * keys.step, words.size()) << spec.name;
      }
    }
  };
  for (const CommandSpec& spec : AllCommands()) {
    check(spec);
    for (const CommandSpec& subcommand : spec.subcommands) check(subcommand);
  }
}

}  // namespace
}  // namespace rcproxy::cluster
