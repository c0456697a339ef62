// A client's SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE: waits until a node has confirmed every channel,
// then makes the client their subscriber and gives it all confirmations at once.
//
// Owner: the SplitState of its request. Thread: the worker's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/operation.h"
#include "proxy/pubsub/pubsub.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class SubscribeOperation final : public Operation {
 public:
  // Words of `command` from the second on are names. All outlive this.
  SubscribeOperation(PubSub& pubsub, Subscriber* subscriber, ChannelKind kind,
                     const resp::CommandView& command, resp::Protocol protocol);
  ~SubscribeOperation() override;

  void Next(std::span<const std::string_view> answers, Round* round) override;

  // One of its channels is settled, or will not be: `error`, a complete reply, is not empty then.
  // May destroy this.
  void OnSettled(std::string_view error);

 private:
  void Begin(Round* round);
  std::string Confirm();

  PubSub& pubsub_;
  Subscriber* const subscriber_;
  const ChannelKind kind_;
  const resp::Protocol protocol_;
  std::vector<std::string> names_;
  std::vector<Channel*> channels_;  // Held.
  size_t unsettled_ = 0;
  uint64_t wait_id_ = 0;
  std::string error_;
  uring::Timer deadline_;
};

}  // namespace rcproxy::proxy
