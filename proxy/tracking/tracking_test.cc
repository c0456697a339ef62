// Clients that track keys, through a whole worker before fake nodes.
#include "proxy/tracking/tracking.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "cluster/command_for_test.h"
#include "cluster/hash_slot.h"
#include "proxy/sim_for_test.h"
#include "proxy/worker_for_test.h"
#include "testing/fake_cluster.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

constexpr std::string_view kOk = "+OK\r\n";
constexpr std::string_view kNull = "_\r\n";
constexpr std::string_view kForgetAll = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

// Of slots of A, B and C.
constexpr std::string_view kOfA = "b";
constexpr std::string_view kOfB = "k";
constexpr std::string_view kOfC = "a";

std::string Forget(std::initializer_list<std::string_view> keys) {
  std::string push = ">2\r\n$10\r\ninvalidate\r\n*" + std::to_string(keys.size()) + "\r\n";
  for (const std::string_view key : keys) push += Bulk(key);
  return push;
}

std::string ForgetMessage(std::string_view key) {
  return "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n" + Bulk(key);
}

std::string operator+(std::string_view a, const std::string& b) { return std::string(a) + b; }

class TrackingTest : public ::testing::Test, public WorkerForTest {
 protected:
  std::string Say(sim::SimPeer* peer, std::string_view line) {
    peer->Write(Multibulk(cluster::Words(line)));
    return Heard(peer);
  }
  // All that comes within a moment.
  std::string Heard(sim::SimPeer* peer) {
    RunFor(50 * kMillisecond);
    return peer->Take();
  }
  sim::SimPeer* ConnectInResp3() {
    sim::SimPeer* peer = Connect();
    Say(peer, "HELLO 3");
    return peer;
  }
  sim::SimPeer* Tracker(std::string_view options = "") {
    sim::SimPeer* peer = ConnectInResp3();
    EXPECT_EQ(Say(peer, "CLIENT TRACKING ON " + std::string(options)), kOk);
    return peer;
  }
  sim::FakeNode& Owner(std::string_view key) { return cluster.OwnerOf(key); }
  void Change(std::string_view key, std::string value = "new") {
    Owner(key).store().Put(std::string(key), std::move(value));
  }
  void MoveSlotOf(std::string_view key, sim::FakeNode& to) {
    const uint16_t slot = cluster::HashSlot(key);
    cluster.StartMigration(slot, to);
    cluster.FinishMigration(slot);
  }
};

TEST_F(TrackingTest, AReaderHearsOfTheNextChange) {
  Start();
  sim::SimPeer* reader = Tracker();
  EXPECT_EQ(stats.tracking_clients.value(), 1u);
  Change(kOfA);
  EXPECT_EQ(Heard(reader), "") << "nobody has read it";
  EXPECT_EQ(Say(reader, "GET b"), Bulk("new"));
  EXPECT_EQ(stats.tracking_items.value(), 1u);
  Change(kOfA);
  EXPECT_EQ(Heard(reader), Forget({"b"}));
  Change(kOfA);
  EXPECT_EQ(Heard(reader), "");
  EXPECT_EQ(stats.tracking_items.value(), 0u);
}

TEST_F(TrackingTest, AReaderInAnotherDatabaseHearsOfItsChanges) {
  cluster.set_databases(4);
  Start();
  sim::SimPeer* reader = Tracker();
  EXPECT_EQ(Say(reader, "GET b"), kNull);
  EXPECT_EQ(Say(reader, "SELECT 3"), kForgetAll + std::string(kOk));
  EXPECT_EQ(stats.tracking_items.value(), 0u);
  EXPECT_EQ(Say(reader, "GET b"), kNull);
  Owner(kOfA).store().Put(sim::StoredKey(3, "b"), "new");
  EXPECT_EQ(Heard(reader), Forget({"b"}));
  EXPECT_EQ(Say(reader, "GET b"), Bulk("new"));
  Owner(kOfA).ResetConnections();
  EXPECT_EQ(Heard(reader), kForgetAll);
}

