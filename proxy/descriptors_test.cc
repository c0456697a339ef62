#include "proxy/descriptors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace rcproxy::proxy {
namespace {

class DescriptorsTest : public testing::Test {
 protected:
  DescriptorsTest() {
    config_.workers = 2;
    config_.maxclients = 100;
    getrlimit(RLIMIT_NOFILE, &before_);
  }
  ~DescriptorsTest() override { setrlimit(RLIMIT_NOFILE, &before_); }

  static constexpr uint64_t kReserved = 3 * kReservedDescriptors;
  Config config_;
  rlimit before_ = {};
};

TEST_F(DescriptorsTest, ClientsGetWhatNodesLeave) {
  EXPECT_EQ(*ClientsThatFit(config_, 1'000'000), 100u) << "never more than asked for";
  EXPECT_EQ(*ClientsThatFit(config_, kReserved + 100), 100u);
  EXPECT_EQ(*ClientsThatFit(config_, kReserved + 99), 99u);
  EXPECT_EQ(*ClientsThatFit(config_, kReserved + 1), 1u);
}

TEST_F(DescriptorsTest, TooFewForNodesAreAnError) {
  for (const uint64_t descriptors : {uint64_t{0}, uint64_t{64}, kReserved})
    EXPECT_FALSE(ClientsThatFit(config_, descriptors).ok()) << descriptors;
  EXPECT_EQ(ClientsThatFit(config_, 64).status().message(),
            "the limit of open files is 64, and --workers=2 need 192 beside those of clients: "
            "raise it (ulimit -n) to 292");
}

TEST_F(DescriptorsTest, TheLimitIsRaisedAsFarAsNeeded) {
  rlimit limit = before_;
  limit.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_TRUE(FitToDescriptors(&config_).ok());
  EXPECT_EQ(config_.maxclients, 100u);
  getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(limit.rlim_cur, kReserved + 100);
}

TEST_F(DescriptorsTest, WhatDoesNotFitIsLowered) {
  config_.maxclients = UINT32_MAX;
  if (before_.rlim_max >= UINT32_MAX) GTEST_SKIP() << "everything fits here";
  ASSERT_TRUE(FitToDescriptors(&config_).ok());
  EXPECT_EQ(config_.maxclients, before_.rlim_max - kReserved);
}

}  // namespace
}  // namespace rcproxy::proxy
