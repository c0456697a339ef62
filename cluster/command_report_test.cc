#include "cluster/command_report.h"

#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_report_for_test.h"
#include "cluster/command_report_parser.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

ReportedCommand One(const EntryForTest& entry) {
  const auto report = ParseCommandReply(CommandReplyForTest({entry}));
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? report->front() : ReportedCommand{};
}

// What redis-server 7.0.15 says of SINTERCARD, as it was received.
constexpr std::string_view kSinterCard =
    "*1\r\n*10\r\n$10\r\nsintercard\r\n:-3\r\n*2\r\n+readonly\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n"
    "*3\r\n+@read\r\n+@set\r\n+@slow\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
    "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n"
    ":1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$6\r\nkeynum\r\n$4\r\nspec\r\n*6\r\n$9\r\n"
    "keynumidx\r\n:0\r\n$8\r\nfirstkey\r\n:1\r\n$7\r\nkeystep\r\n:1\r\n*0\r\n";

TEST(ParseCommandReplyTest, ReadsAServersEntry) {
  const auto report = ParseCommandReply(kSinterCard);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->size(), 1u);
  const ReportedCommand& command = report->front();
  EXPECT_EQ(command.name, "sintercard");
  EXPECT_EQ(command.arity, -3);
  EXPECT_EQ(command.flags, kReportedRead);
  EXPECT_TRUE(command.keys_are_known);
  EXPECT_TRUE(command.tells_of_subcommands);
  ASSERT_EQ(command.keys.size(), 1u);
  EXPECT_EQ(command.keys[0].spec.begin, KeySpec::Begin::kIndex);
  EXPECT_EQ(command.keys[0].spec.index, 1);
  EXPECT_EQ(command.keys[0].spec.find, KeySpec::Find::kKeyNum);
  EXPECT_EQ(command.keys[0].spec.keynum_first, 1);
}

TEST(ParseCommandReplyTest, ReadsAnEntryOfAServerBefore7) {
  const ReportedCommand mset = One({.name = "MY.MSET",
                                    .arity = -3,
                                    .flags = {"write", "denyoom"},
                                    .numbers = {1, -1, 2},
                                    .before_7 = true});
  EXPECT_EQ(mset.name, "my.mset");
  EXPECT_FALSE(mset.tells_of_subcommands);
  ASSERT_EQ(mset.keys.size(), 1u);
  EXPECT_EQ(mset.keys[0].spec.last, -1);
  EXPECT_EQ(mset.keys[0].spec.step, 2);
  const ReportedCommand rename =
      One({.name = "r", .flags = {"write"}, .numbers = {2, 3, 1}, .before_7 = true});
  EXPECT_EQ(rename.keys[0].spec.index, 2);
  EXPECT_EQ(rename.keys[0].spec.last, 1) << "relative to the first";
  EXPECT_TRUE(One({.name = "ping", .before_7 = true}).keys.empty());
  EXPECT_TRUE(One({.name = "ping", .before_7 = true}).keys_are_known);
}

TEST(ParseCommandReplyTest, ReadsKeywordsFlagsAndTips) {
  const ReportedCommand command =
      One({.name = "x",
           .flags = {"write", "readonly", "admin", "pubsub", "blocking", "no_multi", "module",
                     "may_replicate", "fast"},
           .specs = {KeywordSpecForTest("streams", -2, -1, 2),
                     RangeSpecForTest(2, 0, 1, 0, {"RO", "not_key"})},
           .tips = {"nondeterministic_output", "request_policy:all_shards",
                    "response_policy:agg_sum"}});
  EXPECT_EQ(command.flags, kReportedWrite | kReportedRead | kReportedAdmin | kReportedPubSub |
                               kReportedBlocking | kReportedNoMulti | kReportedModule |
                               kReportedMayReplicate);
  EXPECT_EQ(command.request_policy, RequestPolicy::kAllShards);
  EXPECT_EQ(command.response_policy, ResponsePolicy::kSum);
  ASSERT_EQ(command.keys.size(), 2u);
  EXPECT_EQ(command.keys[0].keyword, "STREAMS");
  EXPECT_EQ(command.keys[0].spec.index, -2);
  EXPECT_EQ(command.keys[0].spec.limit, 2);
  EXPECT_TRUE(command.keys[1].spec.is_channel);
  const ReportedCommand other =
      One({.name = "x", .tips = {"request_policy:special", "response_policy:agg_max"}});
  EXPECT_EQ(other.request_policy, RequestPolicy::kOther);
  EXPECT_EQ(other.response_policy, ResponsePolicy::kOther);
}

