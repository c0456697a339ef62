#include "proxy/pubsub/pubsub_text.h"

#include <algorithm>

#include "resp/number.h"

namespace rcproxy::proxy {

namespace {

constexpr std::string_view kKeyspace = "__keyspace@";
constexpr std::string_view kKeyevent = "__keyevent@";

// Takes a bulk string off the front of `rest`. False when there is none.
bool TakeBulk(std::string_view* rest, std::string_view* text) {
  if (!rest->starts_with('$')) return false;
  const size_t line_end = rest->find("\r\n");
  int64_t size = 0;
  if (line_end == std::string_view::npos ||
      !resp::ParseStrictInteger(rest->substr(1, line_end - 1), &size) || size < 0)
    return false;
  const auto begin = line_end + 2;
  const auto length = static_cast<size_t>(size);
  if (rest->size() < begin + length + 2) return false;
  *text = rest->substr(begin, length);
  rest->remove_prefix(begin + length + 2);
  return true;
}

}  // namespace

std::string_view SubscribeWord(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kChannel:
      return "subscribe";
    case ChannelKind::kPattern:
      return "psubscribe";
    case ChannelKind::kShard:
      return "ssubscribe";
  }
  return "";
}

std::string_view UnsubscribeWord(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kChannel:
      return "unsubscribe";
    case ChannelKind::kPattern:
      return "punsubscribe";
    case ChannelKind::kShard:
      return "sunsubscribe";
  }
  return "";
}

SubscriptionFrame ParseSubscriptionFrame(std::string_view frame) {
  using Type = SubscriptionFrame::Type;
  SubscriptionFrame parsed;
  if (!frame.starts_with('*')) return parsed;
  std::string_view rest = frame;
  rest.remove_prefix(std::min(rest.size(), rest.find("\r\n") + 2));
  std::string_view word;
  if (!TakeBulk(&rest, &word) || !TakeBulk(&rest, &parsed.name)) return parsed;
  parsed.channel = parsed.name;
  if (word == "message") {
    parsed.type = Type::kMessage;
  } else if (word == "smessage") {
    parsed.type = Type::kMessage;
    parsed.kind = ChannelKind::kShard;
  } else if (word == "pmessage" && TakeBulk(&rest, &parsed.channel)) {
    parsed.type = Type::kMessage;
    parsed.kind = ChannelKind::kPattern;
  } else if (word == UnsubscribeWord(ChannelKind::kShard)) {
    parsed.type = Type::kShardUnsubscribed;
    parsed.kind = ChannelKind::kShard;
  }
  return parsed;
}

void AppendConfirmation(std::string* reply, resp::Protocol protocol, std::string_view word,
                        const std::string_view* name, size_t count) {
  resp::AppendPushHeader(reply, protocol, 3);
  resp::AppendBulk(reply, word);
  if (name != nullptr) {
    resp::AppendBulk(reply, *name);
  } else {
    resp::AppendNull(reply, protocol);
  }
  resp::AppendInteger(reply, static_cast<int64_t>(count));
}

bool IsKeyspaceChannel(std::string_view channel) {
  return channel.starts_with(kKeyspace) || channel.starts_with(kKeyevent);
}

bool MayMatchKeyspaceChannel(std::string_view pattern) {
  const std::string_view literal = pattern.substr(0, pattern.find_first_of("*?[\\"));
  const auto may_begin = [&](std::string_view word) {
    const size_t common = std::min(word.size(), literal.size());
    const bool whole = literal.size() == pattern.size();
    if (whole && literal.size() < word.size()) return false;
    return word.substr(0, common) == literal.substr(0, common);
  };
  return may_begin(kKeyspace) || may_begin(kKeyevent);
}

}  // namespace rcproxy::proxy
