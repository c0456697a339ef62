// What one worker has to do with a channel, as it tells the worker that answers PUBSUB: how many
// clients, and at which nodes it is subscribed for them.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {

struct ChannelUse {
  std::string name;
  uint64_t subscribers = 0;
  std::vector<std::string> feeds;  // Addresses of nodes that have confirmed.

  bool IsFedBy(std::string_view node) const;
};

std::string EncodeChannelUses(std::span<const ChannelUse> uses);
// Of all workers, one after another. An answer is empty when its worker is stopping.
std::vector<ChannelUse> DecodeChannelUses(std::span<const std::string_view> answers);

}  // namespace rcproxy::proxy
