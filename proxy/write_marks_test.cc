#include "proxy/write_marks.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace rcproxy::proxy {
namespace {

static_assert(sizeof(WriteMarks) == 8);

TEST(WriteMarksTest, NamesTheNodesWrittenTo) {
  WriteHistory history;
  const uint32_t a = history.NewMark();
  const uint32_t b = history.NewMark();
  WriteMarks client;
  EXPECT_EQ(client.nodes(), 0u);
  client.Note(a, history);
  client.Note(a, history);
  EXPECT_EQ(client.nodes(), a);
  client.Note(b, history);
  EXPECT_EQ(client.nodes(), a | b);
  client.Clear();
  EXPECT_EQ(client.nodes(), 0u);
}

TEST(WriteMarksTest, ThirtyThreeNodesShareAMark) {
  WriteHistory history;
  const uint32_t first = history.NewMark();
  for (int i = 1; i < 32; ++i) EXPECT_NE(history.NewMark(), first);
  EXPECT_EQ(history.NewMark(), first);
}

TEST(WriteMarksTest, ALossCountsForThoseWhoHadWrittenBefore) {
  WriteHistory history;
  const uint32_t a = history.NewMark();
  const uint32_t b = history.NewMark();
  WriteMarks before;
  before.Note(a, history);
  history.NoteLost(a);
  WriteMarks after;
  after.Note(a, history);
  WriteMarks elsewhere;
  elsewhere.Note(b, history);
  EXPECT_TRUE(history.LostSince(before.nodes(), before.since()));
  EXPECT_FALSE(history.LostSince(after.nodes(), after.since()));
  EXPECT_FALSE(history.LostSince(elsewhere.nodes(), elsewhere.since()));
}

TEST(WriteMarksTest, WhoHasWrittenNothingHasLostNothing) {
  WriteHistory history;
  history.NoteLost(history.NewMark());
  EXPECT_FALSE(history.LostSince(0, 0));
}

TEST(WriteMarksTest, ClearedMarksBeginAnew) {
  WriteHistory history;
  const uint32_t a = history.NewMark();
  WriteMarks client;
  client.Note(a, history);
  history.NoteLost(a);
  client.Clear();
  client.Note(a, history);
  EXPECT_FALSE(history.LostSince(client.nodes(), client.since()));
}

}  // namespace
}  // namespace rcproxy::proxy
