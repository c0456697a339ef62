// Subscriptions of all clients of one worker: one at the nodes for each channel, however many
// clients share it.
//
//   SUBSCRIBE -> SubscribeOperation -> Channel -> SUBSCRIBE at its node(s), on the connection that
//     the node has for subscriptions -> confirmed -> the client's confirmations
//   message -> Channel -> each Subscriber's output, the bytes as the node wrote them
//
// A client is told that it is subscribed only when a node has said so. A connection that is lost, a
// slot that moves, a primary that joins: the channels concerned are unsettled and asked for where
// they should be now, until a node confirms; the old subscription ends after that. What was
// published meanwhile is lost, and counted (subscriptions_interrupted). A node that is silent is
// found by a PING per --subscription_ping_interval.
//
// Owner: Worker. Thread: the worker's.
// Invariants: 1. a message is delivered once to each subscription, except for what somebody
// publishes to the name of an event of keys, which each primary tells; 2. no client hears of a
// channel before its confirmation, or after the one of leaving. Per message: one look-up by name;
// per client: one append.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/operation.h"
#include "proxy/pubsub/channel.h"
#include "proxy/pubsub/channel_use.h"
#include "proxy/pubsub/subscriber.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_connection.h"
#include "resp/command_view.h"
#include "uring/object_pool.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class PubSub final : public SubscriptionSink {
 public:
  // `worker` spreads the workers over the nodes. All outlive this.
  PubSub(Resources& resources, RoutingTable& table, Router& router, TopologySource& topology,
         int worker);
  ~PubSub();  // Requires: no subscriber.

  // SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE of a client. `subscriber` outlives the operation.
  std::unique_ptr<Operation> Subscribe(Subscriber* subscriber, ChannelKind kind,
                                       const resp::CommandView& command, resp::Protocol protocol);
  // UNSUBSCRIBE and its kind: ends what `command` names, or all of the kind, and appends the
  // confirmations.
  void Unsubscribe(Subscriber* subscriber, ChannelKind kind, const resp::CommandView& command,
                   resp::Protocol protocol, std::string* reply);
  // Its client leaves.
  void UnsubscribeAll(Subscriber* subscriber);

  // What there is of the channels named, or of all of the kind.
  std::vector<ChannelUse> Uses(ChannelKind kind, const std::vector<std::string>& names);

  // To be called before nodes that have left are forgotten.
  void OnTopologyChanged();

  // SubscriptionSink
  bool OnFrame(UpstreamConnection* link, uring::Chunk* chunk, std::string_view frame,
               const Request* awaited) override;
  void OnClosed(UpstreamConnection* link) override;

 private:
  friend class SubscribeOperation;
  friend class SubscriptionQuestion;
  using Channels = std::unordered_map<std::string_view, std::unique_ptr<Channel>>;

  // For SubscribeOperation.
  Channel* Hold(ChannelKind kind, std::string_view name);
  void Release(Channel* channel);
  void Add(Subscriber* subscriber, Channel* channel);
  // For SubscriptionQuestion.
  void OnConfirmed(Channel* channel, UpstreamNode* node);
  void OnRefused(Channel* channel, UpstreamNode* node, std::string_view error);
  void OnQuestionLost(Channel* channel, UpstreamNode* node);

  Channels& ChannelsOf(ChannelKind kind) { return channels_[static_cast<size_t>(kind)]; }
  Channel* Find(ChannelKind kind, std::string_view name);
  static Subscription* FindSubscription(const Subscriber& subscriber, const Channel& channel);
  void Remove(Subscription* subscription);
  void RemoveIfUnused(Channel* channel);
  void Deliver(const UpstreamNode& node, const SubscriptionFrame& message, uring::Chunk* chunk,
               std::string_view frame);
  void Settle(Channel* channel);
  void SettleAll();
  void Unsettle(Channel* channel, int64_t delay_ns);
  void WhereToAsk(const Channel& channel, std::vector<UpstreamNode*>* nodes);
  UpstreamNode* Home();
  void Choose(Channel* channel);
  void EndFeedsOutside(Channel* channel, const std::vector<UpstreamNode*>& nodes);
  void DropFeed(Channel* channel, const UpstreamNode* node);
  void EndFeed(const Channel::Feed& feed, const Channel& channel);
  void OnSlotLeft(const UpstreamNode& node, std::string_view name);
  void TellWaiters(Channel* channel, std::string_view error);
  SubscriptionQuestion* Ask(UpstreamNode* node, Channel* channel);
  void Send(UpstreamNode* node, std::string_view command, InternalReply* reply);
  void ArmPing();
  void PingNodes();

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  TopologySource& topology_;
  std::array<Channels, kChannelKinds> channels_;
  IntrusiveList<Channel, InUnsettled> unsettled_;
  ObjectPool<Subscription> subscriptions_;
  UpstreamNode* home_ = nullptr;  // Hears what is not bound to a node.
  size_t next_home_;
  // Nodes whose connection for subscriptions is in use or has been: how many feeds it has.
  std::unordered_map<UpstreamNode*, size_t> nodes_;
  std::vector<UpstreamNode*> wanted_;  // Scratch.
  IgnoredReply ignored_;
  uring::Timer settle_timer_;
  uring::Timer ping_timer_;
};

}  // namespace rcproxy::proxy
