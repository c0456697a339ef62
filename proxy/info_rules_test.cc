#include "proxy/info_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {
namespace {

std::string Named(const std::vector<std::string_view>& names) {
  std::string titles;
  for (const InfoSection& section : InfoSectionsNamed(names)) {
    titles += std::string(section.title) + " ";
  }
  return titles;
}

TEST(InfoRulesTest, SectionsAreNamedInAnyCaseAndComeInTheServersOrder) {
  EXPECT_EQ(Named({"KEYSPACE", "server", "nosuch", "keyspace"}), "Server Keyspace ");
  EXPECT_EQ(Named({"nosuch"}), "");
  EXPECT_EQ(Named({}), Named({"Default"}));
  EXPECT_EQ(Named({"all"}), Named({"everything"}));
}

TEST(InfoRulesTest, LongSectionsAreOnlyGivenWhenAskedFor) {
  EXPECT_EQ(Named({}).find("Commandstats"), std::string::npos);
  EXPECT_NE(Named({"all"}).find("Commandstats"), std::string::npos);
  EXPECT_EQ(Named({"commandstats"}), "Commandstats ");
  EXPECT_NE(Named({"default", "latencystats"}).find("Latencystats"), std::string::npos);
}

TEST(InfoRulesTest, EverySectionHasARuleForEveryField) {
  for (const InfoSection& section : InfoSections()) {
    EXPECT_EQ(FindInfoRule(section.title, "a_field_of_a_later_version").section, section.title);
  }
}

TEST(InfoRulesTest, WhatIsRcproxysOwnComesFromNoNode) {
  for (const InfoSection& section : InfoSections()) {
    if (section.from_nodes) continue;
    EXPECT_EQ(FindInfoRule(section.title, "any").how, InfoHow::kOwn) << section.title;
  }
}

TEST(InfoRulesTest, TheFirstRuleThatFitsDecides) {
  EXPECT_EQ(FindInfoRule("Memory", "maxmemory").how, InfoHow::kLimit);
  EXPECT_EQ(FindInfoRule("Memory", "maxmemory_human").how, InfoHow::kHuman);
  EXPECT_EQ(FindInfoRule("Memory", "used_memory").how, InfoHow::kSum);
  EXPECT_EQ(FindInfoRule("Replication", "slave0").how, InfoHow::kDrop);
  EXPECT_EQ(FindInfoRule("search_index", "number_of_indexes").how, InfoHow::kDrop);
  EXPECT_EQ(FindInfoPartRule("Keyspace", "avg_ttl").by, "expires");
  EXPECT_EQ(FindInfoPartRule("Keyspace", "keys").how, InfoHow::kSum);
}

}  // namespace
}  // namespace rcproxy::proxy
