#include "proxy/reply_queue.h"

#include <glog/logging.h>

#include <utility>

#include "proxy/reply_merger.h"

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

namespace {

// A merger wants each part's reply in one piece.
void HoldInOnePiece(Resources& resources, Request* request, Chunk* chunk, std::string_view rest) {
  if (request->pieces.empty()) {
    request->bytes = uring::Slice::Share(chunk, rest.data(), rest.size());
    return;
  }
  request->bytes = Join(resources, request->pieces, rest);
  request->pieces.Clear(resources.segments);
}

void AnswerPart(Resources& resources, Request* part, Chunk* chunk, std::string_view rest) {
  SplitState* split = part->split_parent;
  if (split->joined != nullptr) {
    if (split->joined->Complete(part, chunk, rest)) resources.operations->OnJoined(split);
    return;
  }
  HoldInOnePiece(resources, part, chunk, rest);
  part->state = Request::State::kAnswered;
  split->parent->replies->OnPartAnswered(part->ReplyBytes());
  CHECK_GT(split->pending, 0u);
  if (--split->pending > 0) return;
  if (split->operation != nullptr) return resources.operations->OnAnswered(split);
  split->parent->replies->AnswerSplit(split->parent);
}

}  // namespace

uring::Slice Join(Resources& resources, const SegmentList& pieces, std::string_view rest) {
  const size_t size = pieces.bytes() + rest.size();
  const Staging::Block block = resources.client_staging.Take(size, size);
  char* to = block.begin;
  for (const Segment* s = pieces.head(); s != nullptr; s = s->next) {
    to = std::copy(s->begin, s->end, to);
  }
  std::copy(rest.begin(), rest.end(), to);
  return uring::Slice::Adopt(block.chunk, block.begin, size);
}

ReplyQueue::~ReplyQueue() { DCHECK(requests_.IsEmpty()); }

void ReplyQueue::Push(Request* request) {
  DCHECK(requests_.IsEmpty() || requests_.Back()->epoch <= request->epoch);
  request->sink = std::exchange(sink_, next_sink_);
  request->needs = needs_;
  request->replies = this;
  request->order = resources_.next_order++;
  requests_.PushBack(request);
  ++size_;
  ++in_flight_;
}

void ReplyQueue::PopFront() {
  requests_.PopFront();
  --size_;
  --in_flight_;
}

void ReplyQueue::OnPartAnswered(size_t bytes) {
  CHECK_GT(in_flight_, 0u);
  --in_flight_;
  held_bytes_ += bytes;
}

void ReplyQueue::SetNeeds(LinkNeeds needs) {
  DCHECK((needs.resp3 == needs_.resp3 && needs.tracks_by == needs_.tracks_by) || size_ <= 1);
  needs_ = needs;
  needs_.has_database = database_ != 0;
}

void ReplyQueue::SetDatabase(uint16_t database) {
  DCHECK(database == database_ || size_ <= 1);
  database_ = database;
  needs_.has_database = database != 0;
}

void ReplyQueue::SetMode(ReplyMode mode) {
  const bool is_off = next_sink_ == Request::Sink::kMuted;
  if (is_off && mode == ReplyMode::kSkipNext) return;  // As on the server: it stays off.
  sink_ = mode == ReplyMode::kOn ? Request::Sink::kClient : Request::Sink::kMuted;
  next_sink_ = mode == ReplyMode::kOff ? Request::Sink::kMuted : Request::Sink::kClient;
}

void ReplyQueue::SetBlocking(bool blocking) {
  if (blocking == blocking_) return;
  blocking_ = blocking;
  Counter& blocked = resources_.stats.clients_blocked;
  blocking ? blocked.Add() : blocked.Sub();
}

void ReplyQueue::Reply(std::string_view reply) {
  if (sink_ == Request::Sink::kMuted) {
    sink_ = next_sink_;
    return;
  }
  sink_ = next_sink_;
  AppendMessage(reply);
}

