#include "resp/value.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "resp/resp_limits.h"

namespace rcproxy::resp {
namespace {

using Type = Value::Type;

Value MustParse(std::string_view reply) {
  absl::StatusOr<Value> value = ParseValue(reply);
  EXPECT_TRUE(value.ok()) << value.status() << " for " << reply;
  return value.ok() ? *value : Value();
}

std::string Nested(int depth) {
  std::string reply;
  for (int i = 0; i < depth; ++i) reply += "*1\r\n";
  return reply + ":1\r\n";
}

TEST(ValueTest, ReadsEveryScalarType) {
  struct Case {
    std::string_view reply;
    Type type;
    std::string_view text;
    int64_t integer;
  };
  const Case cases[] = {
      {"+OK\r\n", Type::kSimple, "OK", 0},
      {"+\r\n", Type::kSimple, "", 0},
      {"-ERR no\r\n", Type::kError, "ERR no", 0},
      {"!6\r\nERR no\r\n", Type::kError, "ERR no", 0},
      {":42\r\n", Type::kInteger, "", 42},
      {":-9223372036854775808\r\n", Type::kInteger, "", INT64_MIN},
      {":9223372036854775807\r\n", Type::kInteger, "", INT64_MAX},
      {"$3\r\nfoo\r\n", Type::kBulk, "foo", 0},
      {"$0\r\n\r\n", Type::kBulk, "", 0},
      {"$2\r\n\r\n\r\n", Type::kBulk, "\r\n", 0},
      {"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", Type::kBulk, "abc", 0},
      {"$-1\r\n", Type::kNull, "", 0},
      {"*-1\r\n", Type::kNull, "", 0},
      {"_\r\n", Type::kNull, "", 0},
      {",1.5\r\n", Type::kDouble, "1.5", 0},
      {",inf\r\n", Type::kDouble, "inf", 0},
      {"#t\r\n", Type::kBool, "", 1},
      {"#f\r\n", Type::kBool, "", 0},
      {"(123456789012345678901234567890\r\n", Type::kBigNumber, "123456789012345678901234567890",
       0},
      {"=7\r\ntxt:abc\r\n", Type::kVerbatim, "abc", 0},
      {"|1\r\n+ttl\r\n:1\r\n+OK\r\n", Type::kSimple, "OK", 0},
  };
  for (const Case& c : cases) {
    const Value value = MustParse(c.reply);
    EXPECT_EQ(value.type, c.type) << c.reply;
    EXPECT_EQ(value.text, c.text) << c.reply;
    EXPECT_EQ(value.integer, c.integer) << c.reply;
    EXPECT_TRUE(value.elements.empty()) << c.reply;
  }
}

TEST(ValueTest, ReadsNestedAggregates) {
  const Value value =
      MustParse("*3\r\n%1\r\n+a\r\n*2\r\n:1\r\n$-1\r\n~?\r\n:5\r\n.\r\n>1\r\n+m\r\n");
  ASSERT_EQ(value.elements.size(), 3u);
  EXPECT_EQ(value.elements[0].type, Type::kMap);
  ASSERT_EQ(value.elements[0].elements.size(), 2u);
  EXPECT_TRUE(value.elements[0].elements[1].elements[1].IsNull());
  EXPECT_EQ(value.elements[1].type, Type::kSet);
  EXPECT_EQ(value.elements[1].elements[0].integer, 5);
  EXPECT_EQ(value.elements[2].type, Type::kPush);
}

TEST(ValueTest, FindsKeysInMapsAndInFlatArrays) {
  for (std::string_view reply : {"%2\r\n+id\r\n+x\r\n+port\r\n:1\r\n",
                                 "*4\r\n$2\r\nid\r\n$1\r\nx\r\n$4\r\nport\r\n:1\r\n"}) {
    const Value value = MustParse(reply);
    ASSERT_NE(value.Find("port"), nullptr);
    EXPECT_EQ(value.Find("port")->integer, 1);
    EXPECT_EQ(value.Find("x"), nullptr);  // A value, not a key.
  }
  EXPECT_EQ(MustParse(":1\r\n").Find("id"), nullptr);
}

TEST(ValueTest, RefusesMalformedReplies) {
  for (std::string_view reply : {"",
                                 "+OK",
                                 "+OK\r",
                                 "x\r\n",
                                 ":\r\n",
                                 ":1a\r\n",
                                 ":9223372036854775808\r\n",
                                 "$\r\n",
                                 "$-2\r\n",
                                 "$-0\r\n",
                                 "~-0\r\n",
                                 "*+1\r\n:1\r\n",
                                 "$3\r\nfo\r\n",
                                 "$3\r\nfooxx",
                                 "$99999999999999999999\r\n",
                                 "*2\r\n:1\r\n",
                                 "*4294967295\r\n:1\r\n",
                                 "*-2\r\n",
                                 "%-1\r\n",
                                 "%1\r\n+a\r\n",
                                 "%?\r\n+a\r\n.\r\n",
                                 "#x\r\n",
                                 "_x\r\n",
                                 ",\r\n",
                                 "=2\r\nab\r\n",
                                 "=-1\r\n",
                                 ">?\r\n.\r\n",
                                 "+OK\r\n+OK\r\n",
                                 "|1\r\n+a\r\n:1\r\n",
                                 "$?\r\n;1\r\na\r\n",
                                 "$?\r\n+a\r\n",
                                 ".\r\n",
                                 "*?\r\n:1\r\n",
                                 "$9223372036854775807\r\nx\r\n",
                                 "*1\r\n.\r\n"}) {
    EXPECT_FALSE(ParseValue(reply).ok()) << reply;
  }
}

TEST(ValueTest, LimitsDepth) {
  EXPECT_TRUE(ParseValue(Nested(kReplyDepthMax)).ok());
  EXPECT_FALSE(ParseValue(Nested(kReplyDepthMax + 1)).ok());
  EXPECT_FALSE(ParseValue(Nested(1000000)).ok());
}

}  // namespace
}  // namespace rcproxy::resp
