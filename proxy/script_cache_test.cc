#include "proxy/script_cache.h"

#include <gtest/gtest.h>

#include "proxy/sha1.h"

namespace rcproxy::proxy {
namespace {

TEST(ScriptCacheTest, WhatWasSeenIsFoundByItsDigest) {
  ScriptCache scripts(1000);
  scripts.Note("return 1");
  scripts.Note("return 1");
  EXPECT_EQ(scripts.bytes(), 8u);
  ASSERT_NE(scripts.Find("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), nullptr);
  EXPECT_EQ(*scripts.Find("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"), "return 1");
  EXPECT_EQ(scripts.Find("e0e1f9fabfc9d4800c877a703b823ac0578ff8d"), nullptr);
  EXPECT_EQ(scripts.Find("e0e1f9fabfc9d4800c877a703b823ac0578ff8dbx"), nullptr);
  EXPECT_EQ(scripts.Find(""), nullptr);
}

TEST(ScriptCacheTest, TheOldestGoWhenThereIsNoRoom) {
  ScriptCache scripts(20);
  scripts.Note("return 1");
  scripts.Note("return 2");
  scripts.Note("return 3");
  EXPECT_EQ(scripts.Find(Sha1Hex("return 1")), nullptr);
  EXPECT_NE(scripts.Find(Sha1Hex("return 2")), nullptr);
  scripts.Note(std::string(21, 'x'));
  EXPECT_NE(scripts.Find(Sha1Hex("return 3")), nullptr) << "what never fits drives nothing out";
  EXPECT_LE(scripts.bytes(), 20u);
}

TEST(ScriptCacheTest, AFlushIsFeltByAll) {
  ScriptCache one(100);
  ScriptCache other(100);
  one.Note("return 1");
  other.Note("return 1");
  ScriptCache::ForgetAll();
  EXPECT_EQ(one.Find(Sha1Hex("return 1")), nullptr);
  EXPECT_EQ(other.Find(Sha1Hex("return 1")), nullptr);
  one.Note("return 1");
  EXPECT_NE(one.Find(Sha1Hex("return 1")), nullptr);
}

}  // namespace
}  // namespace rcproxy::proxy
