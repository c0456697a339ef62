#include "proxy/pubsub/subscriber.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/sim_for_test.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

const std::string kMessage = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";

class SubscriberTest : public testing::Test {
 protected:
  SubscriberTest() { subscriber_.Link(&subscription_, ChannelKind::kPattern); }
  ~SubscriberTest() override { subscriber_.Unlink(&subscription_, ChannelKind::kPattern); }

  void Deliver(const std::string& frame) {
    const Staging::Block block = sim_.resources.client_staging.Take(frame.size(), frame.size());
    std::copy(frame.begin(), frame.end(), block.begin);
    const uring::Slice slice = uring::Slice::Adopt(block.chunk, block.begin, frame.size());
    subscriber_.Deliver(slice.chunk(), slice.view());
  }

  SimForTest sim_;
  ClientForTest client_{sim_.resources};
  Session session_;
  Subscriber subscriber_{sim_.resources, client_.replies, session_};
  Subscription subscription_;
};

TEST_F(SubscriberTest, CountsAsConfirmationsDo) {
  EXPECT_EQ(subscriber_.CountFor(ChannelKind::kChannel), 1u);
  EXPECT_EQ(subscriber_.CountFor(ChannelKind::kPattern), 1u);
  EXPECT_EQ(subscriber_.CountFor(ChannelKind::kShard), 0u);
  EXPECT_EQ(subscriber_.total(), 1u);
  EXPECT_TRUE(session_.IsSubscriber());
  EXPECT_TRUE(subscriber_.IsRestricted());
  session_.protocol = resp::Protocol::kResp3;
  EXPECT_FALSE(subscriber_.IsRestricted());
}

TEST_F(SubscriberTest, GetsMessagesInItsProtocol) {
  Deliver(kMessage);
  EXPECT_EQ(client_.Take(), kMessage);
  session_.protocol = resp::Protocol::kResp3;
  Deliver(kMessage);
  EXPECT_EQ(client_.Take(), ">" + kMessage.substr(1));
}

TEST_F(SubscriberTest, AMessageWaitsForTheEndOfAReply) {
  session_.protocol = resp::Protocol::kResp3;
  Request* request = sim_.resources.NewRequest();
  client_.replies.Push(request);
  SegmentList arrived;
  client_.replies.Stream(request, &arrived);
  Deliver(kMessage);
  Deliver(kMessage);
  EXPECT_EQ(client_.Take(), "");
  DeliverText(sim_.resources, request, "$1\r\nx\r\n");
  Deliver(kMessage);
  subscriber_.ReleaseHeld();
  const std::string push = ">" + kMessage.substr(1);
  EXPECT_EQ(client_.Take(), "$1\r\nx\r\n" + push + push + push);
}

}  // namespace
}  // namespace rcproxy::proxy