TEST(ParseCommandReplyTest, KeysThatNobodyCanFindAreUnknown) {
  const std::vector<std::vector<std::string>> specs = {
      {UnknownSpecForTest()},
      {RangeSpecForTest(1), UnknownSpecForTest()},
      {RangeSpecForTest(1, 0, 1, 0, {"RW", "incomplete"})},
      {RangeSpecForTest(0)},
      {RangeSpecForTest(-1)},
      {RangeSpecForTest(128)},
      {RangeSpecForTest(1, -129)},
      {RangeSpecForTest(1, 0, 0)},
      {RangeSpecForTest(1, 0, 1, -1)},
      {KeyNumSpecForTest(1, -1)},
      {KeyNumSpecForTest(1, 0, 1, 0)},
      {KeywordSpecForTest("x", 0, 0, 0)},
      {KeywordSpecForTest("", 1, 0, 0)},
      {KeywordSpecForTest("with space", 1, 0, 0)},
      {KeywordSpecForTest(std::string(33, 'k'), 1, 0, 0)},
      {BulkForTest("no spec")},
      {ListForTest({})},
      std::vector<std::string>(ReportedCommand::kKeysMax + 1, RangeSpecForTest(1)),
  };
  for (size_t i = 0; i < specs.size(); ++i) {
    const ReportedCommand command = One({.name = "x", .specs = specs[i]});
    EXPECT_FALSE(command.keys_are_known) << i;
    EXPECT_TRUE(command.keys.empty()) << i;
  }
  for (const std::vector<int>& numbers : std::vector<std::vector<int>>{
           {-1, 0, 0}, {1, 1, 0}, {3, 2, 1}, {200, 200, 1}, {1, -200, 1}}) {
    EXPECT_FALSE(One({.name = "x", .numbers = numbers, .before_7 = true}).keys_are_known);
  }
}

TEST(ParseCommandReplyTest, MovableKeysHaveToBeExplained) {
  const auto known = [](const std::vector<std::string>& specs) {
    return One({.name = "x", .flags = {"movablekeys"}, .specs = specs}).keys_are_known;
  };
  EXPECT_TRUE(known({KeyNumSpecForTest(1)}));
  EXPECT_TRUE(known({RangeSpecForTest(1), KeywordSpecForTest("STORE", 2, 0, 0)}));
  EXPECT_FALSE(known({RangeSpecForTest(1)})) << "a module that finds its keys by code of its own";
  EXPECT_FALSE(known({}));
  EXPECT_FALSE(One({.name = "x", .flags = {"movablekeys"}, .numbers = {1, 1, 1}, .before_7 = true})
                   .keys_are_known);
}

TEST(ParseCommandReplyTest, SubcommandsLoseTheirContainersName) {
  const ReportedCommand command = One({.name = "Box",
                                       .subcommands = {{.name = "Box|put"},
                                                       {.name = "Box|get", .flags = {"readonly"}},
                                                       {.name = "other|get"},
                                                       {.name = "Box|"},
                                                       {.name = "Box|get"}}});
  ASSERT_EQ(command.subcommands.size(), 2u);
  EXPECT_EQ(command.subcommands[0].name, "get");
  EXPECT_EQ(command.subcommands[0].flags, kReportedRead);
  EXPECT_EQ(command.subcommands[1].name, "put");
}

TEST(ParseCommandReplyTest, EntriesThatMakeNoSenseAreLeftOut) {
  std::string reply = "*10\r\n";
  for (const char* name : {"", "with space", "a|b", "\x01", "\xff"})
    reply += EntryForTest{.name = name}.Encode();
  reply += EntryForTest{.name = std::string(65, 'n')}.Encode();
  reply += EntryForTest{.name = "arity", .arity = 0}.Encode();
  reply += EntryForTest{.name = "arity", .arity = 40000}.Encode();
  reply += "*1\r\n$1\r\nx\r\n";
  reply += EntryForTest{.name = std::string(64, 'n')}.Encode();
  const auto report = ParseCommandReply(reply);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->size(), 1u);
  EXPECT_EQ(report->front().name.size(), 64u);
  EXPECT_NE(FindReported(*report, std::string(64, 'n')), nullptr);
  EXPECT_EQ(FindReported(*report, "arity"), nullptr);
}

