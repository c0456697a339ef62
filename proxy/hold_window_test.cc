#include "proxy/hold_window.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

class HoldWindowTest : public testing::Test {
 protected:
  HoldWindowTest() {
    sim_.config.hold_requests_max = 3;
    sim_.config.hold_bytes_max = 100;
  }
  ~HoldWindowTest() override {
    for (Request* request : requests_) sim_.resources.FreeRequest(request);
  }
  Request* RequestOf(size_t bytes) {
    Request* request = sim_.resources.NewRequest();
    const Staging::Block block = sim_.resources.upstream_staging.Take(bytes, bytes);
    request->bytes = uring::Slice::Adopt(block.chunk, block.begin, bytes);
    requests_.push_back(request);
    return request;
  }

  SimForTest sim_;
  HoldWindow window_{sim_.config, sim_.stats};
  std::vector<Request*> requests_;
};

TEST_F(HoldWindowTest, EachShardHasAWindowOfItsOwn) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(window_.HasRoom(2, 10, {}));
    window_.Enter(RequestOf(10), 2);
  }
  EXPECT_FALSE(window_.HasRoom(2, 10, {}));
  EXPECT_TRUE(window_.HasAny(2));
  EXPECT_FALSE(window_.HasAny(1));
  EXPECT_FALSE(window_.HasAny(7));
  EXPECT_TRUE(window_.HasRoom(1, 10, {}));
  EXPECT_TRUE(window_.HasRoom(7, 10, {}));
  EXPECT_EQ(window_.requests(), 3u);
  EXPECT_EQ(sim_.stats.requests_held.value(), 3u);
  window_.Leave(*requests_[1]);
  EXPECT_TRUE(window_.HasRoom(2, 10, {}));
  EXPECT_EQ(sim_.stats.requests_held.value(), 2u);
}

TEST_F(HoldWindowTest, BytesAreLimitedBeyondTheFirstRequest) {
  EXPECT_TRUE(window_.HasRoom(1, 1000, {})) << "or it could never be executed";
  window_.Enter(RequestOf(60), 1);
  EXPECT_TRUE(window_.HasRoom(1, 40, {}));
  EXPECT_FALSE(window_.HasRoom(1, 41, {}));
  window_.Leave(*requests_[0]);
  EXPECT_TRUE(window_.HasRoom(1, 41, {}));
}

TEST_F(HoldWindowTest, WhatWaitsForTheConnectionIsPartOfIt) {
  window_.Enter(RequestOf(10), 1);
  EXPECT_TRUE(window_.HasRoom(1, 10, {.requests = 1, .bytes = 80}));
  EXPECT_FALSE(window_.HasRoom(1, 11, {.requests = 1, .bytes = 80}));
  EXPECT_FALSE(window_.HasRoom(1, 10, {.requests = 2, .bytes = 20}));
  EXPECT_FALSE(window_.HasRoom(2, 10, {.requests = 3, .bytes = 30}));
  EXPECT_FALSE(window_.HasRoom(2, 1000, {.requests = 1, .bytes = 10})) << "it is not the first";
}

TEST_F(HoldWindowTest, ARequestLeavesAsItCameWhateverBecameOfTheMap) {
  Request* request = RequestOf(80);
  request->slot = 5;
  window_.Enter(request, 3);
  EXPECT_EQ(request->hold.shard, 3);
  request->slot = 9;
  window_.Leave(*request);
  EXPECT_EQ(window_.requests(), 0u);
  EXPECT_TRUE(window_.HasRoom(3, 100, {}));
}

}  // namespace
}  // namespace rcproxy::proxy
