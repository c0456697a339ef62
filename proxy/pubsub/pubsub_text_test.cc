#include "proxy/pubsub/pubsub_text.h"

#include <gtest/gtest.h>

#include <string>

namespace rcproxy::proxy {
namespace {

using Type = SubscriptionFrame::Type;

TEST(PubSubTextTest, MessagesAreTakenApart) {
  const SubscriptionFrame message =
      ParseSubscriptionFrame("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  EXPECT_EQ(message.type, Type::kMessage);
  EXPECT_EQ(message.kind, ChannelKind::kChannel);
  EXPECT_EQ(message.name, "news");
  EXPECT_EQ(message.channel, "news");
  const SubscriptionFrame pattern =
      ParseSubscriptionFrame("*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  EXPECT_EQ(pattern.type, Type::kMessage);
  EXPECT_EQ(pattern.kind, ChannelKind::kPattern);
  EXPECT_EQ(pattern.name, "n*");
  EXPECT_EQ(pattern.channel, "news");
  const SubscriptionFrame shard =
      ParseSubscriptionFrame("*3\r\n$8\r\nsmessage\r\n$0\r\n\r\n$2\r\nhi\r\n");
  EXPECT_EQ(shard.type, Type::kMessage);
  EXPECT_EQ(shard.kind, ChannelKind::kShard);
  EXPECT_EQ(shard.name, "");
}

TEST(PubSubTextTest, EverythingElseIsAReply) {
  for (const char* frame :
       {"+PONG\r\n", "-ERR x\r\n", ":1\r\n", "*0\r\n", "*-1\r\n", "*", "",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        "*3\r\n$7\r\nmessage\r\n:1\r\n:1\r\n", "*3\r\n$8\r\npmessage\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n$7\r\nmessage\r\n", "*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n",
        "*2\r\n$99\r\nmessage\r\n", "*2\r\n$7x\r\nmessage\r\n$1\r\nx\r\n"}) {
    EXPECT_EQ(ParseSubscriptionFrame(frame).type, Type::kReply) << frame;
  }
}

TEST(PubSubTextTest, ASlotThatLeavesIsKnown) {
  const SubscriptionFrame frame =
      ParseSubscriptionFrame("*3\r\n$12\r\nsunsubscribe\r\n$1\r\nx\r\n:0\r\n");
  EXPECT_EQ(frame.type, Type::kShardUnsubscribed);
  EXPECT_EQ(frame.name, "x");
}

TEST(PubSubTextTest, ConfirmationsAreAsAServerWritesThem) {
  const std::string_view name = "news";
  std::string reply;
  AppendConfirmation(&reply, resp::Protocol::kResp2, SubscribeWord(ChannelKind::kPattern), &name,
                     12);
  EXPECT_EQ(reply, "*3\r\n$10\r\npsubscribe\r\n$4\r\nnews\r\n:12\r\n");
  reply.clear();
  AppendConfirmation(&reply, resp::Protocol::kResp2, UnsubscribeWord(ChannelKind::kChannel),
                     nullptr, 0);
  EXPECT_EQ(reply, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  reply.clear();
  AppendConfirmation(&reply, resp::Protocol::kResp3, UnsubscribeWord(ChannelKind::kShard), nullptr,
                     1);
  EXPECT_EQ(reply, ">3\r\n$12\r\nsunsubscribe\r\n_\r\n:1\r\n");
}

TEST(PubSubTextTest, EventsOfKeysAreToldByTheirNames) {
  EXPECT_TRUE(IsKeyspaceChannel("__keyspace@0__:a"));
  EXPECT_TRUE(IsKeyspaceChannel("__keyevent@0__:del"));
  EXPECT_FALSE(IsKeyspaceChannel("__keyspac"));
  EXPECT_FALSE(IsKeyspaceChannel("news"));
}

TEST(PubSubTextTest, PatternsThatCouldMatchThemAreFound) {
  for (const char* pattern : {"*", "__key*", "__keyspace@0__:*", "__keyevent@*__:expired", "?_key*",
                              "[_]*", "\\__key*", "__keyspace@0__:a"}) {
    EXPECT_TRUE(MayMatchKeyspaceChannel(pattern)) << pattern;
  }
  for (const char* pattern : {"", "news*", "__kez*", "_", "__keyspaces@*", "_k*"}) {
    EXPECT_FALSE(MayMatchKeyspaceChannel(pattern)) << pattern;
  }
}

}  // namespace
}  // namespace rcproxy::proxy
