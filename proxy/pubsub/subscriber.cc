#include "proxy/pubsub/subscriber.h"

#include <string>

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

namespace {

constexpr std::string_view kPush = ">";

}  // namespace

void Subscriber::Deliver(Chunk* chunk, std::string_view frame) {
  if (replies_.broken()) return;
  resources_.stats.messages_delivered.Add();
  if (!replies_.MayInterject() || !held_.empty()) {
    Hold(chunk, frame);
  } else if (session_.protocol == resp::Protocol::kResp3) {
    replies_.output().Append(kPush);
    replies_.Interject(chunk, frame.substr(kPush.size()));
  } else {
    replies_.Interject(chunk, frame);
  }
  CheckLimits();
}

void Subscriber::Hold(Chunk* chunk, std::string_view frame) {
  if (session_.protocol == resp::Protocol::kResp3) {
    const Staging::Block block = resources_.client_staging.Take(kPush.size(), kPush.size());
    *block.begin = kPush.front();
    held_.Add(resources_.segments, block.chunk, {block.begin, kPush.size()});
    frame.remove_prefix(kPush.size());
  }
  ChunkPool::Ref(chunk);
  held_.Add(resources_.segments, chunk, frame);
}

void Subscriber::ReleaseHeld() {
  if (held_.empty() || !replies_.MayInterject()) return;
  replies_.output().TakeAll(&held_);
}

void Subscriber::CheckLimits() {
  const Config& config = resources_.config;
  const size_t waiting = replies_.bytes() + held_.bytes();
  if (waiting <= config.subscriber_output_soft_bytes) {
    above_soft_since_ns_ = 0;
    return;
  }
  const int64_t now_ns = resources_.io.NowNs();
  if (above_soft_since_ns_ == 0) above_soft_since_ns_ = now_ns;
  const int64_t soft_limit_ns = config.subscriber_output_soft_s * 1'000'000'000;
  if (waiting <= config.subscriber_output_hard_bytes &&
      now_ns - above_soft_since_ns_ <= soft_limit_ns)
    return;
  resources_.stats.subscribers_closed_output_limit.Add();
  replies_.MarkBroken();
}

void Subscriber::Link(Subscription* subscription, ChannelKind kind) {
  lists_[static_cast<size_t>(kind)].PushBack(subscription);
  ++counts_[static_cast<size_t>(kind)];
}

void Subscriber::Unlink(Subscription* subscription, ChannelKind kind) {
  subscription->ListLink<InSubscriber>::Unlink();
  --counts_[static_cast<size_t>(kind)];
}

size_t Subscriber::CountFor(ChannelKind kind) const {
  if (kind == ChannelKind::kShard) return count(kind);
  return count(ChannelKind::kChannel) + count(ChannelKind::kPattern);
}

}  // namespace rcproxy::proxy
