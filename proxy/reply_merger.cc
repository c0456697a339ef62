#include "proxy/reply_merger.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/errors.h"
#include "proxy/request.h"
#include "proxy/text.h"
#include "resp/reply_scanner.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::Merge;

namespace {

std::string_view ReplyOf(const Request* part) {
  CHECK(part->pieces.empty());
  return part->bytes.view();
}

bool IsError(std::string_view reply) { return reply.front() == '-' || reply.front() == '!'; }

const Request* FirstFailed(const SplitState& split) {
  for (const Request* part : split.parts) {
    if (IsError(ReplyOf(part))) return part;
  }
  return nullptr;
}

void AppendInteger(int64_t value, OutputQueue* output) {
  char text[32];
  output->Append({text, resp::WriteInteger(text, value)});
}

void MergeSum(const SplitState& split, OutputQueue* output) {
  int64_t sum = 0;
  for (const Request* part : split.parts) {
    int64_t value = 0;
    if (!resp::ParseIntegerReply(ReplyOf(part), &value) ||
        __builtin_add_overflow(sum, value, &sum)) {
      output->Append(kErrorUnexpectedPart);
      return;
    }
  }
  AppendInteger(sum, output);
}

// True when each part is an array of as many elements as it was sent keys; then sets `rest` to what
// follows the headers.
bool OpenArrays(const SplitState& split, std::vector<std::string_view>* rest) {
  static thread_local std::vector<int64_t> counts;
  counts.assign(split.parts.size(), 0);
  for (const uint32_t part : split.part_of_key) ++counts[part];
  rest->clear();
  for (size_t i = 0; i < split.parts.size(); ++i) {
    const std::string_view reply = ReplyOf(split.parts[i]);
    const resp::AggregateHeader header = resp::ParseAggregateHeader(reply);
    if (header.type != '*' || header.count != counts[i]) return false;
    rest->push_back(reply.substr(header.header_bytes));
  }
  return true;
}

// Walks each part's array in step with the keys: key i takes the next element of the part it was
// sent in.
void MergeKeyOrder(const SplitState& split, OutputQueue* output) {
  static thread_local std::vector<std::string_view>
      rest;  // Keeps its capacity: no allocation per command.
  if (!OpenArrays(split, &rest)) return output->Append(kErrorUnexpectedPart);
  char text[32];
  output->Append({text, resp::WriteArrayHeader(text, split.part_of_key.size())});
  resp::ReplyScanner scanner;
  for (const uint32_t part : split.part_of_key) {
    const resp::ReplyScanner::Result element = scanner.Scan(rest[part]);
    CHECK(element.status ==
          resp::ReplyScanner::Status::kFrame);  // The whole frame was scanned on arrival.
    output->AppendFrom(split.parts[part]->bytes.chunk(), rest[part].substr(0, element.consumed));
    rest[part].remove_prefix(element.consumed);
  }
}

// LASTSAVE: what all have done is as old as the oldest.
void MergeMin(const SplitState& split, OutputQueue* output) {
  int64_t least = 0;
  for (const Request* part : split.parts) {
    int64_t value = 0;
    if (!resp::ParseIntegerReply(ReplyOf(part), &value))
      return output->Append(kErrorUnexpectedPart);
    least = part == split.parts.front() ? value : std::min(least, value);
  }
  AppendInteger(least, output);
}

// KEYS: the elements of all parts behind one header of the parts' type.
void MergeConcat(const SplitState& split, OutputQueue* output) {
  int64_t count = 0;
  char type = '\0';
  for (const Request* part : split.parts) {
    const resp::AggregateHeader header = resp::ParseAggregateHeader(ReplyOf(part));
    const bool fits = type == '\0' || header.type == type;
    if (header.count < 0 || !fits) return output->Append(kErrorUnexpectedPart);
    type = header.type;
    count += header.count;
  }
  char text[32];
  const size_t size = resp::WriteArrayHeader(text, count);
  text[0] = type;
  output->Append({text, size});
  for (const Request* part : split.parts) {
    const std::string_view reply = ReplyOf(part);
    output->AppendFrom(part->bytes.chunk(),
                       reply.substr(resp::ParseAggregateHeader(reply).header_bytes));
  }
}

// SCRIPT EXISTS: one for each script that every part has.
void MergeAnd(const SplitState& split, OutputQueue* output) {
  std::vector<bool> all;
  for (const Request* part : split.parts) {
    std::string_view rest = ReplyOf(part);
    const resp::AggregateHeader header = resp::ParseAggregateHeader(rest);
    if (part == split.parts.front()) all.assign(std::max<int64_t>(header.count, 0), true);
    if (header.type != '*' || header.count != static_cast<int64_t>(all.size()))
      return output->Append(kErrorUnexpectedPart);
    rest.remove_prefix(header.header_bytes);
    resp::ReplyScanner scanner;
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t size = scanner.Scan(rest).consumed;
      int64_t value = 0;
      if (!resp::ParseIntegerReply(rest.substr(0, size), &value))
        return output->Append(kErrorUnexpectedPart);
      if (value == 0) all[i] = false;
      rest.remove_prefix(size);
    }
  }
  char text[32];
  output->Append({text, resp::WriteArrayHeader(text, all.size())});
  for (const bool value : all) AppendInteger(value ? 1 : 0, output);
}

