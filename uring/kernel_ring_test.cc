#include "uring/kernel_ring.h"

#include <glog/logging.h>
#include <liburing.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::uring {

// Plays a kernel that takes no submissions for a while.
class KernelRingTestPeer {
 public:
  static void RefuseSubmissions(KernelRing& ring, bool refuse) {
    ring.refuse_submissions_ = refuse;
  }
  static size_t backlog(const KernelRing& ring) { return ring.backlog_.size(); }
};

namespace {

void QueueNop(KernelRing& ring, uint64_t user_data) {
  io_uring_sqe* const sqe = ring.NextSqe();
  io_uring_prep_nop(sqe);
  sqe->user_data = user_data;
}

std::vector<uint64_t> PopAll(KernelRing& ring) {
  std::vector<uint64_t> seen;
  while (ring.ready() > 0) seen.push_back(ring.Pop().user_data);
  return seen;
}

std::vector<uint64_t> Numbers(uint64_t count) {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

class KernelRingTest : public ::testing::TestWithParam<TaskWork> {
 protected:
  std::unique_ptr<KernelRing> Make(uint32_t sq_entries, uint32_t cq_entries) {
    auto ring = KernelRing::Create(
        {.sq_entries = sq_entries, .cq_entries = cq_entries, .task_work = GetParam()});
    CHECK(ring.ok()) << ring.status();
    return *std::move(ring);
  }
};

TEST_P(KernelRingTest, EntriesComeBackInOrder) {
  auto ring = Make(8, 16);
  EXPECT_FALSE(ring->HasUnsubmitted());
  for (uint64_t i = 0; i < 5; ++i) QueueNop(*ring, i);
  EXPECT_TRUE(ring->HasUnsubmitted());
  EXPECT_EQ(ring->Enter({.events = 5}), 0);
  EXPECT_FALSE(ring->HasUnsubmitted());
  EXPECT_EQ(PopAll(*ring), Numbers(5));
  EXPECT_EQ(ring->enters(), 1u);
}

TEST_P(KernelRingTest, MoreEntriesThanTheQueueHoldsAreSubmittedOnTheWay) {
  auto ring = Make(4, 64);
  for (uint64_t i = 0; i < 50; ++i) QueueNop(*ring, i);
  EXPECT_EQ(ring->Enter({.events = 50}), 0);
  EXPECT_EQ(PopAll(*ring), Numbers(50));
}

TEST_P(KernelRingTest, AnOverflownCompletionQueueLosesNothing) {
  auto ring = Make(4, 8);
  const uint64_t count = 10 * ring->cq_entries();
  for (uint64_t i = 0; i < count; ++i) QueueNop(*ring, i);
  ring->Enter({});
  EXPECT_TRUE(ring->HasOverflow());
  std::vector<uint64_t> seen;
  for (int turn = 0; turn < 100 && seen.size() < count; ++turn) {
    for (uint64_t value : PopAll(*ring)) seen.push_back(value);
    ring->Enter({});
  }
  EXPECT_EQ(seen, Numbers(count));
  EXPECT_FALSE(ring->HasOverflow());
}

TEST_P(KernelRingTest, ARefusingKernelDelaysButLosesNothing) {
  auto ring = Make(4, 64);
  KernelRingTestPeer::RefuseSubmissions(*ring, true);
  for (uint64_t i = 0; i < 20; ++i) QueueNop(*ring, i);
  EXPECT_EQ(KernelRingTestPeer::backlog(*ring), 16u);
  EXPECT_EQ(ring->Enter({}), -EBUSY);
  EXPECT_EQ(ring->ready(), 0u);
  EXPECT_TRUE(ring->HasUnsubmitted());
  KernelRingTestPeer::RefuseSubmissions(*ring, false);
  QueueNop(*ring, 20);  // Behind those that wait.
  EXPECT_EQ(ring->Enter({.events = 21}), 0);
  EXPECT_EQ(KernelRingTestPeer::backlog(*ring), 0u);
  EXPECT_EQ(PopAll(*ring), Numbers(21));
}

TEST_P(KernelRingTest, WaitingEndsAtTheTimeout) {
  auto ring = Make(4, 8);
  EXPECT_EQ(ring->Enter({.events = 1, .timeout_ns = 1'000'000}), -ETIME);
}

INSTANTIATE_TEST_SUITE_P(TaskWork, KernelRingTest,
                         ::testing::Values(TaskWork::kDeferred, TaskWork::kCooperative),
                         [](const auto& info) {
                           return info.param == TaskWork::kDeferred ? "Deferred" : "Cooperative";
                         });

TEST(SetupErrorTest, NamesTheCauseAndTheRemedy) {
  const auto text = [](int error) { return std::string(SetupError(error, "a step").message()); };
  EXPECT_NE(text(EPERM).find("kernel.io_uring_disabled"), std::string::npos);
  EXPECT_NE(text(EPERM).find("seccomp"), std::string::npos);
  EXPECT_NE(text(ENOSYS).find("5.19"), std::string::npos);
  EXPECT_NE(text(ENOSYS).find("seccomp"), std::string::npos);
  EXPECT_NE(text(ENOMEM).find("RLIMIT_MEMLOCK"), std::string::npos);
  EXPECT_NE(text(EMFILE).find("ulimit -n"), std::string::npos);
  EXPECT_NE(text(EINVAL).find("5.19"), std::string::npos);
  EXPECT_NE(text(EIO).find("a step"), std::string::npos);
}

}  // namespace
}  // namespace rcproxy::uring
