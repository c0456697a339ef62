// Subscriptions through a whole worker before fake nodes.
#include "proxy/pubsub/pubsub.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/hash_slot.h"
#include "proxy/pubsub/pubsub_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

using PubSubTest = PubSubForTest;

TEST_F(PubSubTest, ClientsShareOneSubscriptionAtTheNodes) {
  Start();
  sim::SimPeer* first = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  sim::SimPeer* second = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  EXPECT_EQ(SubscribersAtAllNodes(kChannels, "news"), 1u);
  EXPECT_EQ(stats.channels.value(), 1u);
  EXPECT_EQ(stats.subscriptions.value(), 2u);
  Publish("news", "hi");
  EXPECT_EQ(Heard(first), Message("news", "hi"));
  EXPECT_EQ(Heard(second), Message("news", "hi"));
  EXPECT_EQ(stats.messages_received.value(), 1u);
  EXPECT_EQ(stats.messages_delivered.value(), 2u);
  EXPECT_EQ(Say(first, "UNSUBSCRIBE news"), Confirmation("unsubscribe", "news", 0));
  Publish("news", "again");
  EXPECT_EQ(Heard(first), "");
  EXPECT_EQ(Heard(second), Message("news", "again"));
  second->Close();
  RunFor(kSecond);
  EXPECT_EQ(SubscribersAtAllNodes(kChannels, "news"), 0u);
  EXPECT_EQ(stats.channels.value(), 0u);
}

TEST_F(PubSubTest, WhatThereIsOfAChannelIsTold) {
  Start();
  Subscribed("SUBSCRIBE c", Confirmation("subscribe", "c", 1));
  Subscribed("SUBSCRIBE c", Confirmation("subscribe", "c", 1));
  Subscribed("PSUBSCRIBE *", Confirmation("psubscribe", "*", 1));
  const auto told = [this](ChannelKind kind, const std::vector<std::string>& names) {
    const std::string text = worker().DescribeChannels(kind, names);
    const std::string_view answers[] = {text};
    return DecodeChannelUses(answers);
  };
  const std::vector<ChannelUse> channels = told(ChannelKind::kChannel, {"c", "none"});
  ASSERT_EQ(channels.size(), 1u);
  EXPECT_EQ(channels[0].name, "c");
  EXPECT_EQ(channels[0].subscribers, 2u);
  EXPECT_EQ(channels[0].feeds.size(), 1u);
  const std::vector<ChannelUse> patterns = told(ChannelKind::kPattern, {});
  ASSERT_EQ(patterns.size(), 1u);
  EXPECT_EQ(patterns[0].subscribers, 1u);
  EXPECT_EQ(patterns[0].feeds.size(), 3u)
      << "it may match events of keys, which each primary tells";
  EXPECT_TRUE(told(ChannelKind::kShard, {}).empty());
}

TEST_F(PubSubTest, ALostNodeIsReplacedAndTheLossCounted) {
  Start();
  sim::SimPeer* client = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  for (int i = 0; i < 3; ++i) {
    sim::FakeNode& home = HomeOf("news");
    home.Kill();
    RunFor(200 * kMillisecond);
    Publish("news", "hi");
    EXPECT_EQ(Heard(client), Message("news", "hi"));
    home.Restart();
    RunFor(2 * kSecond);
    EXPECT_EQ(SubscribersAtAllNodes(kChannels, "news"), 1u);
  }
  EXPECT_EQ(stats.subscriptions_interrupted.value(), 3u);
}

TEST_F(PubSubTest, ASilentNodeIsFoundByAPing) {
  config.request_timeout_ms = 500;
  Start();
  sim::SimPeer* client = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  RunFor(5 * kSecond);
  EXPECT_EQ(stats.subscriptions_interrupted.value(), 0u) << "a node that answers stays";
  HomeOf("news").SetPaused(true);
  RunFor(3 * kSecond);
  EXPECT_EQ(stats.subscriptions_interrupted.value(), 1u);
  Publish("news", "hi");
  EXPECT_EQ(Heard(client), Message("news", "hi"));
}

TEST_F(PubSubTest, WhatOneNodeTellsIsAskedOfAllAndToldOnce) {
  Start();
  sim::SimPeer* client = Subscribed("PSUBSCRIBE *", Confirmation("psubscribe", "*", 1));
  EXPECT_EQ(SubscribersAtAllNodes(kPatterns, "*"), 3u);
  Publish("news", "hi");
  EXPECT_EQ(Heard(client), "*4\r\n" + Bulk("pmessage") + Bulk("*") + Bulk("news") + Bulk("hi"));
  cluster.node("C").PublishHere("__keyevent@0__:set", "k");
  EXPECT_EQ(Heard(client),
            "*4\r\n" + Bulk("pmessage") + Bulk("*") + Bulk("__keyevent@0__:set") + Bulk("k"));
}

