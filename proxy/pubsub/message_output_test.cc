#include "proxy/pubsub/message_output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "proxy/sim_for_test.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

const std::string kMessage = "+a message\r\n";

class MessageOutputTest : public testing::Test {
 protected:
  MessageOutputTest() {
    sim_.config.subscriber_output_soft_bytes = 10'000;
    sim_.config.subscriber_output_hard_bytes = 20'000;
  }
  bool Send(const std::string& message, const std::string& prefix = "") {
    const Staging::Block block = sim_.resources.client_staging.Take(message.size(), message.size());
    std::ranges::copy(message, block.begin);
    const uring::Slice slice = uring::Slice::Adopt(block.chunk, block.begin, message.size());
    return output_.Send(prefix, slice.chunk(), slice.view());
  }

  SimForTest sim_;
  ClientForTest client_{sim_.resources};
  MessageOutput output_{sim_.resources, client_.replies};
};

TEST_F(MessageOutputTest, WaitsForTheEndOfAReply) {
  Request* request = sim_.resources.NewRequest();
  client_.replies.Push(request);
  SegmentList arrived;
  client_.replies.Stream(request, &arrived);
  Send(kMessage, ">");
  Send(kMessage);
  output_.ReleaseHeld();
  EXPECT_EQ(client_.Take(), "");
  DeliverText(sim_.resources, request, "$1\r\nx\r\n");
  Send(kMessage);
  output_.ReleaseHeld();
  EXPECT_EQ(client_.Take(), "$1\r\nx\r\n>" + kMessage + kMessage + kMessage);
}

TEST_F(MessageOutputTest, AClientThatDoesNotReadIsClosedAtTheHardLimit) {
  const std::string message = "$10000\r\n" + std::string(10'000, 'x') + "\r\n";
  Send(message);
  EXPECT_FALSE(client_.replies.broken());
  Send(message);
  EXPECT_TRUE(client_.replies.broken());
  EXPECT_EQ(sim_.stats.subscribers_closed_output_limit.value(), 1u);
  EXPECT_FALSE(Send(message)) << "it gets no more";
}

TEST_F(MessageOutputTest, AndAfterAWhileAboveTheSoftOne) {
  sim_.config.subscriber_output_soft_s = 2;
  Send("$11000\r\n" + std::string(11'000, 'x') + "\r\n");
  sim_.RunFor(2 * sim::kSecond);
  Send(kMessage);
  EXPECT_FALSE(client_.replies.broken());
  client_.Take();
  Send(kMessage);
  Send("$11000\r\n" + std::string(11'000, 'x') + "\r\n");
  sim_.RunFor(sim::kSecond);
  Send(kMessage);
  EXPECT_FALSE(client_.replies.broken()) << "it has read meanwhile";
  sim_.RunFor(2 * sim::kSecond);
  Send(kMessage);
  EXPECT_TRUE(client_.replies.broken());
}

}  // namespace
}  // namespace rcproxy::proxy