TEST(ParseCommandReplyTest, WhatIsNoListOfCommandsIsAnError) {
  for (const std::string& reply :
       {std::string("-NOPERM this user has no permissions\r\n"), std::string("+OK\r\n"),
        std::string("*0\r\n"), std::string("*1\r\n$1\r\nx\r\n"), std::string("$-1\r\n"),
        std::string("*1\r\n"), std::string("nonsense"), std::string(),
        "$" + std::to_string(5 << 20) + "\r\n" + std::string(5 << 20, 'x') + "\r\n",
        ListForTest(std::vector<std::string>(4097, EntryForTest{.name = "x"}.Encode()))}) {
    EXPECT_FALSE(ParseCommandReply(reply).ok()) << reply.substr(0, 40);
  }
}

TEST(ParseCommandReplyTest, ANodesErrorIsQuotedOnOneShortLine) {
  EXPECT_EQ(ParseCommandReply("-NOPERM no\r\n").status().message(),
            "no list of commands: NOPERM no");
  const std::string long_text = "two\nlines" + std::string(1000, 'x');
  const auto report =
      ParseCommandReply("!" + std::to_string(long_text.size()) + "\r\n" + long_text + "\r\n");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().message().find('\n'), std::string::npos);
  EXPECT_LT(report.status().message().size(), 200u);
}

TEST(KeepCommonTest, KeepsWhatBothHave) {
  CommandReport common = ReportForTest({{.name = "a"}, {.name = "b"}, {.name = "c"}});
  EXPECT_FALSE(KeepCommon(&common, ReportForTest({{.name = "c"}, {.name = "b"}, {.name = "a"}})));
  EXPECT_TRUE(KeepCommon(&common, ReportForTest({{.name = "d"}, {.name = "c"}, {.name = "a"}})));
  ASSERT_EQ(common.size(), 2u);
  EXPECT_EQ(common[0].name, "a");
  EXPECT_EQ(common[1].name, "c");
  EXPECT_FALSE(common[0].is_disputed);
}

TEST(KeepCommonTest, AreDisputedWhenDescribedDifferently) {
  const CommandReport report = ReportForTest({{.name = "a", .specs = {RangeSpecForTest(1)}}});
  for (const EntryForTest& other :
       {EntryForTest{.name = "a", .specs = {RangeSpecForTest(2)}},
        EntryForTest{.name = "a", .arity = 3, .specs = {RangeSpecForTest(1)}},
        EntryForTest{.name = "a", .flags = {"write"}, .specs = {RangeSpecForTest(1)}},
        EntryForTest{.name = "a", .subcommands = {{.name = "a|x"}}}}) {
    CommandReport common = report;
    KeepCommon(&common, ReportForTest({other}));
    EXPECT_TRUE(common[0].is_disputed);
    KeepCommon(&common, report);
    EXPECT_TRUE(common[0].is_disputed) << "and stays so";
  }
}

TEST(KeepCommonTest, SubcommandsToo) {
  CommandReport common =
      ReportForTest({{.name = "box", .subcommands = {{.name = "box|a"}, {.name = "box|b"}}}});
  CommandReport old_server = ReportForTest({{.name = "box", .before_7 = true}});
  EXPECT_FALSE(KeepCommon(&common, old_server)) << "it tells nothing of subcommands";
  EXPECT_EQ(common[0].subcommands.size(), 2u);
  EXPECT_FALSE(KeepCommon(&old_server, common));
  EXPECT_EQ(old_server[0].subcommands.size(), 2u);
  EXPECT_TRUE(
      KeepCommon(&common, ReportForTest({{.name = "box", .subcommands = {{.name = "box|b"}}}})));
  ASSERT_EQ(common[0].subcommands.size(), 1u);
  EXPECT_EQ(common[0].subcommands[0].name, "b");
}

}  // namespace
}  // namespace rcproxy::cluster
