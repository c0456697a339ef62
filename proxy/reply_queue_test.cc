#include "proxy/reply_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/sim_for_test.h"
#include "proxy/split_state.h"
#include "uring/chunk.h"

namespace rcproxy::proxy {
namespace {

using uring::Chunk;
using uring::ChunkPool;

class ReplyQueueTest : public testing::Test {
 protected:
  ~ReplyQueueTest() override {
    client_.Leave();
    while (!unanswered_.empty()) Answer(unanswered_.back(), "+late\r\n");
    EXPECT_EQ(resources_.requests.live(), 0u);
    EXPECT_EQ(resources_.segments.live(), 0u);
    EXPECT_EQ(resources_.splits.live(), 0u);
    EXPECT_EQ(sim_.stats.requests_in_flight.value(), 0u);
  }

  Request* NewRequest() {
    Request* request = resources_.NewRequest();
    request->state = Request::State::kSent;
    unanswered_.push_back(request);
    return request;
  }
  Request* Ask() {
    Request* request = NewRequest();
    replies_.Push(request);
    return request;
  }
  // A command in as many parts, whose replies are added up.
  Request* AskInParts(int parts, std::vector<Request*>* part_requests) {
    Request* parent = resources_.NewRequest();
    SplitState* split = resources_.splits.New();
    split->parent = parent;
    split->merge = cluster::Merge::kSum;
    split->pending = parts;
    parent->split = split;
    parent->is_split = true;
    replies_.Push(parent);
    replies_.AddParts(parts);
    for (int i = 0; i < parts; ++i) {
      Request* part = NewRequest();
      part->sink = Request::Sink::kPart;
      part->split_parent = split;
      split->parts.push_back(part);
      part_requests->push_back(part);
    }
    return parent;
  }
  void Answer(Request* request, std::string_view reply) {
    unanswered_.erase(std::remove(unanswered_.begin(), unanswered_.end(), request),
                      unanswered_.end());
    DeliverText(resources_, request, reply);
  }
  // Adds to what a node has sent so far.
  void Arrive(SegmentList* list, std::string_view bytes) {
    Chunk* chunk = resources_.output_pool.TakeLarge(bytes.size());
    std::copy(bytes.begin(), bytes.end(), chunk->data);
    list->Add(resources_.segments, chunk, {chunk->data, bytes.size()});
  }