// More than one connection may tell: that of database 0, and that which the client reads over.
TEST_F(TrackingTest, WhoeverIsToldOfAllKeysIsToldInEveryDatabase) {
  cluster.set_databases(4);
  Start();
  sim::SimPeer* reader = Tracker("BCAST");
  EXPECT_EQ(Say(reader, "SELECT 3"), kForgetAll + std::string(kOk));
  Change(kOfB);
  EXPECT_TRUE(Heard(reader).starts_with(Forget({"k"})));
  EXPECT_EQ(Say(reader, "GET b"), kNull);
  Owner(kOfA).store().Put(sim::StoredKey(3, "b"), "new");
  EXPECT_EQ(Heard(reader), Forget({"b"}) + Forget({"b"}));
  Owner(kOfA).ResetConnections();
  EXPECT_TRUE(Heard(reader).starts_with(kForgetAll));
}

TEST_F(TrackingTest, ReadersShareAConnectionAndAllHear) {
  Start();
  sim::SimPeer* first = Tracker();
  sim::SimPeer* second = Tracker();
  sim::SimPeer* other = ConnectInResp3();
  for (sim::SimPeer* peer : {first, second, other}) EXPECT_EQ(Say(peer, "GET b"), kNull);
  EXPECT_EQ(Owner(kOfA).Trackers("b"), 1u);
  EXPECT_EQ(stats.tracking_keys.value(), 1u);
  EXPECT_EQ(stats.tracking_items.value(), 2u);
  Change(kOfA);
  EXPECT_EQ(Heard(first), Forget({"b"}));
  EXPECT_EQ(Heard(second), Forget({"b"}));
  EXPECT_EQ(Heard(other), "");
}

TEST_F(TrackingTest, OfItsOwnChangeAClientHearsBehindTheReply) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  EXPECT_EQ(Say(reader, "SET b 1"), kOk + Forget({"b"}));
  EXPECT_EQ(Say(reader, "SET b 2"), kOk);
}

TEST_F(TrackingTest, WithNoLoopOnlyTheOthersHearOfAClientsOwnChange) {
  Start();
  sim::SimPeer* writer = Tracker("NOLOOP");
  sim::SimPeer* reader = Tracker();
  for (sim::SimPeer* peer : {writer, reader}) Say(peer, "MGET a b k");
  EXPECT_EQ(Say(writer, "SET b 1"), kOk);
  EXPECT_EQ(Heard(reader), Forget({"b"}));
  EXPECT_EQ(Say(writer, "MSET a 1 b 1 k 1"), kOk) << "in parts";
  EXPECT_EQ(Heard(reader).size(), Forget({"a"}).size() + Forget({"k"}).size());
  EXPECT_EQ(stats.tracking_items.value(), 0u);
  Change(kOfA);
  EXPECT_EQ(Heard(writer), "") << "a server does not tell it either, until it reads again";
  Say(writer, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(writer), Forget({"b"}));
}

TEST_F(TrackingTest, WithNoLoopAChangeThatMayBeAnothersIsTold) {
  Start();
  sim::SimPeer* writer = Tracker("NOLOOP");
  Say(writer, "MGET a b");
  EXPECT_EQ(Say(writer, "DEL b"), ":0\r\n") << "it was not there";
  Change(kOfA);
  EXPECT_EQ(Heard(writer), Forget({"b"}));
  Owner(kOfC).SetPaused(true);
  Say(writer, "SET a mine");
  Change(kOfC);
  EXPECT_EQ(Heard(writer), Forget({"a"})) << "before its own";
  Owner(kOfC).SetPaused(false);
  EXPECT_EQ(Heard(writer), kOk);
}

// A read behind the change is on its way when the change is answered.
TEST_F(TrackingTest, WithNoLoopWhatIsReadBehindTheOwnChangeIsRemembered) {
  Start();
  sim::SimPeer* writer = Tracker("NOLOOP");
  Say(writer, "GET b");
  writer->Write(Multibulk({"SET", "b", "1"}) + Multibulk({"GET", "b"}));
  EXPECT_EQ(Heard(writer), kOk + Bulk("1"));
  Change(kOfA);
  EXPECT_EQ(Heard(writer), Forget({"b"}));
}

