#include "proxy/operations/operation_text.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(OperationTextTest, CommandsAreMultibulk) {
  EXPECT_EQ(CommandOf({"GET", ""}), "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
  EXPECT_EQ(CommandOf(std::vector<std::string>{"A"}), "*1\r\n$1\r\nA\r\n");
}

TEST(OperationTextTest, TextOfStringsAndNumbers) {
  EXPECT_EQ(TextOf("+OK\r\n"), "OK");
  EXPECT_EQ(TextOf(":-3\r\n"), "-3");
  EXPECT_EQ(TextOf(",1.5\r\n"), "1.5");
  EXPECT_EQ(TextOf("$4\r\na\r\nb\r\n"), "a\r\nb");
  EXPECT_EQ(TextOf("$0\r\n\r\n"), "");
  EXPECT_EQ(TextOf("=7\r\ntxt:abc\r\n"), "abc");
  EXPECT_EQ(TextOf("$-1\r\n"), "");
  EXPECT_EQ(TextOf("*0\r\n"), "");
}

TEST(OperationTextTest, NullHasThreeSpellings) {
  EXPECT_TRUE(IsNullReply("$-1\r\n") && IsNullReply("*-1\r\n") && IsNullReply("_\r\n"));
  EXPECT_FALSE(IsNullReply("$0\r\n\r\n"));
}

TEST(OperationTextTest, ElementsOfListsSetsAndMaps) {
  std::vector<std::string_view> elements;
  ASSERT_TRUE(ReadElements("*2\r\n:1\r\n*1\r\n+x\r\n", &elements));
  EXPECT_EQ(elements, (std::vector<std::string_view>{":1\r\n", "*1\r\n+x\r\n"}));
  ASSERT_TRUE(ReadElements("%1\r\n+k\r\n:1\r\n", &elements));
  EXPECT_EQ(elements.size(), 2u);
  ASSERT_TRUE(ReadElements("~0\r\n", &elements));
  EXPECT_TRUE(elements.empty());
  EXPECT_FALSE(ReadElements("+OK\r\n", &elements));
}

TEST(OperationTextTest, TheFirstError) {
  const std::string_view replies[] = {":1\r\n", "-A\r\n", "-B\r\n"};
  EXPECT_EQ(FirstError(replies), "-A\r\n");
  EXPECT_EQ(FirstError(std::span(replies).first(1)), "");
}

}  // namespace
}  // namespace rcproxy::proxy