  SimForTest sim_;
  Resources& resources_ = sim_.resources;
  ClientForTest client_{resources_};
  ReplyQueue& replies_ = client_.replies;
  std::vector<Request*> unanswered_;
};

TEST_F(ReplyQueueTest, AReplyToTheOldestRequestLeavesAtOnce) {
  Request* request = Ask();
  EXPECT_EQ(replies_.size(), 1u);
  Answer(request, "+OK\r\n");
  EXPECT_EQ(client_.Take(), "+OK\r\n");
  EXPECT_TRUE(replies_.empty());
  EXPECT_TRUE(client_.IsLinked()) << "the client has something to send";
}

TEST_F(ReplyQueueTest, AReplyThatComesTooEarlyWaitsForItsTurn) {
  Request* first = Ask();
  Request* second = Ask();
  Request* third = Ask();
  Answer(third, "+3\r\n");
  Answer(second, "+2\r\n");
  EXPECT_FALSE(client_.HasOutput());
  EXPECT_FALSE(client_.IsLinked());
  EXPECT_EQ(replies_.size(), 3u);
  replies_.CheckInvariants();
  Answer(first, "+1\r\n");
  EXPECT_EQ(client_.Take(), "+1\r\n+2\r\n+3\r\n");
  EXPECT_TRUE(replies_.empty());
}

TEST_F(ReplyQueueTest, AnyOrderOfAnswersGivesTheOrderOfRequests) {
  std::vector<int> order{0, 1, 2, 3, 4};
  do {
    std::vector<Request*> requests;
    for (size_t i = 0; i < order.size(); ++i) requests.push_back(Ask());
    for (const int i : order) {
      Answer(requests[i], "+" + std::to_string(i) + "\r\n");
      replies_.CheckInvariants();
    }
    ASSERT_EQ(client_.Take(), "+0\r\n+1\r\n+2\r\n+3\r\n+4\r\n");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ReplyQueueTest, ALocalReplyLeavesAtOnceWhenNothingIsUnderWay) {
  replies_.Reply("+PONG\r\n");
  EXPECT_EQ(client_.Take(), "+PONG\r\n");
  EXPECT_TRUE(client_.IsLinked());
}

TEST_F(ReplyQueueTest, ALocalReplyWaitsBehindRequests) {
  Request* first = Ask();
  replies_.Reply("+PONG\r\n");
  replies_.Reply("-ERR no\r\n");
  Request* second = Ask();
  EXPECT_FALSE(client_.HasOutput());
  EXPECT_EQ(replies_.size(), 4u);
  Answer(first, "+1\r\n");
  EXPECT_EQ(client_.Take(), "+1\r\n+PONG\r\n-ERR no\r\n");
  Answer(second, "+2\r\n");
  EXPECT_EQ(client_.Take(), "+2\r\n");
}

TEST_F(ReplyQueueTest, ALocalReplyHasTheEpochOfTheRequestBeforeIt) {
  Request* first = Ask();
  first->epoch = 7;
  replies_.Reply("+PONG\r\n");
  replies_.CheckInvariants();
  Request* later = resources_.NewRequest();
  later->state = Request::State::kSent;
  later->epoch = 8;
  unanswered_.push_back(later);
  replies_.Push(later);
  replies_.CheckInvariants();
}

TEST_F(ReplyQueueTest, AReplyInPiecesIsPutTogether) {
  Request* first = Ask();
  Request* second = Ask();
  Arrive(&second->pieces, "$10\r\n01234");
  Answer(second, "56789\r\n");
  Arrive(&first->pieces, "$4\r\n");
  Answer(first, "abcd\r\n");
  EXPECT_EQ(client_.Take(), "$4\r\nabcd\r\n$10\r\n0123456789\r\n");
}

TEST_F(ReplyQueueTest, OnlyTheOldestReplyMayStream) {
  Request* first = Ask();
  Request* second = Ask();
  EXPECT_TRUE(replies_.CanStream(first));
  EXPECT_FALSE(replies_.CanStream(second));
  SegmentList arrived;
  Arrive(&arrived, "$6\r\nabc");
  replies_.Stream(first, &arrived);
  EXPECT_TRUE(first->streaming);
  EXPECT_EQ(client_.Take(), "$6\r\nabc");
  Arrive(&arrived, "d");
  replies_.Stream(first, &arrived);
  EXPECT_EQ(replies_.size(), 1u + 1u);
  Answer(second, "+2\r\n");
  Answer(first, "ef\r\n");
  EXPECT_EQ(client_.Take(), "def\r\n+2\r\n");
}

TEST_F(ReplyQueueTest, ASplitCommandIsAnsweredWhenItsLastPartIs) {
  std::vector<Request*> parts;
  AskInParts(3, &parts);
  Request* after = Ask();
  Answer(parts[2], ":4\r\n");
  Answer(after, "+after\r\n");
  Answer(parts[0], ":1\r\n");
  EXPECT_FALSE(client_.HasOutput());
  Answer(parts[1], ":2\r\n");
  EXPECT_EQ(client_.Take(), ":7\r\n+after\r\n");
}

TEST_F(ReplyQueueTest, ASplitCommandWaitsForItsTurn) {
  Request* before = Ask();
  std::vector<Request*> parts;
  AskInParts(2, &parts);
  Answer(parts[0], ":1\r\n");
  Answer(parts[1], ":2\r\n");
  EXPECT_FALSE(client_.HasOutput());
  Answer(before, "+before\r\n");
  EXPECT_EQ(client_.Take(), "+before\r\n:3\r\n");
}

TEST_F(ReplyQueueTest, APartsReplyInPiecesIsPutTogether) {
  std::vector<Request*> parts;
  AskInParts(2, &parts);
  Arrive(&parts[0]->pieces, ":1");
  Arrive(&parts[0]->pieces, "2");
  Answer(parts[0], "3\r\n");
  Answer(parts[1], ":1\r\n");
  EXPECT_EQ(client_.Take(), ":124\r\n");
}

TEST_F(ReplyQueueTest, AClientThatLeavesWaitsForNothing) {
  Request* waiting = Ask();
  Request* answered = Ask();
  Answer(answered, "+2\r\n");
  std::vector<Request*> parts;
  AskInParts(2, &parts);
  Answer(parts[0], ":1\r\n");
  std::vector<Request*> complete;
  AskInParts(2, &complete);
  Answer(complete[0], ":1\r\n");
  Answer(complete[1], ":1\r\n");
  replies_.Reply("+PONG\r\n");
  client_.Leave();
  EXPECT_TRUE(replies_.empty());
  EXPECT_TRUE(replies_.output().empty());
  // Only what a node still has to answer is left, and it belongs to nobody.
  EXPECT_EQ(resources_.requests.live(), 2u);
  EXPECT_EQ(waiting->sink, Request::Sink::kDiscard);
  EXPECT_EQ(parts[1]->sink, Request::Sink::kDiscard);
  EXPECT_EQ(ClientOf(waiting), nullptr);
  EXPECT_EQ(resources_.splits.live(), 0u);
  Answer(waiting, "+1\r\n");
  Answer(parts[1], ":1\r\n");
  EXPECT_EQ(sim_.stats.replies_discarded.value(), 2u);
}

TEST_F(ReplyQueueTest, AClientThatLeavesInTheMiddleOfAStreamWaitsForNothing) {
  Request* request = Ask();
  SegmentList arrived;
  Arrive(&arrived, "$6\r\nabc");
  replies_.Stream(request, &arrived);
  client_.Leave();
  EXPECT_TRUE(replies_.output().empty());
}

TEST_F(ReplyQueueTest, CountsWhatIsUnderWayPartsIncluded) {
  Request* first = Ask();
  std::vector<Request*> parts;
  AskInParts(3, &parts);
  replies_.Reply("+PONG\r\n");
  const uint32_t all = replies_.in_flight();
  EXPECT_GE(all, 5u);
  Answer(parts[1], ":1\r\n");
  EXPECT_EQ(replies_.in_flight(), all - 1);
  Answer(first, "+1\r\n");
  EXPECT_LT(replies_.in_flight(), all - 1);
  Answer(parts[0], ":1\r\n");
  Answer(parts[2], ":1\r\n");
  EXPECT_EQ(replies_.in_flight(), 0u);
}

TEST_F(ReplyQueueTest, KnowsHowMuchWaitsForTheClient) {
  Request* first = Ask();
  Request* second = Ask();
  std::vector<Request*> parts;
  AskInParts(2, &parts);
  EXPECT_EQ(replies_.bytes(), 0u);
  Answer(second, "+1234567\r\n");
  EXPECT_EQ(replies_.bytes(), 10u);
  Answer(parts[1], ":1\r\n");
  EXPECT_EQ(replies_.bytes(), 14u);
  replies_.Reply("+PONG\r\n");
  EXPECT_EQ(replies_.bytes(), 21u);
  EXPECT_EQ(replies_.BytesHeld(), 21u);
  Answer(first, "+OK\r\n");
  EXPECT_EQ(replies_.bytes(), 5u + 10u + 4u + 7u);
  client_.Take();
  EXPECT_EQ(replies_.bytes(), 4u + 7u);
  Answer(parts[0], ":1\r\n");
  EXPECT_EQ(client_.Take(), ":2\r\n+PONG\r\n");
  EXPECT_EQ(replies_.bytes(), 0u);
  EXPECT_EQ(replies_.BytesHeld(), 0u);
}

TEST_F(ReplyQueueTest, ACommandThatIsKeptCountsAsHeld) {
  Request* request = Ask();
  Staging::Block block = resources_.upstream_staging.Take(1000, 1000);
  request->bytes = uring::Slice::Adopt(block.chunk, block.begin, 1000);
  EXPECT_EQ(replies_.BytesHeld(), 1000u);
  EXPECT_EQ(replies_.bytes(), 0u);
}

TEST_F(ReplyQueueTest, KnowsWhoseARequestIs) {
  EXPECT_EQ(ClientOf(Ask()), &replies_);
  std::vector<Request*> parts;
  AskInParts(2, &parts);
  EXPECT_EQ(ClientOf(parts[1]), &replies_);
  Request* internal = NewRequest();
  internal->sink = Request::Sink::kIgnore;
  EXPECT_EQ(ClientOf(internal), nullptr);
  Answer(internal, "+OK\r\n");
}

TEST_F(ReplyQueueTest, CountsDelayedRequestsAndSaysWhenTheClientMayGoOn) {
  Ask();
  replies_.AddDelayed();
  replies_.AddDelayed();
  EXPECT_EQ(replies_.delayed(), 2u);
  EXPECT_FALSE(client_.IsLinked());
  replies_.SubDelayed();
  EXPECT_EQ(replies_.delayed(), 1u);
  EXPECT_TRUE(client_.IsLinked());
}

TEST_F(ReplyQueueTest, ABrokenReplyIsSeenByTheClient) {
  Ask();
  EXPECT_FALSE(replies_.broken());
  replies_.MarkBroken();
  EXPECT_TRUE(replies_.broken());
  EXPECT_TRUE(client_.IsLinked());
}

// ---- slow clients

class LinkThatStalls final : public Stallable {
 public:
  void ResumeAfterStall() override { ++resumed; }
  int resumed = 0;
};

class ReplyQueueStallTest : public ReplyQueueTest {
 protected:
  ReplyQueueStallTest() { replies_.output().Append(std::string(20'000, 'x')); }
  LinkThatStalls link_;
  LinkThatStalls other_;
};

TEST_F(ReplyQueueStallTest, ALinkGoesOnWhenTheOutputIsBelowItsLimit) {
  replies_.Stall(&link_, 10'000);
  replies_.Stall(&link_, 10'000);
  EXPECT_TRUE(replies_.stalled());
  EXPECT_EQ(link_.stalled_by, &replies_);
  replies_.output().Consume(9'999);
  replies_.ResumeStalled();
  EXPECT_EQ(link_.resumed, 0);
  replies_.output().Consume(1);
  replies_.ResumeStalled();
  EXPECT_EQ(link_.resumed, 1);
  EXPECT_FALSE(replies_.stalled());
}

TEST_F(ReplyQueueStallTest, RemembersWhenTheStallBegan) {
  sim_.RunFor(sim::kSecond);
  replies_.Stall(&link_, 10'000);
  const int64_t begin_ns = sim_.io.NowNs();
  EXPECT_EQ(link_.stalled_since_ns, begin_ns);
  sim_.RunFor(sim::kSecond);
  replies_.Stall(&link_, 10'000);
  EXPECT_EQ(link_.stalled_since_ns, begin_ns) << "it is stalled already";
  client_.Leave();
}

TEST_F(ReplyQueueStallTest, AClientThatLeavesStallsNobody) {
  replies_.Stall(&link_, 10'000);
  replies_.Stall(&other_, 10'000);
  client_.Leave();
  EXPECT_EQ(link_.resumed, 1);
  EXPECT_EQ(other_.resumed, 1);
  EXPECT_FALSE(link_.IsLinked());
}

// ---- other destinations

class InternalReplyForTest final : public InternalReply {
 public:
  void OnReply(std::string_view reply) override { replies.emplace_back(reply); }
  void OnLost() override { ++lost; }
  std::vector<std::string> replies;
  int lost = 0;
};

TEST_F(ReplyQueueTest, AnInternalRequestGetsItsReplyInOnePiece) {
  InternalReplyForTest internal;
  for (int pieces = 0; pieces < 3; ++pieces) {
    Request* request = NewRequest();
    request->sink = Request::Sink::kInternal;
    request->internal = &internal;
    for (int i = 0; i < pieces; ++i)
      Arrive(&request->pieces, std::string(1, static_cast<char>('a' + i)));
    Answer(request, "z");
  }
  EXPECT_EQ(internal.replies, (std::vector<std::string>{"z", "az", "abz"}));
  EXPECT_EQ(internal.lost, 0);
}

}  // namespace
}  // namespace rcproxy::proxy
