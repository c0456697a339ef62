#include "proxy/glob_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace rcproxy::proxy {
namespace {

TEST(GlobPatternTest, MatchesAllOfTheText) {
  EXPECT_TRUE(MatchesGlobIgnoringCase("", ""));
  EXPECT_TRUE(MatchesGlobIgnoringCase("port", "port"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("PoRt", "pOrT"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("port", "ports"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("ports", "port"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("", "port"));
}

TEST(GlobPatternTest, StarsTakeAnyNumber) {
  EXPECT_TRUE(MatchesGlobIgnoringCase("*", ""));
  EXPECT_TRUE(MatchesGlobIgnoringCase("*", "save"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("max*", "maxmemory-policy"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("*mem*pol*", "maxmemory-policy"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("**b", "aab"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("max*x", "maxmemory"));
}

TEST(GlobPatternTest, ClassesAndQuestionMarks) {
  EXPECT_TRUE(MatchesGlobIgnoringCase("s?ve", "save"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("s?ve", "sve"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[r-t]ave", "save"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[T-R]ave", "save"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[^a-c]ave", "save"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("[^r-t]ave", "save"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[a\\]]x", "]x"));
}

TEST(GlobPatternTest, BackslashTakesTheNextCharacterAsItIs) {
  EXPECT_TRUE(MatchesGlobIgnoringCase("a\\*", "a*"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("a\\*", "ab"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("a\\", "a\\"));
}

TEST(GlobPatternTest, MalformedPatternsHaveAnAnswer) {
  EXPECT_FALSE(MatchesGlobIgnoringCase("[", "a"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[^", "a"));
  EXPECT_TRUE(MatchesGlobIgnoringCase("[a-", "a"));
  EXPECT_FALSE(MatchesGlobIgnoringCase("[]", "]"));
}

TEST(GlobPatternTest, ManyStarsTakeNoMoreThanTheProductOfTheSizes) {
  std::string pattern;
  for (int i = 0; i < 2000; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesGlobIgnoringCase(pattern + "b", std::string(4000, 'a')));
}

}  // namespace
}  // namespace rcproxy::proxy
