#include "proxy/database_refusal.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr char kOutOfRange[] = "-ERR DB index is out of range\r\n";

TEST(DatabaseRefusalTest, HoldsForTheDatabaseAndThoseBehindIt) {
  DatabaseRefusal refusal;
  EXPECT_EQ(refusal.Find(4, 0), "");
  refusal.Note(4, kOutOfRange, 0);
  EXPECT_EQ(refusal.Find(4, 1), kOutOfRange);
  EXPECT_EQ(refusal.Find(9, 1), kOutOfRange);
  EXPECT_EQ(refusal.Find(3, 1), "");
}

TEST(DatabaseRefusalTest, EndsAfterASecond) {
  DatabaseRefusal refusal;
  refusal.Note(1, "-ERR SELECT is not allowed in cluster mode\r\n", 5 * kSecond);
  EXPECT_NE(refusal.Find(1, 6 * kSecond - 1), "");
  EXPECT_EQ(refusal.Find(1, 6 * kSecond), "");
}

TEST(DatabaseRefusalTest, OtherErrorsSayNothingOfWhatThereIs) {
  DatabaseRefusal refusal;
  refusal.Note(1, "-NOPERM this user has no permissions to run the 'select' command\r\n", 0);
  refusal.Note(1, "-ERR unknown command 'SELECT'\r\n", 0);
  EXPECT_EQ(refusal.Find(1, 1), "");
}

}  // namespace
}  // namespace rcproxy::proxy
