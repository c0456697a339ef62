#include "proxy/tracking_commands.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "proxy/local_commands_for_test.h"

namespace rcproxy::proxy {
namespace {

constexpr std::string_view kOk = "+OK\r\n";
constexpr std::string_view kOff =
    "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n";

// Options of clients that redirect or broadcast take an operation: see tracking_test.cc and
// testing/integration_tracking_test.py.
class TrackingCommandsTest : public ::testing::Test {
 protected:
  std::string Ask(std::string_view line) { return local.Ask(line); }

  LocalCommandsForTest local;
};

TEST_F(TrackingCommandsTest, AtFirstItIsOff) {
  EXPECT_EQ(Ask("CLIENT GETREDIR"), ":-1\r\n");
  EXPECT_EQ(Ask("CLIENT TRACKINGINFO"), kOff);
  EXPECT_EQ(Ask("CLIENT TRACKING OFF"), kOk);
  EXPECT_EQ(local.session.tracking(), nullptr);
}

TEST_F(TrackingCommandsTest, TellsWhatIsOn) {
  EXPECT_EQ(Ask("CLIENT TRACKING on optin NOLOOP"), kOk);
  EXPECT_EQ(Ask("CLIENT GETREDIR"), ":0\r\n");
  EXPECT_EQ(Ask("CLIENT CACHING yes"), kOk);
  EXPECT_EQ(Ask("CLIENT TRACKINGINFO"),
            "*6\r\n$5\r\nflags\r\n*4\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n"
            "$6\r\nnoloop\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n");
  EXPECT_EQ(Ask("CLIENT TRACKING off"), kOk);
  EXPECT_EQ(Ask("CLIENT TRACKINGINFO"), kOff);
}

TEST_F(TrackingCommandsTest, OnAgainReplacesTheOptions) {
  EXPECT_EQ(Ask("CLIENT TRACKING ON OPTIN NOLOOP"), kOk);
  EXPECT_EQ(Ask("CLIENT TRACKING ON"), kOk);
  EXPECT_EQ(local.session.tracking()->mode, TrackingOptions::Mode::kAllReads);
  EXPECT_FALSE(local.session.tracking()->no_loop);
  EXPECT_EQ(Ask("CLIENT TRACKING ON OPTOUT"), kOk);
}

TEST_F(TrackingCommandsTest, RefusesWhatAServerRefuses) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"CLIENT TRACKING", "ERR wrong number of arguments for 'client|tracking' command"},
      {"CLIENT TRACKING maybe", "ERR syntax error"},
      {"CLIENT TRACKING ON FAST", "ERR syntax error"},
      {"CLIENT TRACKING ON REDIRECT", "ERR syntax error"},
      {"CLIENT TRACKING ON PREFIX", "ERR syntax error"},
      {"CLIENT TRACKING ON REDIRECT x", "ERR value is not an integer or out of range"},
      {"CLIENT TRACKING ON REDIRECT 0", "ERR The client ID you want redirect to does not exist"},
      {"CLIENT TRACKING ON PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"},
      {"CLIENT TRACKING ON OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"},
      {"CLIENT CACHING", "ERR wrong number of arguments for 'client|caching' command"},
      {"CLIENT CACHING YES",
       "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
       "OPTOUT mode enabled"},
  };
  for (const auto& [line, error] : cases) {
    EXPECT_EQ(Ask(line), "-" + std::string(error) + "\r\n") << line;
  }
  EXPECT_EQ(local.session.tracking(), nullptr);
}

TEST_F(TrackingCommandsTest, RefusesAnotherModeThanTheOneThatIsOn) {
  EXPECT_EQ(Ask("CLIENT TRACKING ON OPTIN"), kOk);
  EXPECT_EQ(Ask("CLIENT TRACKING ON OPTOUT"),
            "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
            "and then re-enabling it with a different mode.\r\n");
  EXPECT_EQ(Ask("CLIENT CACHING NO"),
            "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n");
  EXPECT_EQ(Ask("CLIENT CACHING maybe"), "-ERR syntax error\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
