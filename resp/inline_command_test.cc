#include "resp/inline_command.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::resp {
namespace {

std::optional<std::vector<std::string>> Split(std::string_view line) {
  std::string text;
  std::vector<ArgSpan> spans;
  if (!SplitInlineCommand(line, &text, &spans)) return std::nullopt;
  std::vector<std::string> args;
  for (const ArgSpan& span : spans) args.push_back(text.substr(span.offset, span.size));
  return args;
}

TEST(InlineCommandTest, SplitsAsTheServerDoes) {
  using Args = std::vector<std::string>;
  const std::pair<std::string_view, Args> cases[] = {
      {"", {}},
      {" \t\v\f\r ", {}},
      {"PING", {"PING"}},
      {"  SET  a\tb  ", {"SET", "a", "b"}},
      {R"(SET "a b" 'c d')", {"SET", "a b", "c d"}},
      {R"(SET "" '')", {"SET", "", ""}},
      {R"("\x41\x4a\xfF")", {"AJ\xff"}},
      {R"("\n\r\t\b\a\\\"\q")", {"\n\r\t\b\a\\\"q"}},
      {R"("\x4" "\xg1")", {"x4", "xg1"}},
      {R"('\n\'"')", {R"(\n'")"}},
      {R"(foo"bar")", {"foobar"}},
      {R"(foo'b r' x)", {"foob r", "x"}},
      {R"(a\nb)", {R"(a\nb)"}},
      {"a\vb c\fd", {"a\vb", "c\fd"}},
      {"a\rb", {"a", "b"}},
      {"\"a\"\vb", {"a", "b"}},
  };
  for (const auto& [line, args] : cases) EXPECT_EQ(Split(line), args) << line;
}

TEST(InlineCommandTest, NulIsAnOrdinaryByte) {
  const std::string line("SET a\0b \"\0\"", 11);
  const auto args = Split(line);
  ASSERT_TRUE(args.has_value());
  ASSERT_EQ(args->size(), 3u);
  EXPECT_EQ((*args)[1], std::string("a\0b", 3));
  EXPECT_EQ((*args)[2], std::string("\0", 1));
}

TEST(InlineCommandTest, RefusesUnbalancedQuotes) {
  for (std::string_view line : {R"(")", R"(')", R"("a)", R"('a)", R"("a"b)", R"('a'b)", R"("a\")",
                                R"('a\')", R"("a""b")", R"(x"a)", R"("\)"}) {
    EXPECT_FALSE(Split(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace rcproxy::resp