TEST_F(TrackingTest, WithNoLoopOwnChangesNeedNotBeOptedIn) {
  Start();
  sim::SimPeer* writer = Tracker("OPTIN NOLOOP");
  Say(writer, "CLIENT CACHING YES");
  Say(writer, "GET b");
  EXPECT_EQ(Say(writer, "SET b 1"), kOk);
  EXPECT_EQ(stats.tracking_items.value(), 0u);
  Say(writer, "GET b");
  EXPECT_EQ(stats.tracking_items.value(), 0u) << "not opted in";
}

TEST_F(TrackingTest, WhatIsReadInPartsIsRememberedInParts) {
  Start();
  sim::SimPeer* reader = Tracker();
  EXPECT_EQ(Say(reader, "MGET a b k"), "*3\r\n_\r\n_\r\n_\r\n");
  for (const std::string_view key : {kOfC, kOfA, kOfB}) {
    Change(key);
    EXPECT_EQ(Heard(reader), Forget({key}));
  }
}

// The reply that is older than the change must not come behind the message about it.
TEST_F(TrackingTest, AChangeIsToldAgainBehindRepliesThatWaitForTheirTurn) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "MGET a b");
  Owner(kOfA).SetPaused(true);
  EXPECT_EQ(Say(reader, "GET b"), "");
  EXPECT_EQ(Say(reader, "GET a"), "") << "answered, but not its turn";
  Change(kOfC);
  EXPECT_EQ(Heard(reader), Forget({"a"}));
  Owner(kOfA).SetPaused(false);
  EXPECT_EQ(Heard(reader), kNull + std::string(kNull) + Forget({"a"}));
}

TEST_F(TrackingTest, TransactionsReadToo) {
  Start();
  sim::SimPeer* reader = Tracker();
  reader->Write(Multibulk({"MULTI"}) + Multibulk({"GET", "b"}) + Multibulk({"EXEC"}));
  Owner(kOfA).SetScripted(true);
  Heard(reader);
  // Fake nodes know no transactions.
  ASSERT_EQ(Owner(kOfA).pending().size(), 3u);
  const uint64_t connection = Owner(kOfA).pending().front().connection;
  Owner(kOfA).Reply(connection, "+OK\r\n+QUEUED\r\n*1\r\n$3\r\nold\r\n");
  EXPECT_EQ(Heard(reader), "*1\r\n$3\r\nold\r\n");
  Owner(kOfA).Reply(connection, Forget({"b"}));
  EXPECT_EQ(Heard(reader), Forget({"b"}));
}

TEST_F(TrackingTest, AMessageInPiecesIsUnderstood) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  Owner(kOfA).SetScripted(true);
  Say(reader, "SET b 1");
  const uint64_t connection = Owner(kOfA).pending().front().connection;
  const std::string push = Forget({"b"});
  for (const char byte : push) {
    Owner(kOfA).Reply(connection, std::string(1, byte));
    RunFor(kMillisecond);
  }
  EXPECT_EQ(reader->Take(), push);
}

TEST_F(TrackingTest, WhoLeavesOrResetsIsForgotten) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  EXPECT_EQ(Say(reader, "RESET"), "+RESET\r\n");
  EXPECT_EQ(stats.tracking_items.value(), 0u);
  EXPECT_EQ(stats.tracking_clients.value(), 0u);
  Change(kOfA);
  EXPECT_EQ(Heard(reader), "");
  sim::SimPeer* leaver = Tracker();
  Say(leaver, "GET b");
  EXPECT_EQ(stats.tracking_items.value(), 1u);
  leaver->Close();
  RunFor(10 * kMillisecond);
  EXPECT_EQ(stats.tracking_items.value(), 0u);
  EXPECT_EQ(stats.tracking_clients.value(), 0u);
  sim::SimPeer* stopper = Tracker();
  Say(stopper, "GET b");
  EXPECT_EQ(Say(stopper, "CLIENT TRACKING OFF"), kOk);
  Change(kOfA);
  EXPECT_EQ(Heard(stopper), "");
}

