#include "proxy/text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace rcproxy::proxy {
namespace {

TEST(TextTest, ConcatTakesTextsAndIntegers) {
  EXPECT_EQ(Concat(), "");
  EXPECT_EQ(Concat("a", std::string("b"), std::string_view("c"), -3, uint16_t{65535}),
            "abc-365535");
  EXPECT_EQ(Concat(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
}

TEST(TextTest, CaseIsThatOfAsciiLetters) {
  EXPECT_EQ(ToUpper("client|no-evict\xe4"), "CLIENT|NO-EVICT\xe4");
  EXPECT_TRUE(EqualsIgnoreCase("SetName", "sEtnAME"));
  EXPECT_TRUE(EqualsIgnoreCase("", ""));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("ab", "a"));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
}

}  // namespace
}  // namespace rcproxy::proxy
