// The order of one client's commands while slots change hands, nodes fail, and commands wait for a
// retry.
#include <gtest/gtest.h>

#include <string>

#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class RouterOrderTest : public testing::Test, public RouterForTest {
 protected:
  Stats& stats() { return sim.stats; }
};

TEST_F(RouterOrderTest, ACommandWaitsWhileOlderOnesMayStillRunAtTheOldOwner) {
  OpenAll();
  Send("SET b 1");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_FALSE(Send("SET b 2"));
  EXPECT_EQ(stats().fences.value(), 1u);
  EXPECT_TRUE(Send("SET c 1")) << "another slot has not changed";
  Settle();
  a.Take();
  Reply(a, "+OK\r\n");
  EXPECT_TRUE(Send("SET b 2")) << "SET c was sent after the change";
}

TEST_F(RouterOrderTest, ACommandGoesOnWhenOlderOnesAreAnswered) {
  OpenAll();
  Send("SET b 1");
  Settle();
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_FALSE(Send("SET b 2"));
  EXPECT_FALSE(Send("MSET a 1 b 2"));
  Reply(a, "+OK\r\n");
  EXPECT_TRUE(Send("SET b 2"));
  Settle();
  EXPECT_EQ(b.Take(), Wire("SET b 2"));
}

TEST_F(RouterOrderTest, OtherClientsDoNotWait) {
  OpenAll();
  ClientForTest other(sim.resources);
  Send("SET b 1");
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_TRUE(Send(&other, "SET b 2"));
}

TEST_F(RouterOrderTest, NothingNewIsSentWhileARequestWaitsForARetry) {
  SendNow("GET b");
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
  EXPECT_FALSE(Send("GET c"));
  EXPECT_FALSE(Send("PUBLISH x y"));
  sim.RunFor(25 * kMillisecond);
  EXPECT_TRUE(Send("GET c"));
}

TEST_F(RouterOrderTest, AChangeThatIsOlderThanAllRequestsIsNoReasonToWait) {
  OpenAll();
  table.NoteMoved(3300, table.NodeAt(AddressOf('B')));
  EXPECT_TRUE(Send("SET b 1"));
  EXPECT_TRUE(Send("SET b 2"));
  table.NoteMoved(15495, table.NodeAt(AddressOf('A')));
  EXPECT_TRUE(Send("SET b 3"));
  EXPECT_FALSE(Send("SET a 1"));
}

TEST_F(RouterOrderTest, ARedirectedCommandDoesNotOvertakeOneThatWaits) {
  OpenAll();
  Send("SET b 1");
  Send("SET b 2");
  Settle();
  a.Take();
  a.Reply("-TRYAGAIN Multiple keys request during rehashing of slot\r\n" + Moved(3300, 'B'));
  sim.RunFor(100 * kMillisecond);
  const std::string at_a = a.Take();
  EXPECT_EQ(at_a + b.Take(), Wire("SET b 1") + Wire("SET b 2")) << "at A: " << at_a;
}

// A younger command has been executed: the older one can only fail, or they would change places.
TEST_F(RouterOrderTest, AnOvertakenCommandIsAnsweredWithAnError) {
  OpenAll();
  Send("SET b 1");
  Send("SET b 2");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n");
  EXPECT_EQ(client.Take(), std::string(kErrorUnreachable) + "+OK\r\n");
  EXPECT_EQ(client.replies.delayed(), 0u);
  sim.RunFor(100 * kMillisecond);
  EXPECT_EQ(a.Take(), "") << "and is not sent again";
}

TEST_F(RouterOrderTest, ReadsMayChangePlaces) {
  OpenAll();
  Send("GET b");
  Send("GET b");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+2\r\n");
  EXPECT_FALSE(client.HasOutput());
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "+1\r\n");
  EXPECT_EQ(client.Take(), "+1\r\n+2\r\n");
}

TEST_F(RouterOrderTest, CommandsOfOtherSlotsAndOtherClientsOvertakeNobody) {
  OpenAll();
  ClientForTest other(sim.resources);
  Send("SET b 1");
  Send("SET f 2");
  Send(&other, "SET b 3");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n+OK\r\n");
  EXPECT_FALSE(client.HasOutput());
  EXPECT_EQ(client.replies.delayed(), 1u);
  EXPECT_EQ(other.Take(), "+OK\r\n");
}

