// A user without privileges: newer kernels count rings and zero-copy sends against RLIMIT_MEMLOCK.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "uring/ring.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

void DropCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[2] = {};
  ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
}

// Runs `body` on a thread without capabilities (they belong to a thread) under a soft limit.
void RunLimited(rlim_t bytes, const std::function<void()>& body) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
  const rlimit little = {.rlim_cur = bytes, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &little), 0);
  std::thread thread([&body] {
    DropCapabilities();
    body();
  });
  thread.join();
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

TEST(RingMemlockTest, WithoutAnySaysWhatToRaise) {
  RunLimited(0, [] {
    const auto ring = Ring::Create({.receive_limit_bytes = 8 << 20});
    if (ring.ok()) GTEST_SKIP() << "this kernel does not count rings";
    EXPECT_NE(ring.status().message().find("RLIMIT_MEMLOCK"), absl::string_view::npos)
        << ring.status();
  });
}

TEST(RingMemlockTest, WithLittleTheRingIsSmaller) {
  RunLimited(128 << 10, [] {
    const auto ring = Ring::Create({.receive_limit_bytes = 8 << 20});
    ASSERT_TRUE(ring.ok()) << ring.status();
    (*ring)->Wake();
    (*ring)->Poll((*ring)->NowNs() + kSecondNs);
  });
}

TEST(RingMemlockTest, WithLittleSendsAreCopied) {
  RunLimited(128 << 10, [] {
    const auto ring = Ring::Create({.sq_entries = 16,
                                    .cq_entries = 64,
                                    .receive_limit_bytes = 8 << 20,
                                    .zero_copy_min_bytes = 1000});
    ASSERT_TRUE(ring.ok()) << ring.status();
    TestPair pair = TestPair::Tcp();
    const std::string data(500'000, 'z');
    Recorder sent;
    (*ring)->Send(pair.ours.get(), data.data(), data.size(), sent.get());
    while (sent.in_flight()) (*ring)->Poll((*ring)->NowNs() + kSecondNs);
    ASSERT_EQ(sent.results.size(), 1u);
    EXPECT_GT(sent.results[0], 0);
    (*ring)->CheckInvariants();
  });
}

}  // namespace
}  // namespace rcproxy::uring