void ReplyQueue::AppendMessage(std::string_view message) {
  if (requests_.IsEmpty()) {
    output_.Append(message);
    MarkDirty();
    return;
  }
  Request* request = resources_.NewRequest();
  request->epoch = requests_.Back()->epoch;
  const Request::Sink next_command = sink_;
  Push(request);
  sink_ = next_command;
  request->sink = Request::Sink::kClient;
  Staging::Block block = resources_.client_staging.Take(message.size(), message.size());
  std::copy(message.begin(), message.end(), block.begin);
  request->bytes = uring::Slice::Adopt(block.chunk, block.begin, message.size());
  request->state = Request::State::kAnswered;
  held_bytes_ += message.size();
}

void ReplyQueue::Answer(Request* request, Chunk* chunk, std::string_view rest) {
  CHECK(request->state != Request::State::kAnswered);
  if (requests_.Front() == request) {
    if (!request->pieces.empty()) output_.TakeAll(&request->pieces);
    output_.AppendFrom(chunk, rest);
    PopFront();
    resources_.FreeRequest(request);
    DeliverReady();
    MarkDirty();
    return;
  }
  if (request->pieces.empty()) {
    request->bytes = uring::Slice::Share(chunk, rest.data(), rest.size());
  } else {
    ChunkPool::Ref(chunk);
    request->pieces.Add(resources_.segments, chunk, rest);
    request->bytes.Clear();
  }
  request->state = Request::State::kAnswered;
  held_bytes_ += request->ReplyBytes();
}

// Only its place in the order is left of it.
void ReplyQueue::AnswerMuted(Request* request) {
  request->pieces.Clear(resources_.segments);
  request->bytes.Clear();
  request->state = Request::State::kAnswered;
  if (requests_.Front() != request) return;
  DeliverReady();
  MarkDirty();
}

void ReplyQueue::AnswerSplit(Request* parent) {
  CHECK(parent->state != Request::State::kAnswered);
  parent->state = Request::State::kAnswered;
  if (requests_.Front() != parent) return;
  DeliverReady();
  MarkDirty();
}

void ReplyQueue::DeliverReady() {
  while (!requests_.IsEmpty()) {
    Request* front = requests_.Front();
    if (front->state != Request::State::kAnswered) return;
    requests_.PrefetchSecond();
    if (front->is_split) [[unlikely]] {
      if (front->sink == Request::Sink::kClient) {
        MergeReplies(resources_, *front->split, &output_);
      }
      for (const Request* part : front->split->parts) held_bytes_ -= part->ReplyBytes();
      FreeSplit(resources_, front->split);
    } else {
      held_bytes_ -= front->ReplyBytes();
      if (front->pieces.empty()) [[likely]] {
        output_.AppendFrom(front->bytes.chunk(), front->bytes.view());
      } else {
        output_.TakeAll(&front->pieces);
      }
    }
    PopFront();
    resources_.FreeRequest(front);
  }
}

void ReplyQueue::Stream(Request* request, SegmentList* arrived) {
  DCHECK(CanStream(request));
  request->streaming = true;
  output_.TakeAll(arrived);
  MarkDirty();
}

void ReplyQueue::Abandon() {
  while (Request* request = requests_.PopFront()) {
    --size_;
    if (request->is_split) {
      FreeSplit(resources_, request->split);
      resources_.FreeRequest(request);
    } else if (request->state == Request::State::kAnswered) {
      resources_.FreeRequest(request);
    } else {
      request->sink = Request::Sink::kDiscard;
      request->replies = nullptr;
      ++resources_.requests_given_up;
    }
  }
  SetBlocking(false);
  delayed_ = 0;
  barriers_ = 0;
  pause_ = Pause::kNone;
  in_flight_ = 0;
  held_bytes_ = 0;
  output_.Clear();
  while (Stallable* link = stalled_.PopFront()) link->ResumeAfterStall();
}

void ReplyQueue::SubDelayed() {
  CHECK_GT(delayed_, 0u);
  --delayed_;
  MarkDirty();  // The client may go on reading.
}

void ReplyQueue::SubBarrier() {
  CHECK_GT(barriers_, 0u);
  --barriers_;
  MarkDirty();
}

