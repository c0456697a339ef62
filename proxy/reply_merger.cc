#include "proxy/reply_merger.h"

#include <glog/logging.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/errors.h"
#include "proxy/request.h"
#include "resp/reply_scanner.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::Merge;

namespace {

std::string_view ReplyOf(const Request* part) {
  const Segment* segment = part->reply.head();
  CHECK(segment != nullptr && segment->next == nullptr);
  return {segment->begin, segment->size()};
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
    output->AppendFrom(split.parts[part]->reply.head()->chunk,
                       rest[part].substr(0, element.consumed));
    rest[part].remove_prefix(element.consumed);
  }
}

}  // namespace

void MergeReplies(Resources&, const SplitState& split, OutputQueue* output) {
  if (const Request* failed = FirstFailed(split)) {
    output->Append(ReplyOf(failed));
    return;
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
    case Merge::kMin:
    case Merge::kAnd:
    case Merge::kSpecial:
      return output->Append(
          kErrorUnexpectedPart);  // The router splits no command with these rules.
  }
}

void FreeSplit(Resources& resources, SplitState* split) {
  for (Request* part : split->parts) {
    if (part->state == Request::State::kAnswered) {
      resources.FreeRequest(part);
    } else {
      part->sink = Request::Sink::kDiscard;
      part->replies = nullptr;
    }
  }
  split->parts.clear();
  split->part_of_key.clear();
  split->pending = 0;
  resources.splits.Recycle(split);
}

}  // namespace rcproxy::proxy
