#include "proxy/held_link.h"

#include <gtest/gtest.h>

#include "proxy/link_for_test.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {
namespace {

class HeldLinkTest : public testing::Test, public LinkForTest {
 protected:
  UpstreamConnection* Take(HeldLink* held) {
    UpstreamConnection* link = upstream.TakeOwnLink(/*resp3=*/false);
    held->Take(link);
    return link;
  }
};

TEST_F(HeldLinkTest, WhatIsGivenBackSomebodyElseMayHave) {
  HeldLink held;
  UpstreamConnection* link = Take(&held);
  EXPECT_TRUE(link->is_held());
  EXPECT_EQ(held.link(), link);
  EXPECT_EQ(sim.stats.own_connections.value(), 1u);
  held.GiveBack();
  EXPECT_FALSE(link->is_held());
  EXPECT_EQ(held.link(), nullptr);
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
  HeldLink other;
  EXPECT_EQ(Take(&other), link);
}

TEST_F(HeldLinkTest, WhatIsNotGivenBackCloses) {
  UpstreamConnection* link = nullptr;
  {
    HeldLink held;
    link = Take(&held);
    Send(*link, "*1\r\n$4\r\nPING\r\n", &client);
    Settle();
    node.Reply("+OK\r\n:1\r\n+PONG\r\n");  // The greeting asks for CLIENT ID.
    Settle();
  }
  Settle();
  EXPECT_EQ(link->state(), UpstreamConnection::State::kIdle);
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
}

TEST_F(HeldLinkTest, OneThatIsLostIsHeldNoMore) {
  HeldLink held;
  UpstreamConnection* link = Take(&held);
  Send(*link, "*1\r\n$4\r\nPING\r\n", &client);
  Settle();
  link->Fail("test");
  EXPECT_EQ(held.link(), nullptr);
  EXPECT_FALSE(link->is_held());
  EXPECT_EQ(sim.stats.own_connections.value(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
