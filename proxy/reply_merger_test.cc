#include "proxy/reply_merger.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/errors.h"
#include "proxy/request.h"
#include "proxy/sim_for_test.h"
#include "proxy/split_state.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

using cluster::Merge;

class ReplyMergerTest : public testing::Test {
 protected:
  ~ReplyMergerTest() override {
    EXPECT_EQ(sim_.resources.requests.live(), 0u);
    EXPECT_EQ(sim_.resources.segments.live(), 0u);
    EXPECT_EQ(sim_.resources.splits.live(), 0u);
  }

  Request* AddPart(SplitState* split, std::string_view reply) {
    Resources& resources = sim_.resources;
    Request* part = resources.NewRequest();
    part->sink = Request::Sink::kPart;
    part->split_parent = split;
    part->state = Request::State::kAnswered;
    uring::Chunk* chunk = resources.output_pool.TakeLarge(reply.size());
    std::copy(reply.begin(), reply.end(), chunk->data);
    part->bytes = uring::Slice::Adopt(chunk, chunk->data, reply.size());
    split->parts.push_back(part);
    return part;
  }
  ReplyMergerTest() { parent_.spec = cluster::FindCommand("mget"); }

  std::string Merged(Merge merge, const std::vector<std::string>& replies,
                     const std::vector<uint32_t>& part_of_key = {}) {
    Resources& resources = sim_.resources;
    SplitState* split = resources.splits.New();
    split->merge = merge;
    split->parent = &parent_;
    split->part_of_key = part_of_key;
    for (const std::string& reply : replies) AddPart(split, reply);
    OutputQueue output(resources.client_memory);
    MergeReplies(resources, *split, &output);
    FreeSplit(resources, split);
    std::string bytes;
    while (!output.empty()) {
      bytes.append(output.FirstSegment());
      output.Consume(output.FirstSegment().size());
    }
    return bytes;
  }

  SimForTest sim_;
  Request parent_;
  const std::string unexpected_{kErrorUnexpectedPart};
};

TEST_F(ReplyMergerTest, AddsNumbersUp) {
  EXPECT_EQ(Merged(Merge::kSum, {":1\r\n", ":0\r\n", ":41\r\n"}), ":42\r\n");
  EXPECT_EQ(Merged(Merge::kSum, {":-5\r\n", ":3\r\n"}), ":-2\r\n");
  EXPECT_EQ(Merged(Merge::kSum, {":9000000000\r\n", ":9000000000\r\n"}), ":18000000000\r\n");
}

TEST_F(ReplyMergerTest, ANumberThatIsNoneIsNotAdded) {
  for (const char* reply : {"+OK\r\n", "$1\r\n1\r\n", "*1\r\n:1\r\n", "_\r\n"}) {
    EXPECT_EQ(Merged(Merge::kSum, {":1\r\n", reply}), unexpected_) << reply;
    EXPECT_EQ(Merged(Merge::kSum, {reply, ":1\r\n"}), unexpected_) << reply;
  }
}

TEST_F(ReplyMergerTest, AWriteThatWasDoneInPartSaysSo) {
  parent_.spec = cluster::FindCommand("mset");
  const std::string unknown(kErrorOutcomeUnknown);
  EXPECT_EQ(Merged(Merge::kAllOk, {"+OK\r\n", "-OOM full\r\n", unknown, "+OK\r\n"}),
            "-OOM full (a part: of 4 parts 2 done, 1 failed, 1 unknown)\r\n");
  EXPECT_EQ(Merged(Merge::kAllOk, {"-OOM full\r\n", "-OOM full\r\n"}), "-OOM full\r\n");
  EXPECT_EQ(Merged(Merge::kAllOk, {unknown, unknown}), unknown);
}

TEST_F(ReplyMergerTest, ASumThatDoesNotFitIsNoNumber) {
  EXPECT_EQ(Merged(Merge::kSum, {":9223372036854775807\r\n", ":1\r\n"}), unexpected_);
  EXPECT_EQ(Merged(Merge::kSum, {":-9223372036854775808\r\n", ":-1\r\n"}), unexpected_);
}