void MergeFailure(const SplitState& split, std::string_view error, OutputQueue* output) {
  if (!split.parent->spec->Has(cluster::kFlagWrite)) return output->Append(error);
  std::vector<std::string_view> replies;
  for (const Request* part : split.parts) replies.push_back(ReplyOf(part));
  output->Append(WriteFailure(error, replies));
}

}  // namespace

std::string WriteFailure(std::string_view error, std::span<const std::string_view> replies) {
  const auto done =
      std::ranges::count_if(replies, [](std::string_view reply) { return !IsError(reply); });
  if (done == 0 || error.front() != '-') return std::string(error);
  const auto unknown = std::ranges::count(replies, kErrorOutcomeUnknown);
  const auto failed = static_cast<int64_t>(replies.size()) - done - unknown;
  error.remove_suffix(2);
  return Concat(error, " (a part: of ", replies.size(), " parts ", done, " done, ", failed,
                " failed, ", unknown, " unknown)\r\n");
}

void MergeReplies(Resources&, const SplitState& split, OutputQueue* output) {
  if (const Request* failed = FirstFailed(split)) {
    return MergeFailure(split, ReplyOf(failed), output);
  }
  switch (split.merge) {
    case Merge::kSum:
      return MergeSum(split, output);
    case Merge::kKeyOrder:
      return MergeKeyOrder(split, output);
    case Merge::kAllOk:
    case Merge::kFirst:
    case Merge::kNone:
      return output->Append(ReplyOf(split.parts.front()));
    case Merge::kConcat:
      return MergeConcat(split, output);
    case Merge::kMin:
      return MergeMin(split, output);
    case Merge::kAnd:
      return MergeAnd(split, output);
    case Merge::kSpecial:
      return output->Append(kErrorUnexpectedPart);  // An operation's work.
  }
}

void FreeSplit(Resources& resources, SplitState* split) {
  for (Request* part : split->parts) {
    if (part->state == Request::State::kAnswered) {
      resources.FreeRequest(part);
    } else {
      part->sink = Request::Sink::kDiscard;
      part->replies = nullptr;
      ++resources.requests_given_up;
    }
  }
  for (UpstreamConnection* link : split->own_links) resources.operations->OnAbandoned(link);
  split->own_links.clear();
  split->parts.clear();
  split->part_of_key.clear();
  split->targets.clear();
  split->held = nullptr;
  split->operation.reset();
  split->joined.reset();
  if (split->wait_id != 0) resources.waiting_operations.erase(split->wait_id);
  split->wait_id = 0;
  split->pending = 0;
  resources.splits.Recycle(split);
}

}  // namespace rcproxy::proxy
