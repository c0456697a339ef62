// The words of pub/sub: what a node says on a connection with subscriptions, what a client is told
// in reply, and which names mean events of single nodes. Pure; any thread.
//
// Sources: redis.io/docs/latest/develop/pubsub, .../keyspace-notifications.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "resp/writer.h"

namespace rcproxy::proxy {

enum class ChannelKind : uint8_t { kChannel, kPattern, kShard };
inline constexpr size_t kChannelKinds = 3;

// "subscribe", "psubscribe", "ssubscribe".
std::string_view SubscribeWord(ChannelKind kind);
std::string_view UnsubscribeWord(ChannelKind kind);

struct SubscriptionFrame {
  enum class Type : uint8_t {
    kMessage,
    kShardUnsubscribed,  // The answer to SUNSUBSCRIBE, or the slot has left the node.
    kReply,              // Anything else answers what was asked.
  };
  Type type = Type::kReply;
  ChannelKind kind = ChannelKind::kChannel;
  std::string_view name;     // Subscribed to: a channel or a pattern.
  std::string_view channel;  // kMessage: where it was published.
};
// `frame` is one complete reply in RESP2; the views lie in it.
SubscriptionFrame ParseSubscriptionFrame(std::string_view frame);

// What a client is told: `word` of SubscribeWord or UnsubscribeWord, the channel, and how many it
// has now. `name` nullptr: there was none to leave.
void AppendConfirmation(std::string* reply, resp::Protocol protocol, std::string_view word,
                        const std::string_view* name, size_t count);

// Events of keys are published by the node that has the key, to its own clients alone.
bool IsKeyspaceChannel(std::string_view channel);
bool MayMatchKeyspaceChannel(std::string_view pattern);

}  // namespace rcproxy::proxy