TEST_F(TrackingTest, ConnectionsThatNobodyNeedsAreClosed) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  RunFor(5 * kSecond);
  EXPECT_EQ(Owner(kOfA).Trackers("b"), 1u) << "needed, if not used";
  Say(reader, "CLIENT TRACKING OFF");
  RunFor(3 * kSecond);
  EXPECT_EQ(Owner(kOfA).Trackers("b"), 0u);
}

TEST_F(TrackingTest, FlushAllIsToldOnce) {
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "MGET a b k");
  EXPECT_EQ(Say(ConnectInResp3(), "FLUSHALL"), kOk);
  EXPECT_EQ(Heard(reader), kForgetAll);
  EXPECT_EQ(stats.tracking_items.value(), 0u);
}

TEST_F(TrackingTest, TooManyKeysAreForgottenEarly) {
  config.tracking_keys_max = 2;
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  Say(reader, "GET a");
  EXPECT_EQ(Say(reader, "GET k"), Forget({"b"}) + std::string(kNull));
  EXPECT_EQ(stats.tracking_items.value(), 2u);
  EXPECT_EQ(stats.tracking_keys_dropped.value(), 1u);
}

// ---- what is lost

TEST_F(TrackingTest, WhatWasReadOverALostConnectionIsForgotten) {
  Start();
  sim::SimPeer* reader = Tracker();
  sim::SimPeer* other = Tracker();
  Say(reader, "GET b");
  Say(other, "GET a");
  Owner(kOfA).ResetConnections();
  EXPECT_EQ(Heard(reader), kForgetAll);
  EXPECT_EQ(Heard(other), "");
  EXPECT_EQ(stats.tracking_interrupted.value(), 1u);
  Say(reader, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(reader), Forget({"b"}));
}

TEST_F(TrackingTest, ASilentNodeIsFoundByAPing) {
  config.request_timeout_ms = 500;
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  RunFor(5 * kSecond);
  EXPECT_EQ(Heard(reader), "");
  Owner(kOfA).SetPaused(true);
  RunFor(3 * kSecond);
  EXPECT_EQ(Heard(reader), kForgetAll);
}

TEST_F(TrackingTest, WhatWasReadAtAFormerOwnerIsForgotten) {
  Start();
  sim::SimPeer* reader = Tracker();
  sim::SimPeer* writer = Connect();
  Say(reader, "MGET a b");
  MoveSlotOf(kOfA, cluster.node("C"));
  EXPECT_EQ(Heard(reader), "") << "A has no such key to lose, and nobody knows yet";
  EXPECT_EQ(Say(writer, "SET b 1"), kOk);  // MOVED
  EXPECT_EQ(Heard(reader), Forget({"b"}));
  Say(reader, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(reader), Forget({"b"}));
  Change(kOfC);
  EXPECT_EQ(Heard(reader), Forget({"a"}));
}

TEST_F(TrackingTest, ANewMapIsHeardOfToo) {
  config.slots_reload_interval_ms = 1000;
  Start();
  sim::SimPeer* reader = Tracker();
  Say(reader, "GET b");
  MoveSlotOf(kOfA, cluster.node("C"));
  RunFor(3 * kSecond);
  EXPECT_EQ(reader->Take(), Forget({"b"}));
}

// A key that is not there yet will be made at the slot's next owner.
TEST_F(TrackingTest, WhenASlotBeginsToMoveItsKeysAreForgotten) {
  Start();
  sim::SimPeer* reader = Tracker();
  sim::SimPeer* writer = Connect();
  Say(reader, "GET b");
  cluster.StartMigration(cluster::HashSlot(kOfA), cluster.node("C"));
  EXPECT_EQ(Say(writer, "SET b 1"), kOk);  // ASK
  EXPECT_EQ(Heard(reader), Forget({"b"}));
}