void ReplyQueue::SetPause(Pause pause) {
  pause_ = pause;
  MarkDirty();
}

bool ReplyQueue::MustHold(const cluster::CommandSpec& spec) const {
  if (HoldsFirst()) return true;
  const bool writes = spec.Has(cluster::kFlagWrite) || spec.Has(cluster::kFlagMayReplicate);
  return pause_ == Pause::kWrites && writes;
}

void ReplyQueue::ForgetPart(const Request* part) { held_bytes_ -= part->ReplyBytes(); }

void ReplyQueue::MarkBroken() {
  broken_ = true;
  MarkDirty();
}

void ReplyQueue::Stall(Stallable* link, size_t resume_at_bytes) {
  if (link->IsLinked()) return;
  link->stalled_by = this;
  link->stalled_since_ns = resources_.io.NowNs();
  link->resume_at_bytes = resume_at_bytes;
  stalled_.PushBack(link);
}

void ReplyQueue::ResumeStalled() {
  // There is one at most: only the reply at the front streams.
  while (Stallable* link = stalled_.Front()) {
    if (output_.bytes() > link->resume_at_bytes) return;
    stalled_.PopFront();
    link->ResumeAfterStall();
  }
}

size_t ReplyQueue::BytesHeld() const {
  const auto held = [](const Request* r) { return r->pieces.bytes() + r->bytes.size(); };
  size_t bytes = output_.bytes();
  for (const Request* r = requests_.Front(); r != nullptr; r = requests_.Next(r)) {
    bytes += held(r);
    if (!r->is_split) continue;
    for (const Request* part : r->split->parts) bytes += held(part);
  }
  return bytes;
}

void ReplyQueue::CheckInvariants() const {
  output_.CheckInvariants();
  uint32_t count = 0;
  uint32_t epoch = 0;
  for (const Request* r = requests_.Front(); r != nullptr; r = requests_.Next(r)) {
    ++count;
    CHECK_GE(r->epoch, epoch);
    epoch = r->epoch;
    CHECK(r->sink == Request::Sink::kClient || r->sink == Request::Sink::kMuted);
    CHECK(r->replies == this);
  }
  CHECK_EQ(count, size_);
  CHECK(size_ == 0 || Front()->state != Request::State::kAnswered);
}

ReplyQueue* ClientOf(const Request* request) {
  switch (request->sink) {
    case Request::Sink::kClient:
    case Request::Sink::kMuted:
      return request->replies;
    case Request::Sink::kPart:
      return request->split_parent->parent->replies;
    case Request::Sink::kInternal:
    case Request::Sink::kDiscard:
    case Request::Sink::kIgnore:
      return nullptr;
  }
  return nullptr;
}

void DeliverReply(Resources& resources, Request* request, Chunk* chunk, std::string_view rest) {
  switch (request->sink) {
    case Request::Sink::kClient:
      request->replies->Answer(request, chunk, rest);
      return;
    case Request::Sink::kMuted:
      request->replies->AnswerMuted(request);
      return;
    case Request::Sink::kPart:
      AnswerPart(resources, request, chunk, rest);
      return;
    case Request::Sink::kInternal: {
      InternalReply* internal = request->internal;
      if (!request->pieces.empty()) {
        HoldInOnePiece(resources, request, chunk, rest);
        rest = request->bytes.view();
      }
      internal->OnReply(rest);
      resources.FreeRequest(request);
      return;
    }
    case Request::Sink::kDiscard:
      resources.stats.replies_discarded.Add();
      resources.FreeRequest(request);
      return;
    case Request::Sink::kIgnore:
      resources.FreeRequest(request);
      return;
  }
}

void DeliverText(Resources& resources, Request* request, std::string_view text) {
  Staging::Block block = resources.client_staging.Take(text.size(), text.size());
  std::copy(text.begin(), text.end(), block.begin);
  const uring::Slice keep = uring::Slice::Adopt(block.chunk, block.begin, text.size());
  DeliverReply(resources, request, block.chunk, keep.view());
}

}  // namespace rcproxy::proxy
