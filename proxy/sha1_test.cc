#include "proxy/sha1.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(Sha1Test, TheExamplesOfTheStandard) {
  EXPECT_EQ(Sha1Hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(Sha1Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(Sha1Hex(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  EXPECT_EQ(Sha1Hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(Sha1Test, LengthsAroundABlock) {
  EXPECT_EQ(Sha1Hex(std::string(55, 'x')).size(), 40u);
  EXPECT_NE(Sha1Hex(std::string(63, 'x')), Sha1Hex(std::string(64, 'x')));
  EXPECT_EQ(Sha1Hex("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace rcproxy::proxy
