#include "cluster/hash_slot.h"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

// The definition, one bit at a time.
uint16_t ReferenceCrc16(std::string_view bytes) {
  uint16_t crc = 0;
  for (const char byte : bytes) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<uint8_t>(byte) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      const bool carry = (crc & 0x8000) != 0;
      crc = static_cast<uint16_t>(crc << 1);
      if (carry) crc ^= 0x1021;
    }
  }
  return crc;
}

uint16_t ReferenceSlot(std::string_view key) { return ReferenceCrc16(HashTag(key)) % kSlotCount; }

TEST(HashSlotTest, GivesThePublishedCheckValue) {
  ASSERT_EQ(ReferenceCrc16("123456789"), 0x31C3);
  EXPECT_EQ(HashSlot("123456789"), 0x31C3);
}

TEST(HashSlotTest, GivesTheSlotsThatServersGive) {
  EXPECT_EQ(HashSlot(""), 0);
  EXPECT_EQ(HashSlot("foo"), 12182);
  EXPECT_EQ(HashSlot("bar"), 5061);
  EXPECT_EQ(HashSlot("somekey"), 11058);
  EXPECT_EQ(HashSlot("foo{hash_tag}"), 2515);
  EXPECT_EQ(HashSlot("bar{hash_tag}"), 2515);
}

TEST(HashTagTest, IsTheTextBetweenTheFirstBraceAndTheNext) {
  struct Case {
    std::string_view key;
    std::string_view tag;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {"plain", "plain"},
      {"{user1000}.following", "user1000"},
      {"a{b}c", "b"},
      {"foo{}{bar}",
       "foo{}{bar}"},  // Empty first pair: the whole key, the second is not looked at.
      {"foo{{bar}}zap", "{bar"},
      {"foo{bar}{zap}", "bar"},
      {"foo}{bar", "foo}{bar"},
      {"}a{b}", "b"},
      {"{", "{"},
      {"}", "}"},
      {"{}", "{}"},
      {"{a", "{a"},
      {"a}", "a}"},
      {"{a}", "a"},
      {"0123456{8}", "8"},
      {"01234567{9}", "9"},
      {std::string_view("{\0}x", 4), std::string_view("\0", 1)},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(HashTag(test.key), test.tag) << test.key;
    EXPECT_EQ(HashSlot(test.key), ReferenceCrc16(test.tag) % kSlotCount) << test.key;
  }
}

// Every value of every byte position, for all sizes that take a different path through the loads.
TEST(HashSlotTest, EqualsTheReferenceForEveryByteAtEveryPosition) {
  for (size_t size = 1; size <= 40; ++size) {
    std::string key(size, 'x');
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        key[at] = static_cast<char>(byte);
        ASSERT_EQ(HashSlot(key), ReferenceSlot(key)) << size << " " << at << " " << byte;
      }
      key[at] = static_cast<char>('a' + at % 26);
    }
  }
}

TEST(HashSlotTest, EqualsTheReferenceForAllKeysOfTwoBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char key[2] = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(HashSlot({key, 2}), ReferenceSlot({key, 2}));
    }
  }
}

TEST(HashSlotTest, EqualsTheReferenceForRandomKeysWithManyBraces) {
  constexpr uint32_t kSeed = 20240917;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 20000; ++round) {
    std::string key(random() % 70, '\0');
    for (char& byte : key) {
      const uint32_t kind = random() % 8;
      byte = kind == 0 ? '{' : kind == 1 ? '}' : static_cast<char>(random());
    }
    ASSERT_EQ(HashSlot(key), ReferenceSlot(key)) << testing::PrintToString(key);
  }
}

// The key lies at the end of its own heap block: a load beyond it is seen by the address checker.
TEST(HashSlotTest, ReadsNothingOutsideTheKey) {
  for (size_t size = 0; size <= 64; ++size) {
    const std::vector<char> exact(size, 'k');
    EXPECT_EQ(HashSlot({exact.data(), exact.size()}), ReferenceSlot(std::string(size, 'k')));
  }
}

TEST(HashSlotTest, HashesLargeKeysAsAWhole) {
  std::string key(1 << 20, 'a');
  const uint16_t before = HashSlot(key);
  key.back() = 'b';
  EXPECT_NE(HashSlot(key), before);
  EXPECT_EQ(HashSlot(key), ReferenceSlot(key));
}

}  // namespace
}  // namespace rcproxy::cluster