TEST_F(RouterOrderTest, CommandsThatShareNoKeyMayChangePlaces) {
  OpenAll();
  Send("MSET {b}1 x {b}2 y");
  Send("SET {b}3 z");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n");
  EXPECT_FALSE(client.HasOutput());
  sim.RunFor(25 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("MSET {b}1 x {b}2 y"));
  Reply(a, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n+OK\r\n");
}

TEST_F(RouterOrderTest, WhileASlotMovesNothingPassesACommandWithSeveralKeys) {
  OpenAll();
  SendNow("GET b");
  a.Take();
  Reply(a, Ask(3300, 'B'));
  b.Take();
  Reply(b, "+OK\r\n+x\r\n");
  client.Take();
  EXPECT_TRUE(Send("GET {b}0"));
  EXPECT_TRUE(Send("MSET {b}1 x {b}2 y"));
  EXPECT_FALSE(Send("SET {b}1 z"));
  EXPECT_TRUE(Send("SET c 1")) << "another slot";
  Settle();
  a.Take();
  Reply(a, "$-1\r\n+OK\r\n");
  EXPECT_TRUE(Send("MGET {b}1 c"));
  EXPECT_FALSE(Send("SET {b}1 z")) << "a part counts, too";
  Settle();
  Reply(a, "*1\r\n$-1\r\n");
  EXPECT_TRUE(Send("SET {b}1 z")) << "this part has been answered";
  sim.RunFor(2 * kSecond);
  EXPECT_TRUE(Send("MSET {b}1 x {b}2 y"));
  EXPECT_TRUE(Send("SET {b}1 z")) << "the slot has come to rest";
}

TEST_F(RouterOrderTest, AnOvertakenPartFailsItsWholeCommand) {
  OpenAll();
  Send("MSET b 1 c 1");
  Send("SET b 2");
  Settle();
  a.Take();
  Reply(a, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n+OK\r\n");
  EXPECT_FALSE(client.HasOutput()) << "the other part is still under way";
  Reply(b, "+OK\r\n");
  const std::string failed(kErrorUnreachable.substr(0, kErrorUnreachable.size() - 2));
  EXPECT_EQ(client.Take(), failed + " (a part: of 2 parts 1 done, 1 failed, 0 unknown)\r\n+OK\r\n");
}

TEST_F(RouterOrderTest, WhatWaitsForADeadNodeGoesToItsSuccessor) {
  sim.network.SetConnectMode("10.0.0.1:7000", sim::ConnectMode::kSilent);
  Send("SET b 1");
  sim.RunFor(10 * kMillisecond);
  table.Adopt(cluster::Topology({NodeNamed('B', true)}, {{0, {}}}, {{0, 16383, 0}}));
  router.OnTopologyChanged();
  Settle();
  EXPECT_EQ(b.Take(), Wire("SET b 1"));
}

// The first of two commands to a slot is offered again and sent, the second has to wait for a third
// one between them; then the slot changes its owner.
TEST_F(RouterOrderTest, WhatWaitsDoesNotOvertakeWhatIsOnItsWayToAFormerOwner) {
  sim.config.reconnect_delay_min_ms = 100;
  OpenAll();
  for (const char* line : {"GET b", "GET a", "SET b 2"}) Send(line);
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b") + Wire("SET b 2"));
  Reply(a, "-CLUSTERDOWN x\r\n-CLUSTERDOWN x\r\n");
  table.NodeAt(AddressOf('C'))->primary_link().Fail("test");
  sim.RunFor(sim.config.retry_delay_ms * 2 * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("GET b")) << "the node of the second can not be reached yet";
  table.NoteMoved(cluster::HashSlot("b"), table.NodeAt(AddressOf('B')));
  sim.RunFor(300 * kMillisecond);
  EXPECT_EQ(c.Take(), Wire("GET a"));
  Reply(c, "$-1\r\n");
  sim.RunFor(300 * kMillisecond);
  EXPECT_EQ(b.Take(), "") << "the first is not answered yet";
  Reply(a, "$3\r\nold\r\n");
  sim.RunFor(300 * kMillisecond);
  EXPECT_EQ(b.Take(), Wire("SET b 2"));
}

// The first of two commands is refused and offered again while the answer to the second has not
// come: sent again now, it would be behind the second, which may be redirected before it.
TEST_F(RouterOrderTest, WhatWaitsDoesNotGoOutBehindAYoungerOne) {
  OpenAll();
  for (const char* line : {"APPEND b 1", "APPEND b 2"}) Send(line);
  Settle();
  EXPECT_EQ(a.Take(), Wire("APPEND b 1") + Wire("APPEND b 2"));
  Reply(a, "-CLUSTERDOWN x\r\n");
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take(), "");
  Reply(a, Moved(3300, 'B'));
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take() + b.Take(), Wire("APPEND b 1") + Wire("APPEND b 2"));
}

