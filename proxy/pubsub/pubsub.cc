#include "proxy/pubsub/pubsub.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "cluster/redirect.h"
#include "proxy/pubsub/subscribe_operation.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using uring::Chunk;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

bool Contains(const std::vector<UpstreamNode*>& nodes, const UpstreamNode* node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

// Whether another node, or the same one later, may take what this one refuses.
bool IsPassing(std::string_view error) {
  return cluster::ParseErrorReply(error).kind != cluster::ErrorKind::kOther;
}

}  // namespace

// Waits for a node's answer to SUBSCRIBE or UNSUBSCRIBE and its kind, also when nobody is
// interested any more. Deletes itself.
class SubscriptionQuestion final : public InternalReply {
 public:
  // `channel` is nullptr for UNSUBSCRIBE.
  SubscriptionQuestion(PubSub& pubsub, UpstreamNode* node, Channel* channel)
      : pubsub_(pubsub), node_(node), channel_(channel) {}

  void Forget() { channel_ = nullptr; }

  // Whether `frame` is what is waited for. A node whose slot leaves ends the subscription in the
  // same words as it answers SUNSUBSCRIBE, and refuses the latter then. So only the answer to the
  // PING behind SUNSUBSCRIBE counts; a refusal of it is the second refusal, or follows an end.
  bool IsAnsweredBy(std::string_view frame) {
    if (!marked_ || !frame.starts_with('-')) return true;
    return std::exchange(has_left_, true) && !IsPassing(frame);
  }
  void SetMarked() { marked_ = true; }
  void NoteLeft() { has_left_ = true; }

  void OnReply(std::string_view reply) override {
    if (channel_ != nullptr) {
      if (reply.starts_with('-')) {
        pubsub_.OnRefused(channel_, node_, reply);
      } else {
        pubsub_.OnConfirmed(channel_, node_);
      }
    }
    delete this;
  }
  void OnLost() override {
    if (channel_ != nullptr) pubsub_.OnQuestionLost(channel_, node_);
    delete this;
  }

 private:
  ~SubscriptionQuestion() = default;

  PubSub& pubsub_;
  UpstreamNode* const node_;
  Channel* channel_;
  bool marked_ = false;    // SUNSUBSCRIBE with a PING behind it.
  bool has_left_ = false;  // The node has said something that may be about SUNSUBSCRIBE.
};

PubSub::PubSub(Resources& resources, RoutingTable& table, Router& router, TopologySource& topology,
               int worker)
    : resources_(resources),
      table_(table),
      router_(router),
      topology_(topology),
      next_home_(static_cast<size_t>(worker)),
      settle_timer_(
          resources.timers, [](void* self) { static_cast<PubSub*>(self)->SettleAll(); }, this),
      ping_timer_(
          resources.timers, [](void* self) { static_cast<PubSub*>(self)->PingNodes(); }, this) {
  resources.subscriptions = this;
}

PubSub::~PubSub() {
  for (const Channels& channels : channels_) CHECK(channels.empty());
}

// ---- clients

std::unique_ptr<Operation> PubSub::Subscribe(Subscriber* subscriber, ChannelKind kind,
                                             const resp::CommandView& command,
                                             resp::Protocol protocol) {
  return std::make_unique<SubscribeOperation>(*this, subscriber, kind, command, protocol);
}

void PubSub::Unsubscribe(Subscriber* subscriber, ChannelKind kind, const resp::CommandView& command,
                         resp::Protocol protocol, std::string* reply) {
  const auto confirm = [&](const std::string_view* name) {
    AppendConfirmation(reply, protocol, UnsubscribeWord(kind), name, subscriber->CountFor(kind));
  };
  for (size_t i = 1; i < command.size(); ++i) {
    const std::string_view name = command[i];
    const Channel* channel = Find(kind, name);
    Subscription* found = channel != nullptr ? FindSubscription(*subscriber, *channel) : nullptr;
    if (found != nullptr) Remove(found);
    confirm(&name);
  }
  if (command.size() > 1) return;
  if (subscriber->count(kind) == 0) return confirm(nullptr);
  while (Subscription* first = subscriber->list(kind).Front()) {
    const std::string name = first->channel->name;
    const std::string_view view = name;
    Remove(first);
    confirm(&view);
  }
}

void PubSub::UnsubscribeAll(Subscriber* subscriber) {
  for (const ChannelKind kind : {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard})
    while (Subscription* first = subscriber->list(kind).Front()) Remove(first);
}

