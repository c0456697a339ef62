#include "proxy/tracking/tracking_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {
namespace {

using resp::Protocol;

TEST(TrackingTextTest, ReadsTheKeysOfAPush) {
  std::vector<std::string_view> keys = {"before"};
  EXPECT_TRUE(
      ParseInvalidation(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$3\r\nb\r\n\r\n", &keys));
  EXPECT_EQ(keys, (std::vector<std::string_view>{"a", "b\r\n"}));
}

TEST(TrackingTextTest, NullMeansAllKeys) {
  std::vector<std::string_view> keys = {"before"};
  EXPECT_TRUE(ParseInvalidation(">2\r\n$10\r\ninvalidate\r\n_\r\n", &keys));
  EXPECT_TRUE(keys.empty());
}

TEST(TrackingTextTest, OtherPushesAreNone) {
  std::vector<std::string_view> keys;
  for (const std::string_view push :
       {">2\r\n$21\r\ntracking-redir-broken\r\n:7\r\n", ">2\r\n$10\r\ninvalidate\r\n:1\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*0\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"}) {
    EXPECT_FALSE(ParseInvalidation(push, &keys)) << push;
    EXPECT_TRUE(keys.empty());
  }
}

// As a server wrote them.
TEST(TrackingTextTest, ClientsAreToldAsAServerTellsThem) {
  const std::string_view keys[] = {"k"};
  EXPECT_EQ(InvalidationText(Protocol::kResp3, keys),
            ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
  EXPECT_EQ(InvalidationText(Protocol::kResp2, keys),
            "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
  EXPECT_EQ(InvalidationText(Protocol::kResp3, {}), ">2\r\n$10\r\ninvalidate\r\n_\r\n");
  EXPECT_EQ(InvalidationText(Protocol::kResp2, {}),
            "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
  EXPECT_EQ(BrokenRedirectText(7), ">2\r\n$21\r\ntracking-redir-broken\r\n:7\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
