#include "proxy/operations/hyperloglog.h"

#include <gtest/gtest.h>

#include <string>

namespace rcproxy::proxy {
namespace {

using Status = HyperLogLog::Status;

std::string Value(char encoding, const std::string& body) {
  return std::string("HYLL") + encoding + std::string(11, '\0') + body;
}
// XZERO of `count`.
std::string Zeros(int count) {
  return {static_cast<char>(0x40 | (count - 1) >> 8), static_cast<char>(count - 1)};
}
// VAL: `count` registers of `value`.
std::string Registers(int value, int count) {
  return {static_cast<char>(0x80 | (value - 1) << 2 | (count - 1))};
}
std::string Dense(int index, int value) {
  std::string body(12288, '\0');
  const int bit = index * 6;
  body[bit / 8] = static_cast<char>(value << (bit % 8));
  if (bit % 8 > 2) body[bit / 8 + 1] = static_cast<char>(value >> (8 - bit % 8));
  return Value(0, body);
}

TEST(HyperLogLogTest, NothingIsZero) {
  HyperLogLog log;
  EXPECT_EQ(log.Count(), 0u);
  EXPECT_EQ(log.Merge(Value(1, Zeros(16384))), Status::kOk);
  EXPECT_EQ(log.Count(), 0u);
}

TEST(HyperLogLogTest, FewElementsAreCountedExactly) {
  HyperLogLog log;
  EXPECT_EQ(log.Merge(Value(1, Zeros(100) + Registers(1, 1) + Registers(2, 2) + Zeros(16281))),
            Status::kOk);
  EXPECT_EQ(log.Count(), 3u);
}

TEST(HyperLogLogTest, TheSameRegisterCountsOnceInBothEncodings) {
  for (const int index : {0, 1, 2, 3, 16382, 16383}) {
    HyperLogLog log;
    EXPECT_EQ(log.Merge(Dense(index, 5)), Status::kOk);
    EXPECT_EQ(log.Count(), 1u);
    EXPECT_EQ(log.Merge(Dense(index, 33)), Status::kOk);
    EXPECT_EQ(log.Count(), 1u) << index;
  }
  HyperLogLog log;
  EXPECT_EQ(log.Merge(Dense(100, 3)), Status::kOk);
  EXPECT_EQ(log.Merge(Value(1, Zeros(100) + Registers(1, 1) + Zeros(16283))), Status::kOk);
  EXPECT_EQ(log.Count(), 1u);
}

TEST(HyperLogLogTest, OtherStringsAreRefused) {
  HyperLogLog log;
  EXPECT_EQ(log.Merge(""), Status::kOther);
  EXPECT_EQ(log.Merge("a string of any other kind"), Status::kOther);
  EXPECT_EQ(log.Merge(Value(0, "short")), Status::kOther);
  EXPECT_EQ(log.Merge(Value(2, "")), Status::kOther);
}

TEST(HyperLogLogTest, RunsThatDoNotAddUpAreCorrupted) {
  for (const std::string& body : {std::string(), Zeros(16383), Zeros(16384) + Zeros(1),
                                  Zeros(16384) + Registers(1, 4), std::string("\x40")}) {
    HyperLogLog log;
    EXPECT_EQ(log.Merge(Value(1, body)), Status::kCorrupted);
  }
}

}  // namespace
}  // namespace rcproxy::proxy
