#include "resp/number.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace rcproxy::resp {
namespace {

TEST(NumberTest, StrictIntegerHasOneFormPerNumber) {
  struct Case {
    std::string_view text;
    int64_t value;
  };
  for (const Case& c :
       {Case{"0", 0}, Case{"7", 7}, Case{"-1", -1}, Case{"1048576", 1048576},
        Case{"9223372036854775807", INT64_MAX}, Case{"-9223372036854775808", INT64_MIN}}) {
    int64_t value = 42;
    EXPECT_TRUE(ParseStrictInteger(c.text, &value)) << c.text;
    EXPECT_EQ(value, c.value) << c.text;
  }
  for (std::string_view text :
       {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1a", "a", "--1", "9223372036854775808",
        "-9223372036854775809", "18446744073709551616", "99999999999999999999999"}) {
    int64_t value = 0;
    EXPECT_FALSE(ParseStrictInteger(text, &value)) << text;
  }
}

TEST(NumberTest, DecimalLengthCountsDigits) {
  uint64_t power = 1;
  for (int digits = 1; digits <= 19; ++digits) {
    EXPECT_EQ(DecimalLength(power), digits);
    EXPECT_EQ(DecimalLength(power * 10 - 1), digits);
    power *= 10;
  }
  EXPECT_EQ(DecimalLength(0), 1);
  EXPECT_EQ(DecimalLength(UINT64_MAX), 20);
}

TEST(NumberTest, ShortLengthReadsUpToThreeDigits) {
  for (uint32_t n = 0; n <= kShortLengthMax; ++n) {
    const std::string text = "$" + std::to_string(n) + "\r\n";
    const ShortLength length = ReadShortLength((text + "??").data(), '$');
    EXPECT_EQ(length.value, n);
    EXPECT_EQ(length.bytes, static_cast<uint32_t>(text.size()));
    EXPECT_EQ(ReadShortLength((text + "??").data(), '*').bytes, 0u);
  }
  for (std::string_view text :
       {"$1000\r\n", "$01\r\n?", "$001\r\n", "$-1\r\n?", "$\r\n???", "$1\n???", "$1\rX??",
        "$12\rX?", "$123\rX", "$1x\r\n?", "$12x\r\n", "$+1\r\n?", "$:\r\n??", "$/\r\n??"}) {
    EXPECT_EQ(ReadShortLength(text.data(), '$').bytes, 0u) << text;
  }
}

// Four bytes are compared as one: no other byte may pass in any of the places.
TEST(NumberTest, OneDigitAcceptsNothingElse) {
  for (int place = 0; place < 4; ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = "$7\r\n";
      text[place] = static_cast<char>(byte);
      const bool good = place == 1 ? byte >= '0' && byte <= '9' : text == "$7\r\n";
      EXPECT_EQ(ReadOneDigit(text.data(), '$') <= 9, good) << place << " " << byte;
    }
  }
}

TEST(NumberTest, MediumLengthReadsFourToSevenDigits) {
  for (uint32_t n : {1000u, 9999u, 10000u, 65536u, 999999u, 1000000u, 9999999u}) {
    const std::string text = "$" + std::to_string(n) + "\r\n";
    const ShortLength length = ReadMediumLength((text + "?????").data(), '$');
    EXPECT_EQ(length.value, n);
    EXPECT_EQ(length.bytes, static_cast<uint32_t>(text.size()));
  }
  for (std::string_view text :
       {"$999\r\n????", "$10000000\r\n", "$0999\r\n???", "$-1000\r\n??", "$1000\n????",
        "$1000\r?????", "$1000x\r\n??", "$1000000\r?", "*1000\r\n???"}) {
    EXPECT_EQ(ReadMediumLength(text.data(), '$').bytes, 0u) << text;
  }
}

}  // namespace
}  // namespace rcproxy::resp
