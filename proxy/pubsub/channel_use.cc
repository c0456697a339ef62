#include "proxy/pubsub/channel_use.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "resp/value.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

bool ChannelUse::IsFedBy(std::string_view node) const {
  return std::ranges::find(feeds, node) != feeds.end();
}

// A list of [name, subscribers, feed ...].
std::string EncodeChannelUses(std::span<const ChannelUse> uses) {
  std::string text;
  resp::AppendArrayHeader(&text, uses.size());
  for (const ChannelUse& use : uses) {
    resp::AppendArrayHeader(&text, 2 + use.feeds.size());
    resp::AppendBulk(&text, use.name);
    resp::AppendInteger(&text, static_cast<int64_t>(use.subscribers));
    for (const std::string& feed : use.feeds) resp::AppendBulk(&text, feed);
  }
  return text;
}

std::vector<ChannelUse> DecodeChannelUses(std::span<const std::string_view> answers) {
  std::vector<ChannelUse> uses;
  for (const std::string_view answer : answers) {
    const absl::StatusOr<resp::Value> list = resp::ParseValue(answer);
    if (!list.ok()) continue;
    for (const resp::Value& item : list->elements) {
      ChannelUse use{item.elements[0].text, static_cast<uint64_t>(item.elements[1].integer), {}};
      for (size_t i = 2; i < item.elements.size(); ++i) use.feeds.push_back(item.elements[i].text);
      uses.push_back(std::move(use));
    }
  }
  return uses;
}

}  // namespace rcproxy::proxy
