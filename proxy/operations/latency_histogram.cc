#include "proxy/operations/latency_histogram.h"

#include <cstddef>
#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "proxy/errors.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using resp::Value;

// Unsigned, so that what a node makes up cannot overflow.
struct Histogram {
  uint64_t calls = 0;
  std::map<int64_t, uint64_t> calls_by_time;  // By the upper end of a bucket, in microseconds.
};

bool IsMap(const Value& value) {
  const bool is_list = value.type == Value::Type::kMap || value.type == Value::Type::kArray;
  return is_list && value.elements.size() % 2 == 0;
}

// The server counts the calls up to a time; what is added up are those of each bucket.
bool AddOne(const Value& description, Histogram* sum) {
  if (!IsMap(description)) return false;
  const Value* const calls = description.Find("calls");
  const Value* const times = description.Find("histogram_usec");
  if (calls == nullptr || times == nullptr || !IsMap(*times)) return false;
  sum->calls += static_cast<uint64_t>(calls->integer);
  uint64_t before = 0;
  for (size_t i = 0; i < times->elements.size(); i += 2) {
    const uint64_t up_to = static_cast<uint64_t>(times->elements[i + 1].integer);
    sum->calls_by_time[times->elements[i].integer] += up_to - before;
    before = up_to;
  }
  return true;
}

void Append(const Histogram& histogram, resp::Protocol protocol, std::string* reply) {
  resp::AppendMapHeader(reply, protocol, 2);
  resp::AppendBulk(reply, "calls");
  resp::AppendInteger(reply, static_cast<int64_t>(histogram.calls));
  resp::AppendBulk(reply, "histogram_usec");
  resp::AppendMapHeader(reply, protocol, histogram.calls_by_time.size());
  uint64_t up_to = 0;
  for (const auto& [time, calls] : histogram.calls_by_time) {
    up_to += calls;
    resp::AppendInteger(reply, time);
    resp::AppendInteger(reply, static_cast<int64_t>(up_to));
  }
}

}  // namespace

std::string MergeHistograms(std::span<const std::string_view> replies, resp::Protocol protocol) {
  std::map<std::string, Histogram> by_command;
  for (const std::string_view text : replies) {
    const absl::StatusOr<Value> value = resp::ParseValue(text);
    if (!value.ok() || !IsMap(*value)) return std::string(kErrorUnexpectedPart);
    for (size_t i = 0; i < value->elements.size(); i += 2) {
      if (!AddOne(value->elements[i + 1], &by_command[value->elements[i].text]))
        return std::string(kErrorUnexpectedPart);
    }
  }
  std::string reply;
  resp::AppendMapHeader(&reply, protocol, by_command.size());
  for (const auto& [command, histogram] : by_command) {
    resp::AppendBulk(&reply, command);
    Append(histogram, protocol, &reply);
  }
  return reply;
}

}  // namespace rcproxy::proxy
