#include "proxy/tracking/invalidation_output.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/session.h"
#include "proxy/sim_for_test.h"

namespace rcproxy::proxy {
namespace {

constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
constexpr std::string_view kKeys[] = {"k"};

class InvalidationOutputTest : public ::testing::Test, public SimForTest {
 protected:
  InvalidationOutputTest() { session.protocol = resp::Protocol::kResp3; }
  Request* Asked() {
    Request* request = resources.NewRequest();
    client.replies.Push(request);
    request->state = Request::State::kSent;
    return request;
  }

  Session session;
  ClientForTest client{resources};
  InvalidationOutput output{resources, client.replies, session};
};

TEST_F(InvalidationOutputTest, TellsAtOnceWhenNoReplyWaitsForItsTurn) {
  output.Tell(kKeys);
  EXPECT_EQ(client.Take(), kPush);
  Request* asked = Asked();
  output.Tell(kKeys);
  EXPECT_EQ(client.Take(), kPush) << "what has not been answered is newer than the change";
  DeliverText(resources, asked, "+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
  EXPECT_EQ(stats.invalidations_delivered.value(), 2u);
}

TEST_F(InvalidationOutputTest, TellsAgainBehindRepliesThatWaitedForTheirTurn) {
  Request* first = Asked();
  Request* second = Asked();
  DeliverText(resources, second, "$3\r\nold\r\n");
  output.Tell(kKeys);
  EXPECT_EQ(client.Take(), kPush);
  DeliverText(resources, first, "+first\r\n");
  EXPECT_EQ(client.Take(), "+first\r\n$3\r\nold\r\n" + std::string(kPush));
}

TEST_F(InvalidationOutputTest, TellsBehindTheReplyThatIsComing) {
  Request* asked = Asked();
  output.TellAfterReplies(kKeys);
  EXPECT_EQ(client.Take(), "");
  DeliverText(resources, asked, "$3\r\nold\r\n");
  EXPECT_EQ(client.Take(), "$3\r\nold\r\n" + std::string(kPush));
}

// CLIENT REPLY is about replies.
TEST_F(InvalidationOutputTest, TellsWhoeverWantsNoReplies) {
  client.replies.SetMode(ReplyMode::kSkipNext);
  Request* asked = Asked();
  client.replies.SetMode(ReplyMode::kSkipNext);
  output.TellAfterReplies(kKeys);
  DeliverText(resources, asked, "+OK\r\n");
  EXPECT_EQ(client.Take(), kPush);
  client.replies.Reply("+skipped\r\n");
  client.replies.Reply("+OK\r\n");
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(InvalidationOutputTest, InResp2OnlyASubscriberIsTold) {
  session.protocol = resp::Protocol::kResp2;
  output.Tell(kKeys);
  output.TellAfterReplies(kKeys);
  EXPECT_EQ(client.Take(), "");
  session.Extras().subscriptions = {1, 0, 0};
  output.Tell(kKeys);
  EXPECT_EQ(client.Take(),
            "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
}

}  // namespace
}  // namespace rcproxy::proxy
