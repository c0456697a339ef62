#include "resp/command_view.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace rcproxy::resp {
namespace {

TEST(CommandViewTest, EncodedIsTheArgumentWithItsHeader) {
  const std::string long_value(1000, 'v');
  const std::string bytes =
      "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\n0123456789\r\n$1000\r\n" + long_value + "\r\n";
  const ArgSpan args[] = {{8, 3}, {17, 0}, {24, 10}, {43, 1000}};
  const CommandView view(bytes, args);
  ASSERT_EQ(view.size(), 4u);
  EXPECT_EQ(view[0], "SET");
  EXPECT_EQ(view[1], "");
  EXPECT_EQ(view[3], long_value);
  EXPECT_EQ(view.Encoded(0), "$3\r\nSET\r\n");
  EXPECT_EQ(view.Encoded(1), "$0\r\n\r\n");
  EXPECT_EQ(view.Encoded(2), "$10\r\n0123456789\r\n");
  EXPECT_EQ(view.Encoded(3), "$1000\r\n" + long_value + "\r\n");
  EXPECT_EQ(view.bytes(), bytes);
}

TEST(CommandViewTest, DefaultIsEmpty) { EXPECT_EQ(CommandView().size(), 0u); }

}  // namespace
}  // namespace rcproxy::resp