// Walks the shorter of two lists.
Subscription* PubSub::FindSubscription(const Subscriber& subscriber, const Channel& channel) {
  const auto& of_subscriber = subscriber.list(channel.kind);
  const auto& of_channel = channel.subscribers;
  Subscription* a = of_subscriber.Front();
  Subscription* b = of_channel.Front();
  for (; a != nullptr && b != nullptr; a = of_subscriber.Next(a), b = of_channel.Next(b)) {
    if (a->channel == &channel) return a;
    if (b->subscriber == &subscriber) return b;
  }
  return nullptr;
}

void PubSub::Add(Subscriber* subscriber, Channel* channel) {
  if (FindSubscription(*subscriber, *channel) != nullptr) return;
  Subscription* subscription = subscriptions_.New();
  subscription->channel = channel;
  subscription->subscriber = subscriber;
  channel->subscribers.PushBack(subscription);
  subscriber->Link(subscription, channel->kind);
  resources_.stats.subscriptions.Add();
}

void PubSub::Remove(Subscription* subscription) {
  Channel* channel = subscription->channel;
  subscription->ListLink<InChannel>::Unlink();
  subscription->subscriber->Unlink(subscription, channel->kind);
  subscriptions_.Delete(subscription);
  resources_.stats.subscriptions.Sub();
  RemoveIfUnused(channel);
}

namespace {

ChannelUse UseOf(const Channel& channel) {
  ChannelUse use{channel.name, 0, {}};
  const auto& subscribers = channel.subscribers;
  for (const Subscription* s = subscribers.Front(); s != nullptr; s = subscribers.Next(s))
    ++use.subscribers;
  for (const Channel::Feed& feed : channel.feeds) {
    if (feed.question == nullptr) use.feeds.push_back(feed.node->address().ToString());
  }
  return use;
}

}  // namespace

std::vector<ChannelUse> PubSub::Uses(ChannelKind kind, const std::vector<std::string>& names) {
  std::vector<ChannelUse> uses;
  for (const std::string& name : names) {
    if (const Channel* channel = Find(kind, name)) uses.push_back(UseOf(*channel));
  }
  if (!names.empty()) return uses;
  for (const auto& [name, channel] : ChannelsOf(kind)) uses.push_back(UseOf(*channel));
  return uses;
}

// ---- channels

Channel* PubSub::Find(ChannelKind kind, std::string_view name) {
  const auto found = ChannelsOf(kind).find(name);
  return found == ChannelsOf(kind).end() ? nullptr : found->second.get();
}

Channel* PubSub::Hold(ChannelKind kind, std::string_view name) {
  Channel* channel = Find(kind, name);
  if (channel == nullptr) {
    auto made = std::make_unique<Channel>(kind, name);
    channel = made.get();
    ChannelsOf(kind).emplace(channel->name, std::move(made));
    resources_.stats.channels.Add();
    Settle(channel);
  }
  ++channel->holds;
  return channel;
}

void PubSub::Release(Channel* channel) {
  --channel->holds;
  RemoveIfUnused(channel);
}

void PubSub::RemoveIfUnused(Channel* channel) {
  if (!channel->IsUnused()) return;
  EndFeedsOutside(channel, {});
  if (!channel->IsSettled()) channel->ListLink<InUnsettled>::Unlink();
  resources_.stats.channels.Sub();
  ChannelsOf(channel->kind).erase(channel->name);
}

// Asks the nodes that should tell of the channel and do not yet. When all have confirmed, others
// are left.
void PubSub::Settle(Channel* channel) {
  WhereToAsk(*channel, &wanted_);
  bool settled = !wanted_.empty();
  for (UpstreamNode* node : wanted_) {
    if (channel->FeedFrom(node) == nullptr && node->subscription_link().CanAccept()) {
      channel->feeds.push_back({node, nullptr});
      ++nodes_[node];
      channel->feeds.back().question = Ask(node, channel);
    }
    const Channel::Feed* feed = channel->FeedFrom(node);
    settled &= feed != nullptr && feed->question == nullptr;
  }
  if (settled) EndFeedsOutside(channel, wanted_);
  Choose(channel);
  if (!settled) return Unsettle(channel, resources_.config.retry_delay_ms * kNsPerMs);
  if (!channel->IsSettled()) channel->ListLink<InUnsettled>::Unlink();
  TellWaiters(channel, {});
}