TEST_F(TrackingTest, WhatIsReadOnTheWayIsForgottenBehindTheReply) {
  Start();
  sim::SimPeer* reader = Tracker();
  cluster.StartMigration(cluster::HashSlot(kOfA), cluster.node("C"));
  EXPECT_EQ(Say(reader, "GET b"), kNull + Forget({"b"}));
  EXPECT_EQ(stats.tracking_items.value(), 0u);
}

// ---- OPTIN, OPTOUT

TEST_F(TrackingTest, WhoOptsInIsToldOfWhatItSaysItCaches) {
  Start();
  sim::SimPeer* reader = Tracker("OPTIN");
  Say(reader, "GET b");
  EXPECT_EQ(Say(reader, "CLIENT CACHING YES"), kOk);
  EXPECT_EQ(Say(reader, "CLIENT ID"), ":1\r\n") << "CLIENT does not count";
  Say(reader, "GET a");
  Say(reader, "GET k");
  for (const std::string_view key : {kOfA, kOfB, kOfC}) Change(key);
  EXPECT_EQ(Heard(reader), Forget({"a"}));
}

TEST_F(TrackingTest, WhoOptsOutIsNotToldOfTheNextCommand) {
  Start();
  sim::SimPeer* reader = Tracker("OPTOUT");
  EXPECT_EQ(Say(reader, "CLIENT CACHING NO"), kOk);
  Say(reader, "GET b");
  Say(reader, "GET a");
  EXPECT_EQ(Say(reader, "CLIENT CACHING NO"), kOk);
  EXPECT_EQ(Say(reader, "NOSUCH").substr(0, 4), "-ERR");
  Say(reader, "GET k");
  for (const std::string_view key : {kOfA, kOfB, kOfC}) Change(key);
  const std::string heard = Heard(reader);
  EXPECT_EQ(heard.size(), 2 * Forget({"a"}).size()) << heard;
  EXPECT_EQ(heard.find(Bulk("b")), std::string::npos);
}

TEST_F(TrackingTest, CachingHoldsForAWholeTransaction) {
  Start();
  sim::SimPeer* reader = Tracker("OPTIN");
  const auto flags = [&] { return Say(reader, "CLIENT TRACKINGINFO"); };
  Say(reader, "CLIENT CACHING YES");
  EXPECT_EQ(Say(reader, "MULTI"), kOk);
  Say(reader, "GET b");
  EXPECT_EQ(Say(reader, "DISCARD"), kOk);
  EXPECT_EQ(flags().find("caching-yes"), std::string::npos);
  Say(reader, "CLIENT CACHING YES");
  EXPECT_NE(flags().find("caching-yes"), std::string::npos);
}

// ---- BCAST

TEST_F(TrackingTest, ABroadcastReachesWhoeverHasThePrefix) {
  Start();
  sim::SimPeer* all = Tracker("BCAST");
  sim::SimPeer* some = Tracker("BCAST PREFIX a PREFIX b");
  Change(kOfB);
  EXPECT_EQ(Heard(all), Forget({"k"}));
  EXPECT_EQ(Heard(some), "");
  Change(kOfA);
  EXPECT_EQ(Heard(all), Forget({"b"}));
  EXPECT_EQ(Heard(some), Forget({"b"}));
  EXPECT_EQ(Say(all, "GET b"), Bulk("new"));
  EXPECT_EQ(stats.tracking_items.value(), 0u) << "nothing has to be remembered";
  EXPECT_EQ(Say(all, "SET b 2"), kOk + Forget({"b"}));
}

TEST_F(TrackingTest, TooManyPrefixesAreRefusedAndCounted) {
  config.tracking_prefixes_max = 2;
  Start();
  sim::SimPeer* peer = Tracker("BCAST PREFIX a PREFIX b");
  EXPECT_EQ(Say(peer, "CLIENT TRACKING ON BCAST PREFIX c"),
            "-ERR too many prefixes: the client would have more than --tracking_prefixes_max\r\n");
  EXPECT_EQ(stats.errors_tracking_prefixes.value(), 1u);
  Change(kOfA);
  EXPECT_EQ(Heard(peer), Forget({"b"})) << "what it had it has";
}

