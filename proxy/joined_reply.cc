#include "proxy/joined_reply.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/errors.h"
#include "proxy/output_queue.h"
#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/split_state.h"
#include "resp/number.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

namespace {

// The first bytes of `pieces`, enough for a header.
std::string_view FirstBytes(const SegmentList& pieces, char (&text)[resp::kHeaderBytesMax]) {
  char* end = text;
  for (const Segment* s = pieces.head(); s != nullptr; s = s->next) {
    end = std::copy_n(s->begin, std::min<size_t>(s->size(), std::end(text) - end), end);
  }
  return {text, static_cast<size_t>(end - text)};
}

// What is answered when `reply` is not an array.
std::string ErrorIn(const SegmentList& reply) {
  std::string text;
  for (const Segment* s = reply.head(); s != nullptr; s = s->next) text.append(s->begin, s->end);
  const bool is_error = text.starts_with('-') || text.starts_with('!');
  return is_error ? text : std::string(kErrorUnexpectedPart);
}

}  // namespace

size_t JoinedReply::IndexOf(const Request* part) const {
  return std::ranges::find(split_.parts, part) - split_.parts.begin();
}

bool JoinedReply::IsWanted() const { return split_.parent->sink == Request::Sink::kClient; }

// Nothing changes when `begin` does not have a whole header of an array.
void JoinedReply::ReadHeader(std::string_view begin, Progress* progress) {
  const size_t line_end = begin.find("\r\n");
  if (line_end == std::string_view::npos || !begin.starts_with('*')) return;
  int64_t count = 0;
  if (!resp::ParseStrictInteger(begin.substr(1, line_end - 1), &count) || count < 0) return;
  progress->count = count;
  progress->header_left = line_end + 2;
}

bool JoinedReply::KnowsAllCounts() const {
  return std::ranges::none_of(progress_, [](const Progress& p) { return p.count == kUnknown; });
}

JoinedReply::Taken JoinedReply::Take(const Request* part, SegmentList* arrived, TurnTaker* link) {
  const size_t index = IndexOf(part);
  Progress& progress = progress_[index];
  if (progress.count == kUnknown) {
    char text[resp::kHeaderBytesMax];
    ReadHeader(FirstBytes(*arrived, text), &progress);
    if (progress.count == kUnknown) return Taken::kNotYet;
  }
  if (!IsWanted()) {
    arrived->Clear(resources_.segments);
    return Taken::kAll;
  }
  if (!has_begun_ && KnowsAllCounts()) Begin();
  if (!has_begun_ || index != turn_) {
    progress.waiting = link;
    return Taken::kWait;
  }
  Send(arrived, &progress);
  return Taken::kAll;
}

// From here on the parts are not asked again, and no message goes between.
void JoinedReply::Begin() {
  has_begun_ = true;
  split_.parent->streaming = true;
  int64_t count = 0;
  for (const Progress& progress : progress_) count += progress.count;
  char text[resp::kHeaderBytesMax];
  split_.parent->replies->output().Append({text, resp::WriteArrayHeader(text, count)});
  Advance();
}

void JoinedReply::Send(SegmentList* arrived, Progress* progress) {
  const size_t dropped = std::min(progress->header_left, arrived->bytes());
  arrived->DropFront(resources_.segments, dropped);
  progress->header_left -= dropped;
  ReplyQueue& client = *split_.parent->replies;
  client.output().TakeAll(arrived);
  resources_.MarkDirty(resources_.dirty_clients, client.connection());
}

bool JoinedReply::Complete(Request* part, Chunk* chunk, std::string_view rest) {
  ChunkPool::Ref(chunk);
  part->pieces.Add(resources_.segments, chunk, rest);
  part->bytes.Clear();  // The command.
  Progress& progress = progress_[IndexOf(part)];
  if (progress.count == kUnknown) {
    char text[resp::kHeaderBytesMax];
    ReadHeader(FirstBytes(part->pieces, text), &progress);
  }
  if (progress.count == kUnknown) error_ = ErrorIn(part->pieces);
  if (!IsWanted()) part->pieces.Clear(resources_.segments);
  progress.waiting = nullptr;
  progress.complete = true;
  part->state = Request::State::kAnswered;
  --split_.pending;
  split_.parent->replies->OnPartAnswered(part->ReplyBytes());
  if (!error_.empty()) return true;
  if (IsWanted() && (has_begun_ || KnowsAllCounts())) has_begun_ ? Advance() : Begin();
  return split_.pending == 0;
}

// Sends the parts that are complete until one is not, whose connection goes on.
void JoinedReply::Advance() {
  for (; turn_ < progress_.size(); ++turn_) {
    Progress& progress = progress_[turn_];
    if (!progress.complete) {
      if (TurnTaker* link = std::exchange(progress.waiting, nullptr)) link->TakeTurn();
      return;
    }
    Request* part = split_.parts[turn_];
    split_.parent->replies->ForgetPart(part);
    Send(&part->pieces, &progress);
  }
}

bool JoinedReply::Lose(Request* part) {
  Progress& progress = progress_[IndexOf(part)];
  progress = {};
  if (!has_begun_) return false;
  part->state = Request::State::kAnswered;
  part->bytes.Clear();
  ReplyQueue& client = *split_.parent->replies;
  if (!client.broken()) resources_.stats.clients_closed_partial_reply.Add();
  client.MarkBroken();
  return true;
}

}  // namespace rcproxy::proxy
