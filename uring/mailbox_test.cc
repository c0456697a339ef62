#include "uring/mailbox.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "uring/fake_io.h"

namespace rcproxy::uring {
namespace {

TEST(MailboxTest, RunsMessagesInOrderAndWakesOncePerDrain) {
  FakeIo io;
  Mailbox mailbox(io);
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) mailbox.Post([&ran, i] { ran.push_back(i); });
  EXPECT_EQ(io.wakes, 1);
  EXPECT_TRUE(ran.empty());
  mailbox.Drain();
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
  mailbox.Drain();
  EXPECT_EQ(ran.size(), 3u);
  mailbox.Post([&] { ran.push_back(3); });
  EXPECT_EQ(io.wakes, 2);
  mailbox.Drain();
  EXPECT_EQ(ran.size(), 4u);
}

TEST(MailboxTest, WhatAMessagePostsRunsInTheNextDrain) {
  FakeIo io;
  Mailbox mailbox(io);
  int inner = 0;
  mailbox.Post([&] { mailbox.Post([&] { ++inner; }); });
  mailbox.Drain();
  EXPECT_EQ(inner, 0);
  EXPECT_EQ(io.wakes, 2);
  mailbox.Drain();
  EXPECT_EQ(inner, 1);
}

TEST(MailboxTest, CloseDestroysWhatHasNotRun) {
  FakeIo io;
  Mailbox mailbox(io);
  auto token = std::make_shared<int>(0);
  mailbox.Post([token] { FAIL(); });
  EXPECT_EQ(token.use_count(), 2);
  mailbox.Close();
  EXPECT_EQ(token.use_count(), 1);
  mailbox.Post([token] { FAIL(); });
  EXPECT_EQ(token.use_count(), 1);
  mailbox.Drain();
}

TEST(MailboxTest, AMessageMayClose) {
  FakeIo io;
  Mailbox mailbox(io);
  mailbox.Post([&] { mailbox.Close(); });
  mailbox.Post([] { FAIL(); });
  mailbox.Drain();
}

}  // namespace
}  // namespace rcproxy::uring
