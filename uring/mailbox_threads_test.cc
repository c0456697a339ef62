// The mailbox between real threads and a real ring: no message is lost, no wake-up is missed.
#include <future>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "uring/mailbox.h"
#include "uring/ring.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

TEST(MailboxThreadsTest, EveryMessageOfEveryThreadArrivesInOrder) {
  constexpr int kThreads = 3;
  constexpr int kMessages = 5000;
  auto ring = Ring::Create({.receive_limit_bytes = 8 << 20});
  ASSERT_TRUE(ring.ok()) << ring.status();
  Mailbox mailbox(**ring);
  std::vector<int> next(kThreads, 0);  // Touched by messages only, so by this thread only.
  int received = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&mailbox, &next, &received, t] {
      for (int i = 0; i < kMessages; ++i) {
        mailbox.Post([&next, &received, t, i] {
          EXPECT_EQ(next[t]++, i);
          ++received;
        });
      }
    });
  }
  // Without a deadline: a lost wake-up would hang here and the test would time out.
  while (received < kThreads * kMessages) {
    (*ring)->Poll(kForever);
    mailbox.Drain();
  }
  for (std::thread& thread : threads) thread.join();
  mailbox.Close();
}

TEST(MailboxThreadsTest, TwoWorkersAnswerEachOther) {
  constexpr int kRounds = 500;
  auto ring = Ring::Create({.receive_limit_bytes = 8 << 20});
  ASSERT_TRUE(ring.ok()) << ring.status();
  Mailbox ours(**ring);
  Mailbox* theirs = nullptr;
  bool stopped = false;
  std::promise<void> may_end;
  std::thread worker([&ours, &theirs, &stopped, &may_end] {
    auto other = Ring::Create({.receive_limit_bytes = 8 << 20});
    CHECK(other.ok());
    Mailbox mailbox(**other);
    int rounds = 0;
    ours.Post([&theirs, &mailbox] { theirs = &mailbox; });
    mailbox.Post([] {});
    while (rounds < kRounds) {
      (*other)->Poll(kForever);
      mailbox.Drain();
      ++rounds;
      ours.Post([&theirs] { theirs->Post([] {}); });
    }
    mailbox.Close();
    ours.Post([&stopped] { stopped = true; });
    may_end.get_future().wait();  // The others may still post to our closed mailbox.
  });
  while (!stopped) {
    (*ring)->Poll(kForever);
    ours.Drain();
  }
  ours.Close();
  may_end.set_value();
  worker.join();
}

}  // namespace
}  // namespace rcproxy::uring