void PubSub::Unsettle(Channel* channel, int64_t delay_ns) {
  if (channel->IsSettled()) unsettled_.PushBack(channel);
  const int64_t at_ns = resources_.io.NowNs() + delay_ns;
  if (!settle_timer_.armed() || settle_timer_.deadline_ns() > at_ns) settle_timer_.Arm(at_ns);
}

void PubSub::SettleAll() {
  IntrusiveList<Channel, InUnsettled> unsettled;
  unsettled.TakeAll(&unsettled_);
  // Telling a client may end another channel, which leaves the list then.
  while (Channel* channel = unsettled.PopFront()) {
    unsettled_.PushBack(channel);
    Settle(channel);
  }
}

void PubSub::WhereToAsk(const Channel& channel, std::vector<UpstreamNode*>* nodes) {
  nodes->clear();
  UpstreamNode* node = nullptr;
  switch (channel.placement) {
    case Channel::Placement::kAllPrimaries:
      *nodes = table_.Primaries();
      return;
    case Channel::Placement::kHome:
      node = Home();
      break;
    case Channel::Placement::kSlotOwner:
      node = table_.Find(channel.slot).primary;
      break;
  }
  if (node != nullptr) nodes->push_back(node);
}

UpstreamNode* PubSub::Home() {
  if (home_ != nullptr && !home_->InBackoff()) return home_;
  const std::vector<UpstreamNode*> nodes = table_.Primaries();
  for (size_t tried = 0; tried < nodes.size(); ++tried) {
    UpstreamNode* node = nodes[next_home_++ % nodes.size()];
    if (node->InBackoff()) continue;
    home_ = node;
    return node;
  }
  return home_;
}

// Messages that several nodes tell are taken from one that has confirmed.
void PubSub::Choose(Channel* channel) {
  const Channel::Feed* chosen = nullptr;
  for (const Channel::Feed& feed : channel->feeds) {
    if (feed.question != nullptr) continue;
    if (chosen == nullptr || feed.node == home_) chosen = &feed;
  }
  channel->source = chosen != nullptr ? chosen->node : nullptr;
}

void PubSub::EndFeedsOutside(Channel* channel, const std::vector<UpstreamNode*>& nodes) {
  std::erase_if(channel->feeds, [&](const Channel::Feed& feed) {
    if (Contains(nodes, feed.node)) return false;
    EndFeed(feed, *channel);
    return true;
  });
}

void PubSub::EndFeed(const Channel::Feed& feed, const Channel& channel) {
  if (feed.question != nullptr) feed.question->Forget();
  --nodes_[feed.node];
  if (!feed.node->subscription_link().CanAccept()) return;
  auto* question = new SubscriptionQuestion(*this, feed.node, nullptr);
  std::string command = resp::CommandOf({UnsubscribeWord(channel.kind), channel.name});
  if (channel.kind == ChannelKind::kShard) {
    command += resp::CommandOf({"PING"});
    question->SetMarked();
  }
  Send(feed.node, command, question);
}

void PubSub::DropFeed(Channel* channel, const UpstreamNode* node) {
  std::erase_if(channel->feeds, [&](const Channel::Feed& feed) {
    if (feed.node != node) return false;
    if (feed.question == nullptr && !channel->subscribers.IsEmpty())
      resources_.stats.subscriptions_interrupted.Add();
    --nodes_[feed.node];
    return true;
  });
  Choose(channel);
}

void PubSub::TellWaiters(Channel* channel, std::string_view error) {
  if (channel->waiters.empty()) return;
  ++channel->holds;  // An operation that fails lets go of it.
  while (!channel->waiters.empty()) {
    SubscribeOperation* operation = channel->waiters.back();
    channel->waiters.pop_back();
    operation->OnSettled(error);
  }
  Release(channel);
}

// ---- what nodes say

bool PubSub::OnFrame(UpstreamConnection* link, Chunk* chunk, std::string_view frame,
                     const Request* awaited) {
  const SubscriptionFrame parsed = ParseSubscriptionFrame(frame);
  const bool is_asked = awaited != nullptr && awaited->internal != &ignored_;
  auto* question = is_asked ? static_cast<SubscriptionQuestion*>(awaited->internal) : nullptr;
  switch (parsed.type) {
    case SubscriptionFrame::Type::kReply:
      return question == nullptr || question->IsAnsweredBy(frame);
    case SubscriptionFrame::Type::kMessage:
      Deliver(link->node(), parsed, chunk, frame);
      return false;
    case SubscriptionFrame::Type::kShardUnsubscribed:
      if (question != nullptr) question->NoteLeft();
      OnSlotLeft(link->node(), parsed.name);
      return false;
  }
  return true;
}

