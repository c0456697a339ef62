#include "proxy/own_writes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace rcproxy::proxy {
namespace {

TEST(OwnWritesTest, WhoHasWrittenNothingNeedsNothing) {
  OwnWrites client;
  EXPECT_EQ(client.RoundFor(5, 5, 7), 0u);
  EXPECT_FALSE(client.SentSince(0));
}

TEST(OwnWritesTest, AWriteThatHasNotLeftIsAwaited) {
  OwnWrites client;
  client.NoteSent(5, 100);
  EXPECT_EQ(client.RoundFor(8, 4, 7), OwnWrites::kAwaited) << "behind an older command";
  EXPECT_EQ(client.RoundFor(8, 5, 7), OwnWrites::kAwaited);
  EXPECT_EQ(client.RoundFor(8, 6, 7), 7u);
}

// Later reads need no later round.
TEST(OwnWritesTest, TheRoundIsThatOfTheFirstReadBehindTheAnswer) {
  OwnWrites client;
  client.NoteSent(5, 100);
  EXPECT_EQ(client.RoundFor(6, 6, 7), 7u);
  EXPECT_EQ(client.RoundFor(9, 9, 12), 7u);
  client.NoteSent(10, 200);
  EXPECT_EQ(client.RoundFor(11, 10, 12), OwnWrites::kAwaited);
  EXPECT_EQ(client.RoundFor(11, 11, 12), 12u);
}

// An older write that goes out again does not stand for the younger one.
TEST(OwnWritesTest, TheYoungestWriteCounts) {
  OwnWrites client;
  client.NoteSent(5, 100);
  client.NoteSent(8, 100);
  client.NoteSent(5, 100);
  EXPECT_EQ(client.RoundFor(9, 8, 7), OwnWrites::kAwaited);
  EXPECT_EQ(client.RoundFor(9, 9, 7), 7u);
}

TEST(OwnWritesTest, ACommandThatHasWrittenReadsFromThePrimary) {
  OwnWrites client;
  client.NoteSent(5, 100);
  EXPECT_EQ(client.RoundFor(5, 5, 7), OwnWrites::kAwaited);
}

TEST(OwnWritesTest, OrdersWrap) {
  OwnWrites client;
  client.NoteSent(UINT32_MAX, 100);
  client.NoteSent(1, 100);
  EXPECT_EQ(client.RoundFor(3, 1, 7), OwnWrites::kAwaited);
  EXPECT_EQ(client.RoundFor(3, 2, 7), 7u);
  // So long ago that it seems to be younger: it can only be the client's oldest that tells.
  client.NoteSent(4, 100);
  const uint32_t later = 4 + (uint32_t{1} << 31) + 9;
  EXPECT_EQ(client.RoundFor(later, later, 8), 8u);
}

TEST(OwnWritesTest, ByTheClock) {
  OwnWrites client;
  client.NoteSent(5, 100);
  EXPECT_TRUE(client.SentSince(100));
  EXPECT_FALSE(client.SentSince(101));
}

}  // namespace
}  // namespace rcproxy::proxy