TEST_F(PubSubTest, APrimaryThatJoinsIsAskedForEvents) {
  Start();
  const std::string channel = "__keyspace@0__:k";
  sim::SimPeer* client = Subscribed("SUBSCRIBE " + channel, Confirmation("subscribe", channel, 1));
  sim::FakeNode& joined = cluster.AddPrimary("D");
  cluster.AssignSlots(0, 100, joined);
  worker().RefreshTopology();
  RunFor(2 * kSecond);
  EXPECT_EQ(joined.Subscribers(kChannels, channel), 1u);
  joined.PublishHere(channel, "set");
  EXPECT_EQ(Heard(client), Message(channel, "set"));
}

TEST_F(PubSubTest, AShardChannelIsAskedForAtTheOwnerOfItsSlotAndFollowsIt) {
  Start();
  sim::SimPeer* client = Subscribed("SSUBSCRIBE k", Confirmation("ssubscribe", "k", 1));
  const uint16_t slot = cluster::HashSlot("k");
  sim::FakeNode& before = cluster.OwnerOf("k");
  EXPECT_EQ(before.Subscribers(kShardChannels, "k"), 1u);
  sim::FakeNode& after = cluster.node(before.name() == "A" ? "B" : "A");
  cluster.AssignSlots(slot, slot, after);
  before.DropShardChannels(slot);
  RunFor(kSecond);
  EXPECT_EQ(after.Subscribers(kShardChannels, "k"), 1u);
  EXPECT_EQ(client->Take(), "") << "what the node says about the slot is not the client's";
  EXPECT_EQ(Say(client, "SUNSUBSCRIBE k"), Confirmation("sunsubscribe", "k", 0));
  EXPECT_EQ(after.Subscribers(kShardChannels, "k"), 0u);
}

// Two shard channels of one node, of which the slot of one moves while the node hangs; rcproxy
// knows before the node does.
class ShardChannelMovesTest : public PubSubTest {
 protected:
  static std::string ShardMessage(std::string_view channel, std::string_view text) {
    return "*3\r\n" + Bulk("smessage") + Bulk(channel) + Bulk(text);
  }
  void Move() {
    Start();
    before = &cluster.OwnerOf("k");
    after = &cluster.node(before->name() == "A" ? "B" : "A");
    while (&cluster.OwnerOf(stays) != before) stays += "x";
    client = Subscribed("SSUBSCRIBE k", Confirmation("ssubscribe", "k", 1));
    EXPECT_EQ(Say(client, "SSUBSCRIBE " + stays), Confirmation("ssubscribe", stays, 2));
    before->SetPaused(true);
    cluster.AssignSlots(slot, slot, *after);
    worker().RefreshTopology();
    RunUntil([this] { return after->Subscribers(kShardChannels, "k") == 1; });
    RunFor(100 * kMillisecond);
  }
  void ExpectHeard(sim::FakeNode& node, const std::string& channel) {
    node.PublishToShard(channel, "hi");
    EXPECT_EQ(Heard(client), ShardMessage(channel, "hi"));
  }

  const uint16_t slot = cluster::HashSlot("k");
  std::string stays = "s";
  sim::FakeNode* before = nullptr;
  sim::FakeNode* after = nullptr;
  sim::SimPeer* client = nullptr;
};

TEST_F(ShardChannelMovesTest, ItIsHeardFromTheNewOwnerAtOnce) {
  Move();
  ExpectHeard(*after, "k");
}

TEST_F(ShardChannelMovesTest, TheNodeEndsItAndRefusesToEndItAgain) {
  Move();
  before->DropShardChannels(slot);
  before->SetPaused(false);
  RunFor(3 * kSecond);  // PINGs follow.
  EXPECT_EQ(stats.upstream_protocol_errors.value(), 0u);
  EXPECT_EQ(stats.subscriptions_interrupted.value(), 0u) << "of the other channel, too";
  ExpectHeard(*after, "k");
  ExpectHeard(*before, stays);
  EXPECT_EQ(Say(client, "SUNSUBSCRIBE " + stays), Confirmation("sunsubscribe", stays, 1));
  RunFor(kSecond);
  EXPECT_EQ(before->Subscribers(kShardChannels, stays), 0u);
  EXPECT_EQ(stats.upstream_protocol_errors.value(), 0u);
}

TEST_F(PubSubTest, AConnectionThatCarriesNothingIsClosed) {
  Start();
  const size_t before = stats.upstream_connections.value();
  sim::SimPeer* client = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  EXPECT_EQ(stats.upstream_connections.value(), before + 1);
  client->Close();
  RunFor(3 * kSecond);
  EXPECT_EQ(stats.upstream_connections.value(), before);
}

TEST_F(PubSubTest, AMessageThatComesInPiecesIsDeliveredWhole) {
  Start();
  sim::SimPeer* client = Subscribed("SUBSCRIBE news", Confirmation("subscribe", "news", 1));
  const std::string text(500'000, 'x');
  Publish("news", text);
  std::string heard;
  RunUntil([&] {
    heard += client->Take();
    return heard.size() >= text.size();
  });
  EXPECT_EQ(heard + Heard(client), Message("news", text));
}

}  // namespace
}  // namespace rcproxy::proxy
