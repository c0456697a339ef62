#include "testing/scenario_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rcproxy::sim {
namespace {

using Words = std::vector<std::string>;

TEST(ScenarioTextTest, CommentsBeginTheLineOrStandApart) {
  EXPECT_EQ(StripComment("# all of it"), "");
  EXPECT_EQ(StripComment("  # indented"), "");
  EXPECT_EQ(StripComment("wait 5ms    # why"), "wait 5ms");
  EXPECT_EQ(StripComment("client 1 > GET a#b"), "client 1 > GET a#b");
  EXPECT_EQ(StripComment("  node A kill \r"), "node A kill");
}

TEST(ScenarioTextTest, WordsAreSplitAndUnescaped) {
  EXPECT_EQ(SplitWords("GET  foo"), (Words{"GET", "foo"}));
  EXPECT_EQ(SplitWords(R"(SET "a b" "" x\r\n\x41)"), (Words{"SET", "a b", "", "x\r\nA"}));
  EXPECT_EQ(SplitWords(R"("quote \" inside")"), (Words{"quote \" inside"}));
  EXPECT_EQ(SplitWords("repeat(5,ab)"), (Words{"ababababab"}));
  EXPECT_EQ(SplitWords("   "), Words());
}

TEST(ScenarioTextTest, CommandsAreMultibulk) {
  EXPECT_EQ(EncodeCommand({"GET", ""}), "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
}

TEST(ScenarioTextTest, RepliesAreOneLine) {
  EXPECT_EQ(EncodeReply("+OK"), "+OK\r\n");
  EXPECT_EQ(EncodeReply("-ERR no such thing"), "-ERR no such thing\r\n");
  EXPECT_EQ(EncodeReply("$3 bar"), "$3\r\nbar\r\n");
  EXPECT_EQ(EncodeReply("$3 a b"), "$3\r\na b\r\n");
  EXPECT_EQ(EncodeReply("$-1"), "$-1\r\n");
  EXPECT_EQ(EncodeReply("$0"), "$0\r\n\r\n");
  EXPECT_EQ(EncodeReply("*3 $1 a :5 $-1"), "*3\r\n$1\r\na\r\n:5\r\n$-1\r\n");
  EXPECT_EQ(EncodeReply("%1 $1 k _"), "%1\r\n$1\r\nk\r\n_\r\n");
  EXPECT_EQ(EncodeReply("$4 repeat(4,x)"), "$4\r\nxxxx\r\n");
}

TEST(ScenarioTextTest, MalformedRepliesAreNotGuessed) {
  for (const char* text : {"", "OK", "$3 ba", "$3 bars", "*2 :1", "$x abc", "$3"}) {
    EXPECT_EQ(EncodeReply(text), std::nullopt) << text;
  }
}

TEST(ScenarioTextTest, DurationsHaveUnits) {
  EXPECT_EQ(ParseDuration("5us"), 5'000);
  EXPECT_EQ(ParseDuration("5ms"), 5'000'000);
  EXPECT_EQ(ParseDuration("2s"), 2'000'000'000);
  EXPECT_EQ(ParseDuration("2"), std::nullopt);
  EXPECT_EQ(ParseDuration("ms"), std::nullopt);
}

TEST(ScenarioTextTest, MessagesShowControlCharacters) {
  EXPECT_EQ(Printable("a\r\n\x01"), "a\\r\\n\\x01");
  EXPECT_EQ(Printable(std::string(300, 'x')).substr(200), "... (300 bytes)");
}

}  // namespace
}  // namespace rcproxy::sim