TEST_F(ReplyMergerTest, AllOkIsOneOk) {
  EXPECT_EQ(Merged(Merge::kAllOk, {"+OK\r\n", "+OK\r\n", "+OK\r\n"}), "+OK\r\n");
}

TEST_F(ReplyMergerTest, TheFirstFailedPartIsTheReplyWhateverTheRule) {
  for (const Merge merge : {Merge::kSum, Merge::kAllOk, Merge::kKeyOrder}) {
    EXPECT_EQ(Merged(merge, {":1\r\n", "-ERR two\r\n", "-ERR three\r\n"}, {2, 0, 1}),
              "-ERR two\r\n");
    EXPECT_EQ(Merged(merge, {"!5\r\nERR x\r\n", ":1\r\n"}, {0, 1}), "!5\r\nERR x\r\n");
  }
}

TEST_F(ReplyMergerTest, ElementsComeBackInTheOrderOfTheKeys) {
  // Keys a b c d a, where a and c are in part 0.
  EXPECT_EQ(
      Merged(Merge::kKeyOrder,
             {"*3\r\n$2\r\nva\r\n$2\r\nvc\r\n$2\r\nva\r\n", "*1\r\n$-1\r\n", "*1\r\n$0\r\n\r\n"},
             {0, 1, 0, 2, 0}),
      "*5\r\n$2\r\nva\r\n$-1\r\n$2\r\nvc\r\n$0\r\n\r\n$2\r\nva\r\n");
}

TEST_F(ReplyMergerTest, ElementsMayBeAnything) {
  EXPECT_EQ(Merged(Merge::kKeyOrder,
                   {"*2\r\n*2\r\n:1\r\n*1\r\n+x\r\n_\r\n", "*1\r\n%1\r\n+k\r\n#t\r\n"}, {0, 1, 0}),
            "*3\r\n*2\r\n:1\r\n*1\r\n+x\r\n%1\r\n+k\r\n#t\r\n_\r\n");
}

TEST_F(ReplyMergerTest, TheLeastNumber) {
  EXPECT_EQ(Merged(Merge::kMin, {":30\r\n", ":-2\r\n", ":41\r\n"}), ":-2\r\n");
  EXPECT_EQ(Merged(Merge::kMin, {":30\r\n", "+x\r\n"}), unexpected_);
}

TEST_F(ReplyMergerTest, ListsAreJoined) {
  EXPECT_EQ(Merged(Merge::kConcat, {"*1\r\n+a\r\n", "*0\r\n", "*2\r\n+b\r\n:3\r\n"}),
            "*3\r\n+a\r\n+b\r\n:3\r\n");
  EXPECT_EQ(Merged(Merge::kConcat, {"~1\r\n+a\r\n", "~1\r\n+b\r\n"}), "~2\r\n+a\r\n+b\r\n");
  EXPECT_EQ(Merged(Merge::kConcat, {"*1\r\n+a\r\n", "~1\r\n+b\r\n"}), unexpected_);
  EXPECT_EQ(Merged(Merge::kConcat, {"*1\r\n+a\r\n", "+b\r\n"}), unexpected_);
  EXPECT_EQ(Merged(Merge::kConcat, {"*-1\r\n"}), unexpected_);
}

TEST_F(ReplyMergerTest, TrueWhereAllSayTrue) {
  EXPECT_EQ(Merged(Merge::kAnd, {"*3\r\n:1\r\n:0\r\n:1\r\n", "*3\r\n:1\r\n:1\r\n:0\r\n"}),
            "*3\r\n:1\r\n:0\r\n:0\r\n");
  EXPECT_EQ(Merged(Merge::kAnd, {"*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"}), unexpected_);
  EXPECT_EQ(Merged(Merge::kAnd, {"*1\r\n+x\r\n"}), unexpected_);
  EXPECT_EQ(Merged(Merge::kAnd, {":1\r\n"}), unexpected_);
}

