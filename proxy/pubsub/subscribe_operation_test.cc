#include "proxy/pubsub/subscribe_operation.h"

#include <gtest/gtest.h>

#include "proxy/errors.h"
#include "proxy/pubsub/pubsub_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

using SubscribeOperationTest = PubSubForTest;

TEST_F(SubscribeOperationTest, AClientIsToldWhenANodeHasAgreedAndNotBefore) {
  Start();
  for (sim::FakeNode* each : Nodes()) each->SetPaused(true);
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, "SUBSCRIBE a b a"), "");
  for (sim::FakeNode* each : Nodes()) each->SetPaused(false);
  EXPECT_EQ(Heard(client), Confirmation("subscribe", "a", 1) + Confirmation("subscribe", "b", 2) +
                               Confirmation("subscribe", "a", 2));
}

TEST_F(SubscribeOperationTest, WhenNoNodeAgreesInTimeThereIsAnErrorAndNoSubscription) {
  config.request_timeout_ms = 500;
  Start();
  for (sim::FakeNode* each : Nodes()) each->Vanish();
  sim::SimPeer* client = Connect();
  client->Write(Command("SUBSCRIBE a"));
  RunFor(kSecond);
  EXPECT_EQ(client->Take(), kErrorUnreachable);
  EXPECT_EQ(stats.channels.value(), 0u);
  EXPECT_EQ(Say(client, "PING"), "+PONG\r\n") << "it is no subscriber";
}

TEST_F(SubscribeOperationTest, AClientMayLeaveWhileItWaits) {
  Start();
  for (sim::FakeNode* each : Nodes()) each->SetPaused(true);
  sim::SimPeer* client = Connect();
  client->Write(Command("SUBSCRIBE a") + Command("PSUBSCRIBE *"));
  RunFor(20 * kMillisecond);
  client->Reset();
  RunFor(20 * kMillisecond);
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(stats.channels.value(), 0u);
  for (sim::FakeNode* each : Nodes()) each->SetPaused(false);
  RunFor(kSecond);
  EXPECT_EQ(SubscribersAtAllNodes(kChannels, "a"), 0u);
  EXPECT_EQ(SubscribersAtAllNodes(kPatterns, "*"), 0u);
}

TEST_F(SubscribeOperationTest, WithMoreThanTheMostThereIsAnError) {
  config.subscriptions_per_client_max = 2;
  Start();
  sim::SimPeer* client = Connect();
  EXPECT_EQ(Say(client, "SUBSCRIBE a b c"), kErrorSubscriptions);
  EXPECT_EQ(stats.errors_subscriptions.value(), 1u);
  EXPECT_EQ(stats.channels.value(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
