#include "proxy/human_bytes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace rcproxy::proxy {
namespace {

TEST(HumanBytesTest, IsWrittenAsTheServerDoes) {
  EXPECT_EQ(HumanBytes(0), "0B");
  EXPECT_EQ(HumanBytes(1023), "1023B");
  EXPECT_EQ(HumanBytes(1024), "1.00K");
  EXPECT_EQ(HumanBytes(941256), "919.20K");
  EXPECT_EQ(HumanBytes(25276502016), "23.54G");
  EXPECT_EQ(HumanBytes(UINT64_MAX), "16384.00P");
}

}  // namespace
}  // namespace rcproxy::proxy