// Two nodes do not agree on whose a slot is. The first command goes from A to B and back, while the
// second is still under way at A.
TEST_F(RouterOrderTest, WhatIsSentBackDoesNotGoOutBehindAYoungerOne) {
  OpenAll();
  for (const char* line : {"APPEND b 1", "APPEND b 2"}) Send(line);
  Settle();
  a.Take();
  Reply(a, Moved(3300, 'B'));
  EXPECT_EQ(b.Take(), Wire("APPEND b 1"));
  Reply(b, Moved(3300, 'A'));
  EXPECT_EQ(a.Take(), "");
  Reply(a, Moved(3300, 'B'));
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take() + b.Take(), Wire("APPEND b 1") + Wire("APPEND b 2"));
}

// The same, but A has executed the second meanwhile.
TEST_F(RouterOrderTest, WhatIsSentBackFailsWhenAYoungerOneHasBeenExecuted) {
  OpenAll();
  for (const char* line : {"APPEND b 1", "APPEND {b}2 x", "APPEND b 2"}) Send(line);
  Settle();
  a.Take();
  Reply(a, Moved(3300, 'B') + Moved(3300, 'B') + ":1\r\n");
  EXPECT_EQ(b.Take(), Wire("APPEND b 1") + Wire("APPEND {b}2 x"));
  Reply(b, Moved(3300, 'A') + Moved(3300, 'A'));
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take() + b.Take(), Wire("APPEND {b}2 x")) << "shares no key with the third";
  Reply(a, ":1\r\n");
  EXPECT_EQ(client.Take(), std::string(kErrorUnreachable) + ":1\r\n:1\r\n");
}

TEST_F(RouterOrderTest, WhatIsLostElsewhereFailsWhenAYoungerOneHasBeenExecuted) {
  OpenAll();
  for (const char* line : {"GET b", "SET b 2"}) Send(line);
  Settle();
  a.Take();
  Reply(a, Ask(3300, 'B') + "+OK\r\n");
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("GET b"));
  table.NodeAt(AddressOf('B'))->primary_link().Fail("test");
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take(), "");
  EXPECT_EQ(client.Take(), std::string(kErrorUnreachable) + "+OK\r\n");
}

// Nothing went wrong: what has been sent on is answered there.
TEST_F(RouterOrderTest, WhatIsSentOnceIsAnsweredWhereItWent) {
  OpenAll();
  for (const char* line : {"APPEND b 1", "APPEND b 2"}) Send(line);
  Settle();
  a.Take();
  Reply(a, Moved(3300, 'B') + ":2\r\n");
  EXPECT_EQ(b.Take(), Wire("APPEND b 1"));
  Reply(b, ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n:2\r\n");
  EXPECT_TRUE(client.replies.MayBeOvertaken());
  SendNow("GET b");
  a.Take();
  b.Take();
  Reply(b, "$-1\r\n");
  EXPECT_FALSE(client.replies.MayBeOvertaken()) << "it is not looked for any more";
}

TEST_F(RouterOrderTest, UnlessTheyShareNoKey) {
  OpenAll();
  for (const char* line : {"APPEND {b}1 x", "APPEND {b}2 x"}) Send(line);
  Settle();
  a.Take();
  Reply(a, "-CLUSTERDOWN x\r\n");
  sim.RunFor(3 * sim.config.retry_delay_ms * kMillisecond);
  EXPECT_EQ(a.Take(), Wire("APPEND {b}1 x"));
}

}  // namespace
}  // namespace rcproxy::proxy
