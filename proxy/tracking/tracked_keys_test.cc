#include "proxy/tracking/tracked_keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rcproxy::proxy {
namespace {

class ReaderForTest final : public KeyReader {
 public:
  using KeyReader::KeyReader;
};

// Links are only compared.
UpstreamConnection* Link(uintptr_t number) { return reinterpret_cast<UpstreamConnection*>(number); }

class TrackedKeysTest : public ::testing::Test {
 protected:
  ~TrackedKeysTest() override {
    keys.Forget(&a);
    keys.Forget(&b);
  }
  std::vector<KeyReader*> Take(std::string_view key) {
    std::vector<KeyReader*> readers;
    keys.Take(key, &readers);
    return readers;
  }

  ReaderForTest a{2};
  ReaderForTest b{1};
  TrackedKeys keys;
};

TEST_F(TrackedKeysTest, TellsWhoHasReadAKeyOnce) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&b, "k", 7, Link(1));
  keys.Add(&a, "other", 8, Link(1));
  EXPECT_EQ(keys.keys(), 2u);
  EXPECT_EQ(keys.readings(), 3u);
  EXPECT_EQ(Take("k"), (std::vector<KeyReader*>{&a, &b}));
  EXPECT_EQ(Take("k"), std::vector<KeyReader*>());
  EXPECT_EQ(keys.keys(), 1u);
  EXPECT_TRUE(a.HasReadings());
  EXPECT_FALSE(b.HasReadings());
}

TEST_F(TrackedKeysTest, OneReadingIsForgottenIfItWasOverThatLink) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&b, "k", 7, Link(1));
  keys.Forget(&a, "other", Link(1));
  keys.Forget(&a, "k", Link(2));
  EXPECT_EQ(keys.readings(), 2u);
  keys.Forget(&a, "k", Link(1));
  keys.Forget(&a, "k", Link(1));
  EXPECT_FALSE(a.HasReadings());
  EXPECT_EQ(Take("k"), std::vector<KeyReader*>{&b});
}

TEST_F(TrackedKeysTest, AKeyReadAgainIsTheSameReadingOverTheNewLink) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&a, "k", 7, Link(2));
  EXPECT_EQ(keys.readings(), 1u);
  EXPECT_TRUE(keys.ReadersOver(Link(1)).empty());
  EXPECT_EQ(keys.ReadersOver(Link(2)), std::vector<KeyReader*>{&a});
}

TEST_F(TrackedKeysTest, TheReadersOverALinkComeInTheOrderOfTheirIds) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&b, "k", 7, Link(1));
  EXPECT_EQ(keys.ReadersOver(Link(1)), (std::vector<KeyReader*>{&b, &a}));
}

TEST_F(TrackedKeysTest, AReaderThatLeavesIsForgotten) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&a, "l", 8, Link(1));
  keys.Add(&b, "l", 8, Link(1));
  keys.Forget(&a);
  EXPECT_EQ(keys.readings(), 1u);
  EXPECT_EQ(Take("k"), std::vector<KeyReader*>());
  EXPECT_EQ(Take("l"), std::vector<KeyReader*>{&b});
}

TEST_F(TrackedKeysTest, OfASlotThoseAreTakenThatMustNotStay) {
  keys.Add(&a, "k", 7, Link(1));
  keys.Add(&b, "k", 7, Link(2));
  keys.Add(&a, "l", 7, Link(1));
  keys.Add(&a, "other", 8, Link(1));
  TrackedKeys::KeysOfReaders taken;
  keys.TakeSlot(
      7, [](UpstreamConnection* link) { return link == Link(2); }, &taken);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[&a], (std::vector<std::string>{"k", "l"}));
  EXPECT_EQ(Take("k"), std::vector<KeyReader*>{&b});
  EXPECT_EQ(keys.Slots(), std::vector<uint16_t>{8});
}

TEST_F(TrackedKeysTest, TheOldestIsWhatWasReadFirst) {
  keys.Add(&a, "first", 7, Link(1));
  keys.Add(&a, "second", 7, Link(1));
  EXPECT_EQ(keys.Oldest(), "first");
  Take("first");
  EXPECT_EQ(keys.Oldest(), "second");
}

}  // namespace
}  // namespace rcproxy::proxy
