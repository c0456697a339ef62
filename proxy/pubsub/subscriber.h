// What one client is subscribed to, and how messages reach it.
//
//   Channel ──< Subscription >── Subscriber ──> MessageOutput
//
// Owner: ClientConnection; PubSub links it to channels and unlinks it. Thread: the worker's.
// Invariant: it is destroyed without subscriptions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/pubsub/message_output.h"
#include "proxy/pubsub/pubsub_text.h"
#include "proxy/reply_queue.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "uring/chunk.h"
#include "uring/intrusive_list.h"

namespace rcproxy::proxy {

struct Channel;
class Subscriber;

struct Subscription : ListLink<struct InChannel>, ListLink<struct InSubscriber> {
  Channel* channel = nullptr;
  Subscriber* subscriber = nullptr;
};

class Subscriber {
 public:
  // All outlive this.
  Subscriber(Resources& resources, ReplyQueue& replies, Session& session)
      : resources_(resources), session_(session), output_(resources, replies) {}
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // `frame` is a message in RESP2, in `chunk`.
  void Deliver(uring::Chunk* chunk, std::string_view frame);
  void ReleaseHeld() { output_.ReleaseHeld(); }

  void Link(Subscription* subscription, ChannelKind kind);
  void Unlink(Subscription* subscription, ChannelKind kind);
  const IntrusiveList<Subscription, InSubscriber>& list(ChannelKind kind) const {
    return lists_[static_cast<size_t>(kind)];
  }
  size_t count(ChannelKind kind) const { return counts()[static_cast<size_t>(kind)]; }
  // As confirmations of `kind` count: channels and patterns together, shard channels alone.
  size_t CountFor(ChannelKind kind) const;
  size_t total() const { return counts()[0] + counts()[1] + counts()[2]; }
  // In RESP2 messages could be taken for replies: few commands are allowed.
  bool IsRestricted() const { return total() > 0 && session_.protocol == resp::Protocol::kResp2; }

 private:
  SubscriptionCounts& counts() const { return session_.Extras().subscriptions; }  // By ChannelKind.

  Resources& resources_;
  Session& session_;
  MessageOutput output_;
  std::array<IntrusiveList<Subscription, InSubscriber>, kChannelKinds> lists_;
};

}  // namespace rcproxy::proxy
