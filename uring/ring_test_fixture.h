// A ring that plays one of the kernels of ring_test_options.h, and what its tests need around it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "uring/ring.h"
#include "uring/ring_test_options.h"
#include "uring/test_sockets.h"

namespace rcproxy::uring {

inline constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
inline constexpr int64_t kMillisecondNs = 1'000'000;

using Results = std::vector<int>;

class RingTest : public ::testing::TestWithParam<RingMask> {
 protected:
  void Make(Ring::Options options) {
    options.allowed = GetParam().allowed;
    auto ring = Ring::Create(options);
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  void Make() { Make({.receive_limit_bytes = 8 << 20}); }
  void TearDown() override {
    if (ring_ == nullptr) return;
    EXPECT_EQ(ring_->operations_in_flight(), 0u);
    ring_->CheckInvariants();
  }

  // Polls until `done`; a condition that never comes is a failure, not a hang.
  void PollUntil(const std::function<bool()>& done) {
    const int64_t give_up_ns = ring_->NowNs() + 5000 * kMillisecondNs;
    while (!done() && ring_->NowNs() < give_up_ns) ring_->Poll(give_up_ns);
    ASSERT_TRUE(done());
  }
  // Lets everything happen that can happen without anybody's help.
  void Settle() {
    for (int i = 0; i < 3; ++i) ring_->Poll(0);
  }
  void End(Recorder& recorder) {
    ring_->Cancel(recorder.get());
    PollUntil([&] { return !recorder.in_flight(); });
  }

  std::unique_ptr<Ring> ring_;
};

inline std::string Pattern(size_t size) {
  std::string text(size, 0);
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace rcproxy::uring
