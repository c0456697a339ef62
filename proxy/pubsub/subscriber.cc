#include "proxy/pubsub/subscriber.h"

namespace rcproxy::proxy {

using uring::Chunk;

namespace {

constexpr std::string_view kPush = ">";

}  // namespace

void Subscriber::Deliver(Chunk* chunk, std::string_view frame) {
  const bool in_resp3 = session_.protocol == resp::Protocol::kResp3;
  const bool sent = in_resp3 ? output_.Send(kPush, chunk, frame.substr(kPush.size()))
                             : output_.Send({}, chunk, frame);
  if (sent) resources_.stats.messages_delivered.Add();
}

void Subscriber::Link(Subscription* subscription, ChannelKind kind) {
  lists_[static_cast<size_t>(kind)].PushBack(subscription);
  ++counts()[static_cast<size_t>(kind)];
}

void Subscriber::Unlink(Subscription* subscription, ChannelKind kind) {
  subscription->ListLink<InSubscriber>::Unlink();
  --counts()[static_cast<size_t>(kind)];
}

size_t Subscriber::CountFor(ChannelKind kind) const {
  if (kind == ChannelKind::kShard) return count(kind);
  return count(ChannelKind::kChannel) + count(ChannelKind::kPattern);
}

}  // namespace rcproxy::proxy
