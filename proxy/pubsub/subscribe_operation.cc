#include "proxy/pubsub/subscribe_operation.h"

#include <algorithm>

#include "proxy/errors.h"

namespace rcproxy::proxy {

SubscribeOperation::SubscribeOperation(PubSub& pubsub, Subscriber* subscriber, ChannelKind kind,
                                       const resp::CommandView& command, resp::Protocol protocol)
    : pubsub_(pubsub),
      subscriber_(subscriber),
      kind_(kind),
      protocol_(protocol),
      deadline_(
          pubsub.resources_.timers,
          [](void* self) { static_cast<SubscribeOperation*>(self)->OnSettled(kErrorUnreachable); },
          this) {
  for (size_t i = 1; i < command.size(); ++i) names_.emplace_back(command[i]);
}

SubscribeOperation::~SubscribeOperation() {
  for (Channel* channel : channels_) {
    std::erase(channel->waiters, this);
    pubsub_.Release(channel);
  }
}

void SubscribeOperation::Next(std::span<const std::string_view>, Round* round) {
  if (channels_.empty()) Begin(round);
  if (!error_.empty()) return round->Finish(error_);
  if (unsettled_ == 0) round->Finish(Confirm());
}

void SubscribeOperation::Begin(Round* round) {
  const Config& config = pubsub_.resources_.config;
  if (subscriber_->total() + names_.size() > config.subscriptions_per_client_max) {
    pubsub_.resources_.stats.errors_subscriptions.Add();
    error_ = kErrorSubscriptions;
    return;
  }
  for (const std::string& name : names_) channels_.push_back(pubsub_.Hold(kind_, name));
  for (Channel* channel : channels_) {
    if (channel->IsSettled()) continue;
    channel->waiters.push_back(this);
    ++unsettled_;
  }
  if (unsettled_ == 0) return;
  wait_id_ = round->Wait();
  deadline_.Arm(round->now_ns() + config.request_timeout_ms * 1'000'000);
}

void SubscribeOperation::OnSettled(std::string_view error) {
  error_ = error;
  if (!error.empty() || --unsettled_ == 0) pubsub_.router_.Resume(wait_id_, {});
}

std::string SubscribeOperation::Confirm() {
  std::string reply;
  for (size_t i = 0; i < channels_.size(); ++i) {
    const std::string_view name = names_[i];
    pubsub_.Add(subscriber_, channels_[i]);
    AppendConfirmation(&reply, protocol_, SubscribeWord(kind_), &name,
                       subscriber_->CountFor(kind_));
  }
  return reply;
}

}  // namespace rcproxy::proxy
