#include "proxy/request_order.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/sim_for_test.h"
#include "proxy/split_state.h"
#include "proxy/staging.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

TEST(RequestOrderTest, OrdersWrap) {
  Request a, b;
  a.order = 7;
  b.order = 8;
  EXPECT_TRUE(IsOlder(a, b));
  EXPECT_FALSE(IsOlder(b, a));
  EXPECT_FALSE(IsOlder(a, a));
  a.order = 0xffffffff;
  EXPECT_TRUE(IsOlder(a, b));
}

class MustKeepOrderTest : public testing::Test {
 protected:
  // A request for the command, all of them for one slot.
  void Fill(Request* request, const std::string& line) {
    const std::vector<std::string> words = cluster::Words(line);
    request->spec = cluster::FindCommand(words[0]);
    request->read_only = request->spec->Has(cluster::kFlagRead);
    request->slot = 1;
    const std::string bytes(cluster::CommandForTest(words).view().bytes());
    const Staging::Block block = sim_.resources.upstream_staging.Take(bytes.size(), bytes.size());
    bytes.copy(block.begin, bytes.size());
    request->bytes = uring::Slice::Adopt(block.chunk, block.begin, bytes.size());
  }
  bool MustKeep(const std::string& first, const std::string& second) {
    Request a, b;
    Fill(&a, first);
    Fill(&b, second);
    return MustKeepOrder(a, b);
  }

  SimForTest sim_;
};

TEST_F(MustKeepOrderTest, WhereOneWritesWhatTheOtherUses) {
  EXPECT_TRUE(MustKeep("SET a 1", "GET a"));
  EXPECT_TRUE(MustKeep("GET a", "SET a 1"));
  EXPECT_FALSE(MustKeep("GET a", "GET a"));
  EXPECT_FALSE(MustKeep("SET a 1", "SET b 1"));
}

TEST_F(MustKeepOrderTest, NotAcrossSlots) {
  Request a, b;
  Fill(&a, "SET a 1");
  Fill(&b, "SET a 2");
  b.slot = 2;
  EXPECT_FALSE(MustKeepOrder(a, b));
}

TEST_F(MustKeepOrderTest, WhatIsNotKnownMayBeTheSame) {
  Request a, b;
  Fill(&a, "SET a 1");
  Fill(&b, "SET b 1");
  b.is_unit = true;
  EXPECT_TRUE(MustKeepOrder(a, b));
  b.is_unit = false;
  b.state = Request::State::kAnswered;
  EXPECT_TRUE(MustKeepOrder(a, b));
  EXPECT_TRUE(MustKeepOrder(b, a));
}

TEST(AnyInFlightTest, VisitsRequestsAndPartsUntilTold) {
  SimForTest sim;
  ClientForTest client(sim.resources);
  Request* single = sim.resources.NewRequest();
  client.replies.Push(single);
  Request* parent = sim.resources.NewRequest();
  parent->is_split = true;
  parent->split = sim.resources.splits.New();
  parent->split->parent = parent;
  parent->split->merge = cluster::Merge::kSum;
  parent->split->pending = 2;
  client.replies.Push(parent);
  client.replies.AddParts(2);
  for (int i = 0; i < 2; ++i) {
    Request* part = sim.resources.NewRequest();
    part->sink = Request::Sink::kPart;
    part->split_parent = parent->split;
    parent->split->parts.push_back(part);
  }
  const std::vector<Request*> parts = parent->split->parts;

  std::vector<const Request*> seen;
  EXPECT_FALSE(AnyInFlight(client.replies, [&seen](const Request& request) {
    seen.push_back(&request);
    return false;
  }));
  EXPECT_EQ(seen, (std::vector<const Request*>{single, parts[0], parts[1]}));
  int visits = 0;
  EXPECT_TRUE(AnyInFlight(client.replies, [&](const Request&) { return ++visits == 2; }));
  EXPECT_EQ(visits, 2);

  DeliverText(sim.resources, single, "+OK\r\n");
  for (Request* part : parts) DeliverText(sim.resources, part, ":1\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