TEST_F(ReplyMergerTest, LongElementsAreNotCopied) {
  const std::string value(100'000, 'v');
  const size_t before = sim_.resources.output_pool.bytes_in_use();
  SplitState* split = sim_.resources.splits.New();
  split->merge = Merge::kKeyOrder;
  split->part_of_key = {1, 0};
  AddPart(split, "*1\r\n" + Bulk(value));
  AddPart(split, "*1\r\n" + Bulk("short"));
  const size_t with_parts = sim_.resources.output_pool.bytes_in_use();
  OutputQueue output(sim_.resources.client_memory);
  MergeReplies(sim_.resources, *split, &output);
  EXPECT_LT(sim_.resources.output_pool.bytes_in_use() - with_parts, 50'000u);
  FreeSplit(sim_.resources, split);
  EXPECT_EQ(output.bytes(), std::string("*2\r\n" + Bulk("short") + Bulk(value)).size());
  EXPECT_GT(sim_.resources.output_pool.bytes_in_use(), before + 100'000)
      << "the queue keeps what it refers to";
  output.Clear();
}

TEST_F(ReplyMergerTest, AnArrayOfTheWrongLengthIsNotTaken) {
  const std::vector<uint32_t> keys{0, 1, 0};
  EXPECT_EQ(Merged(Merge::kKeyOrder, {"*1\r\n+a\r\n", "*1\r\n+b\r\n"}, keys), unexpected_);
  EXPECT_EQ(Merged(Merge::kKeyOrder, {"*3\r\n+a\r\n+a\r\n+a\r\n", "*1\r\n+b\r\n"}, keys),
            unexpected_);
  EXPECT_EQ(Merged(Merge::kKeyOrder, {"*2\r\n+a\r\n+a\r\n", "*0\r\n"}, keys), unexpected_);
}

TEST_F(ReplyMergerTest, WhatIsNoArrayIsNotTaken) {
  for (const char* reply : {"+OK\r\n", ":1\r\n", "*-1\r\n", "$-1\r\n", "%1\r\n+k\r\n+v\r\n"}) {
    EXPECT_EQ(Merged(Merge::kKeyOrder, {"*1\r\n+a\r\n", reply}, {0, 1}), unexpected_) << reply;
  }
}

TEST_F(ReplyMergerTest, ManyPartsInAnyOrder) {
  std::vector<std::string> replies;
  std::vector<uint32_t> part_of_key;
  std::string expected = "*1000\r\n";
  std::vector<std::string> elements(50);
  std::vector<int> counts(50, 0);
  for (uint32_t key = 0; key < 1000; ++key) {
    const uint32_t part = key * 7 % 50;
    const std::string element = key % 3 == 0 ? "$-1\r\n" : Bulk("value " + std::to_string(key));
    part_of_key.push_back(part);
    elements[part] += element;
    ++counts[part];
    expected += element;
  }
  for (int i = 0; i < 50; ++i) {
    replies.push_back("*" + std::to_string(counts[i]) + "\r\n" + elements[i]);
  }
  EXPECT_EQ(Merged(Merge::kKeyOrder, replies, part_of_key), expected);
}

TEST_F(ReplyMergerTest, FreeingASplitLeavesUnansweredPartsToTheirNodes) {
  SplitState* split = sim_.resources.splits.New();
  AddPart(split, "+answered\r\n");
  Request* unanswered = AddPart(split, "+so far");
  unanswered->state = Request::State::kSent;
  FreeSplit(sim_.resources, split);
  EXPECT_EQ(sim_.resources.requests.live(), 1u);
  EXPECT_EQ(unanswered->sink, Request::Sink::kDiscard);
  sim_.resources.FreeRequest(unanswered);
}

}  // namespace
}  // namespace rcproxy::proxy
