#include "proxy/tracking/tracker.h"

#include <gtest/gtest.h>

#include <memory>

#include "proxy/session.h"
#include "proxy/sim_for_test.h"
#include "proxy/tracking/tracking_options.h"

namespace rcproxy::proxy {
namespace {

using Mode = TrackingOptions::Mode;

class TrackerTest : public ::testing::Test, public SimForTest {
 protected:
  TrackerTest() { session.SetTracking(std::make_unique<TrackingOptions>()); }
  TrackingOptions& options() { return tracker.options(); }
  LinkNeeds Needs() const { return NeedsOfTracker(session); }

  Session session;
  ClientForTest client{resources};
  Tracker tracker{resources, client.replies, session};
};

TEST_F(TrackerTest, InResp3ItReadsOverConnectionsThatTrack) {
  session.protocol = resp::Protocol::kResp3;
  EXPECT_TRUE(tracker.MayBeTold());
  EXPECT_FALSE(tracker.NeedsFeeds());
  EXPECT_TRUE(Needs().resp3);
  EXPECT_EQ(Needs().tracks_by, TracksBy::kReads);
  EXPECT_TRUE(Needs().remembers);
  EXPECT_FALSE(Needs().prefers_replica);
  options().broadcast = true;
  EXPECT_TRUE(tracker.NeedsFeeds());
  EXPECT_EQ(Needs().tracks_by, TracksBy::kBroadcast);
}

TEST_F(TrackerTest, NoticesAnotherDatabaseOnce) {
  EXPECT_FALSE(tracker.HasChangedDatabase());
  session.SetDatabase(2);
  EXPECT_TRUE(tracker.HasChangedDatabase());
  EXPECT_FALSE(tracker.HasChangedDatabase());
}

TEST_F(TrackerTest, InResp2SomebodyElseHasToBeTold) {
  EXPECT_FALSE(tracker.MayBeTold());
  EXPECT_FALSE(Needs().remembers) << "nobody would hear of it";
  options().redirect = 7;
  EXPECT_TRUE(tracker.MayBeTold());
  EXPECT_TRUE(tracker.NeedsFeeds());
  EXPECT_TRUE(Needs().remembers);
  EXPECT_EQ(Needs().tracks_by, TracksBy::kNothing);
}

TEST_F(TrackerTest, CachingIsAnExceptionForTheNextCommand) {
  session.protocol = resp::Protocol::kResp3;
  options().mode = Mode::kOptIn;
  EXPECT_FALSE(Needs().remembers);
  session.SetCaching(true);
  EXPECT_TRUE(Needs().remembers);
  options().mode = Mode::kOptOut;
  EXPECT_FALSE(Needs().remembers);
  session.SetCaching(false);
  EXPECT_TRUE(Needs().remembers);
}

TEST_F(TrackerTest, WithNoLoopItsWritesAreLookedAtWhateverItCaches) {
  session.protocol = resp::Protocol::kResp3;
  options().mode = Mode::kOptIn;
  EXPECT_FALSE(NeedsOfTracker(session, /*writes=*/true).remembers);
  options().no_loop = true;
  EXPECT_TRUE(NeedsOfTracker(session, /*writes=*/true).remembers);
  EXPECT_FALSE(Needs().remembers);
}

TEST_F(TrackerTest, PrefixesAreBeginningsOfKeys) {
  options().prefixes = {"user:", "x"};
  EXPECT_TRUE(tracker.HasPrefixOf("user:1"));
  EXPECT_TRUE(tracker.HasPrefixOf("x"));
  EXPECT_FALSE(tracker.HasPrefixOf("use"));
  options().prefixes = {""};
  EXPECT_TRUE(tracker.HasPrefixOf(""));
}

}  // namespace
}  // namespace rcproxy::proxy
