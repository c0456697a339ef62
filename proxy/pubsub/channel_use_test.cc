#include "proxy/pubsub/channel_use.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {
namespace {

TEST(ChannelUseTest, WhatWorkersTellIsReadOneAfterAnother) {
  const std::string first = EncodeChannelUses(std::vector<ChannelUse>{
      {"a\r\nb", 3, {"127.0.0.1:1", "[::1]:2"}},
      {"", 0, {}},
  });
  const std::string second = EncodeChannelUses(std::vector<ChannelUse>{{"c", 1, {"h:3"}}});
  const std::string_view answers[] = {first, "", second};
  const std::vector<ChannelUse> uses = DecodeChannelUses(answers);
  ASSERT_EQ(uses.size(), 3u);
  EXPECT_EQ(uses[0].name, "a\r\nb");
  EXPECT_EQ(uses[0].subscribers, 3u);
  EXPECT_TRUE(uses[0].IsFedBy("127.0.0.1:1"));
  EXPECT_TRUE(uses[0].IsFedBy("[::1]:2"));
  EXPECT_FALSE(uses[0].IsFedBy("h:3"));
  EXPECT_EQ(uses[1].name, "");
  EXPECT_EQ(uses[1].subscribers, 0u);
  EXPECT_TRUE(uses[1].feeds.empty());
  EXPECT_TRUE(uses[2].IsFedBy("h:3"));
}

TEST(ChannelUseTest, NothingIsRead) {
  EXPECT_TRUE(DecodeChannelUses({}).empty());
  const std::string none = EncodeChannelUses({});
  const std::string_view answers[] = {none, ""};
  EXPECT_TRUE(DecodeChannelUses(answers).empty());
}

}  // namespace
}  // namespace rcproxy::proxy