void PubSub::Deliver(const UpstreamNode& node, const SubscriptionFrame& message, Chunk* chunk,
                     std::string_view frame) {
  Channel* channel = Find(message.kind, message.name);
  if (channel == nullptr) return;  // Everybody has left.
  if (channel->source != &node && !IsKeyspaceChannel(message.channel)) return;
  resources_.stats.messages_received.Add();
  const auto& subscribers = channel->subscribers;
  for (Subscription* s = subscribers.Front(); s != nullptr; s = subscribers.Next(s))
    s->subscriber->Deliver(chunk, frame);
}

void PubSub::OnConfirmed(Channel* channel, UpstreamNode* node) {
  Channel::Feed* feed = channel->FeedFrom(node);
  feed->question = nullptr;
  Settle(channel);
}

void PubSub::OnRefused(Channel* channel, UpstreamNode* node, std::string_view error) {
  const Config& config = resources_.config;
  const bool passing = IsPassing(error);
  DropFeed(channel, node);
  Unsettle(channel, (passing ? config.retry_delay_ms : config.subscription_ping_ms) * kNsPerMs);
  if (passing) return topology_.RequestRefresh();
  LOG_EVERY_T(WARNING, 10) << "node " << node->address().ToString()
                           << " refuses a subscription: " << error.substr(0, error.find('\r'));
  TellWaiters(channel, error);
}

void PubSub::OnQuestionLost(Channel* channel, UpstreamNode* node) {
  DropFeed(channel, node);
  Unsettle(channel, 0);
}

// A shard channel ends at the node when its slot leaves.
void PubSub::OnSlotLeft(const UpstreamNode& node, std::string_view name) {
  Channel* channel = Find(ChannelKind::kShard, name);
  const Channel::Feed* feed = channel != nullptr ? channel->FeedFrom(&node) : nullptr;
  if (feed == nullptr || feed->question != nullptr) return;  // It is being asked for again.
  DropFeed(channel, &node);
  Unsettle(channel, resources_.config.retry_delay_ms * kNsPerMs);
  topology_.RequestRefresh();
}

void PubSub::OnClosed(UpstreamConnection* link) {
  UpstreamNode* node = &link->node();
  if (home_ == node) home_ = nullptr;
  for (Channels& channels : channels_) {
    for (const auto& [name, channel] : channels) {
      if (channel->FeedFrom(node) == nullptr) continue;
      DropFeed(channel.get(), node);
      Unsettle(channel.get(), 0);
    }
  }
  nodes_.erase(node);
}

void PubSub::OnTopologyChanged() {
  if (home_ != nullptr && home_->retired()) home_ = nullptr;
  for (Channels& channels : channels_) {
    for (const auto& [name, channel] : channels) {
      WhereToAsk(*channel, &wanted_);
      const bool right = channel->feeds.size() == wanted_.size() &&
                         std::ranges::all_of(channel->feeds, [&](const Channel::Feed& feed) {
                           return Contains(wanted_, feed.node);
                         });
      if (!right || !channel->IsSettled()) Unsettle(channel.get(), 0);
    }
  }
}

// ---- questions

SubscriptionQuestion* PubSub::Ask(UpstreamNode* node, Channel* channel) {
  auto* question = new SubscriptionQuestion(*this, node, channel);
  Send(node, resp::CommandOf({SubscribeWord(channel->kind), channel->name}), question);
  return question;
}

void PubSub::Send(UpstreamNode* node, std::string_view command, InternalReply* reply) {
  node->subscription_link().Ask(command, reply);
  ArmPing();
}

void PubSub::ArmPing() {
  if (ping_timer_.armed()) return;
  ping_timer_.Arm(resources_.io.NowNs() + resources_.config.subscription_ping_ms * kNsPerMs);
}

// A node that does not answer is found by the request's timeout. Connections that carry nothing are
// closed.
void PubSub::PingNodes() {
  std::vector<UpstreamNode*> unused;
  for (const auto& [node, feeds] : nodes_) {
    UpstreamConnection& link = node->subscription_link();
    if (link.state() != UpstreamConnection::State::kReady || link.HasRequests()) continue;
    if (feeds == 0) {
      unused.push_back(node);
    } else {
      Send(node, resp::CommandOf({"PING"}), &ignored_);
    }
  }
  for (UpstreamNode* node : unused) node->subscription_link().CloseIdle();
  if (!nodes_.empty()) ArmPing();
}

}  // namespace rcproxy::proxy
