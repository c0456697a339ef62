#include "proxy/zone.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/zone_parser.h"

namespace rcproxy::proxy {
namespace {

cluster::Node NodeAt(const std::string& host, const std::string& zone = "") {
  cluster::Node node;
  node.address = {host, 7000};
  node.availability_zone = zone;
  return node;
}

TEST(ZoneMapTest, NamesBeginningsOfAddresses) {
  const auto rules = ParseZoneMap("10.1.=a, 10.2.=b");
  ASSERT_TRUE(rules.ok());
  ASSERT_EQ(rules->size(), 2u);
  EXPECT_EQ((*rules)[0].prefix, "10.1.");
  EXPECT_EQ((*rules)[0].zone, "a");
  EXPECT_TRUE(ParseZoneMap("")->empty());
}

TEST(ZoneMapTest, SaysWhatIsWrong) {
  for (const char* text : {"10.1.", "=a", "10.1.=", "10.1.=a,x"}) {
    const auto rules = ParseZoneMap(text);
    EXPECT_NE(std::string(rules.status().message()).find("--zone_map"), std::string::npos) << text;
  }
}

TEST(ZonesTest, KnowNothingByThemselves) {
  EXPECT_FALSE(Zones().IsOwn(NodeAt("10.1.0.1", "a")));
  EXPECT_FALSE(Zones().IsOwn(NodeAt("10.1.0.1")));
}

TEST(ZonesTest, WhatANodeAnnouncesCountsFirst) {
  const Zones zones = {.own = "a", .own_prefix = "", .rules = *ParseZoneMap("10.1.=a,10.=b")};
  EXPECT_TRUE(zones.IsOwn(NodeAt("10.2.0.1", "a")));
  EXPECT_FALSE(zones.IsOwn(NodeAt("10.1.0.1", "b")));
  EXPECT_TRUE(zones.IsOwn(NodeAt("10.1.0.1")));
  EXPECT_FALSE(zones.IsOwn(NodeAt("10.2.0.1"))) << "the first rule that matches";
  EXPECT_FALSE(zones.IsOwn(NodeAt("192.168.0.1"))) << "no rule";
}

TEST(ZonesTest, APrefixIsEnough) {
  const Zones zones = {.own = "", .own_prefix = "10.1.", .rules = {}};
  EXPECT_TRUE(zones.IsOwn(NodeAt("10.1.0.1", "whatever")));
  EXPECT_FALSE(zones.IsOwn(NodeAt("10.2.0.1")));
}

}  // namespace
}  // namespace rcproxy::proxy
