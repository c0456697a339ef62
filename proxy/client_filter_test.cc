#include "proxy/client_filter.h"

#include <gtest/gtest.h>

namespace rcproxy::proxy {
namespace {

TEST(ClientFilterTest, WithoutConditionsEveryClientMatches) {
  Session session;
  session.id = 7;
  EXPECT_TRUE(ClientFilter().Matches(session));
}

TEST(ClientFilterTest, AllConditionsHaveToHold) {
  Session session;
  session.id = 7;
  ClientFilter filter;
  filter.ids = {3, 7};
  EXPECT_TRUE(filter.Matches(session));
  filter.type = ClientType::kNormal;
  filter.address = filter.local_address = "?:0";  // Of a session without a socket.
  EXPECT_TRUE(filter.Matches(session));
  filter.local_address = "127.0.0.1:1";
  EXPECT_FALSE(filter.Matches(session));
  filter.local_address.reset();
  filter.address = "127.0.0.1:1";
  EXPECT_FALSE(filter.Matches(session));
  filter.address.reset();
  filter.except_id = 7;
  EXPECT_FALSE(filter.Matches(session));
  filter.except_id = 8;
  filter.type = ClientType::kOther;
  EXPECT_FALSE(filter.Matches(session));
  filter.type = ClientType::kPubSub;
  EXPECT_FALSE(filter.Matches(session));
  session.Extras().subscriptions = {0, 1, 0};
  EXPECT_TRUE(filter.Matches(session));
  filter.type = ClientType::kNormal;
  EXPECT_FALSE(filter.Matches(session));
  filter.type = ClientType::kAny;
  filter.ids = {8};
  EXPECT_FALSE(filter.Matches(session));
}

TEST(ClientFilterTest, TypesAreTheServers) {
  ClientType type = ClientType::kAny;
  EXPECT_TRUE(ParseClientType("NORMAL", &type));
  EXPECT_EQ(type, ClientType::kNormal);
  EXPECT_TRUE(ParseClientType("PubSub", &type));
  EXPECT_EQ(type, ClientType::kPubSub);
  for (const char* name : {"slave", "Replica", "master"}) {
    EXPECT_TRUE(ParseClientType(name, &type)) << name;
    EXPECT_EQ(type, ClientType::kOther) << name;
  }
  EXPECT_FALSE(ParseClientType("", &type));
  EXPECT_FALSE(ParseClientType("normals", &type));
}

}  // namespace
}  // namespace rcproxy::proxy