TEST_F(TrackingTest, AfterAGapWhoeverBroadcastsForgetsAll) {
  Start();
  sim::SimPeer* peer = Tracker("BCAST PREFIX b");
  sim::FakeNode& owner = Owner(kOfA);
  owner.ResetConnections();
  RunFor(kSecond);
  // When it is lost, and when it is there again: what changed meanwhile nobody has told.
  EXPECT_EQ(peer->Take(), std::string(kForgetAll) + std::string(kForgetAll));
  EXPECT_EQ(stats.tracking_interrupted.value(), 2u);
  Change(kOfA);
  EXPECT_EQ(Heard(peer), Forget({"b"}));
}

TEST_F(TrackingTest, ANewOwnerBroadcastsToo) {
  Start();
  sim::SimPeer* peer = Tracker("BCAST");
  sim::SimPeer* writer = Connect();
  MoveSlotOf(kOfA, cluster.AddPrimary("D"));
  EXPECT_EQ(Say(writer, "SET b 1"), kOk);
  RunFor(kSecond);
  EXPECT_TRUE(peer->Take().starts_with(kForgetAll));
  Change(kOfA);
  EXPECT_EQ(Heard(peer), Forget({"b"}));
}

TEST_F(TrackingTest, NobodyTellsOfAllKeysWhenNobodyWantsThem) {
  Start();
  sim::SimPeer* peer = Tracker("BCAST");
  const size_t connections = Owner(kOfB).open_connections();
  EXPECT_EQ(Say(peer, "CLIENT TRACKING OFF"), kOk);
  RunFor(3 * kSecond);
  EXPECT_EQ(Owner(kOfB).open_connections(), connections - 1);
}

// ---- REDIRECT

TEST_F(TrackingTest, InResp2AnotherClientIsTold) {
  Start();
  sim::SimPeer* target = Connect();
  const std::string id = Say(target, "CLIENT ID").substr(1, 1);
  Say(target, "SUBSCRIBE __redis__:invalidate");
  sim::SimPeer* reader = Connect();
  EXPECT_EQ(Say(reader, "CLIENT TRACKING ON REDIRECT " + id), kOk);
  EXPECT_EQ(Say(reader, "CLIENT GETREDIR"), ":" + id + "\r\n");
  Change(kOfA);
  EXPECT_EQ(Heard(target), "") << "it has not been read";
  Say(reader, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(target), ForgetMessage("b"));
  EXPECT_EQ(Heard(reader), "");
  Change(kOfA);
  EXPECT_EQ(Heard(target), "");
  Say(reader, "MGET a k");
  Owner(kOfC).ResetConnections();
  EXPECT_EQ(Heard(target), "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
}

TEST_F(TrackingTest, ATargetThatHasGoneIsToldOf) {
  Start();
  sim::SimPeer* target = ConnectInResp3();
  const std::string id = Say(target, "CLIENT ID").substr(1, 1);
  sim::SimPeer* reader = Tracker("REDIRECT " + id);
  Say(reader, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(target), Forget({"b"}));
  EXPECT_EQ(Heard(reader), "");
  target->Close();
  RunFor(10 * kMillisecond);
  Say(reader, "GET b");
  Change(kOfA);
  EXPECT_EQ(Heard(reader), ">2\r\n$21\r\ntracking-redir-broken\r\n:" + id + "\r\n");
  EXPECT_NE(Say(reader, "CLIENT TRACKINGINFO").find("broken_redirect"), std::string::npos);
  EXPECT_NE(Say(reader, "CLIENT INFO").find(" flags=tR "), std::string::npos);
}

TEST_F(TrackingTest, ATargetThatIsNotThereIsRefused) {
  Start();
  EXPECT_EQ(Say(Connect(), "CLIENT TRACKING ON REDIRECT 99"),
            "-ERR The client ID you want redirect to does not exist\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
