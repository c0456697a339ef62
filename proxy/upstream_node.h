// One node of the cluster as this worker sees it: its address and its connections.
//
// Owner: NodeTable. Thread: the worker's.
// Invariants: 1. the address never changes (a node that moves is another node); 2. back-off grows
// from reconnect_delay_min to reconnect_delay_max with jitter, which differs between workers and
// nodes, and is forgotten at the first success; 3. at most own_connections_opening_max connections
// of single clients are opening, beside those that clients share.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"
#include "proxy/node_stats.h"
#include "proxy/queue_delay.h"
#include "proxy/resolver.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {

class UpstreamNode {
 public:
  UpstreamNode(Resources& resources, UpstreamObserver& observer, NameResolver& resolver,
               cluster::NodeAddress address);

  const cluster::NodeAddress& address() const { return address_; }
  // For WriteMarks.
  uint32_t write_mark() const { return write_mark_; }
  UpstreamConnection& link(LinkKind kind) {
    if (kind.database != 0) [[unlikely]]
      return DatabaseLink(kind);
    return *links_[kind.index()];
  }
  UpstreamConnection& primary_link() { return *links_[0]; }
  UpstreamConnection& subscription_link() { return link({.is_subscription = true}); }
  // Puts another in the place of `link`, which has one request in it, begun to be answered: its
  // client takes its time to read, and nobody shall wait behind it. False when it is one that
  // nobody shares, or one that tracks (it would close, and what was read over it had to be
  // forgotten), or at the limit of those that one client has for itself.
  bool SetAside(UpstreamConnection* link);
  // A connection for one request alone, until it is given back; nullptr in back-off, at the limit,
  // and while too many are opening.
  UpstreamConnection* TakeOwnLink(bool resp3, uint16_t database = 0);
  // Whether TakeOwnLink would find or make one, as far as its limit goes.
  bool HasRoomForOwnLink() const;
  void ReturnOwnLink(UpstreamConnection* link);
  // Closes own ones that nobody has used since `before_ns`, and forgets closed ones.
  void SweepLinks(int64_t before_ns);
  bool NeedsSweep() const {
    return !own_links_.empty() || !set_aside_.empty() || !AreDatabaseLinksQuiet();
  }

  // Finds the socket address; calls connection->OnResolved() before or after returning.
  void Resolve(UpstreamConnection* connection);
  const SocketAddress& socket_address() const { return socket_address_; }

  bool InBackoff() const { return resources_.io.NowNs() < connect_after_ns_; }
  // Something has come from it, on any connection.
  void NoteHeard(int64_t now_ns) { heard_ns_ = now_ns; }
  int64_t heard_ns() const { return heard_ns_; }
  // It took a request and did not answer: until it has answered something, it gets no other.
  void NoteSilence() { is_silent_ = true; }
  bool is_silent() const { return is_silent_; }
  // Connections that break while the node is left alone already broke for the same reason: all of
  // them are one failure.
  void OnConnectFailed();
  // A connection to it broke, or could not be opened, and none has been opened since.
  bool HasFailed() const { return failures_ > 0; }
  void OnConnectSucceeded();
  // How long a connect may take before it is begun anew: a multiple of what the last took; while
  // none has succeeded, twice as long each time.
  int64_t connect_patience_ns() const { return connect_patience_ns_; }
  void NoteConnectTime(int64_t ns);
  void NoteConnectBegunAnew();
  // One of its own connections begins to open; it is open, or will not be.
  void OnOwnOpening() { ++own_opening_; }
  void OnOwnOpened() { --own_opening_; }

  // Requests that wait for one of the connections that clients share to open.
  const WaitingLoad& waiting() const { return waiting_; }
  void AddWaiting(const WaitingLoad& load) {
    waiting_ += load;
    resources_.requests_waiting += load.requests;
  }
  void SubWaiting(const WaitingLoad& load) {
    waiting_ -= load;
    resources_.requests_waiting -= load.requests;
  }
  // Whether one of its connections is: see UpstreamConnection::is_full.
  bool is_full() const { return full_links_ > 0; }
  void NoteFull(bool is_full);

  // What it said to MULTI when its user (--upstream_username) was tried; empty: it may. Commands
  // that come behind a MULTI that is refused would be executed one by one.
  const std::string& multi_refusal() const { return multi_refusal_; }
  void NoteMulti(std::string_view reply) { multi_refusal_ = reply.starts_with('-') ? reply : ""; }
  // Tries again whether it is refused still; at most once a second.
  void TryMultiAgain();

  // It appeared after the first map, a moment ago.
  void set_new_until_ns(int64_t new_until_ns) { new_until_ns_ = new_until_ns; }
  bool IsNew() const { return resources_.io.NowNs() < new_until_ns_; }

  // Whether it is in rcproxy's availability zone.
  bool in_zone() const { return in_zone_; }
  void set_in_zone(bool in_zone) { in_zone_ = in_zone; }
  // It has said that it cannot serve reads at the moment.
  void LeaveOut() { left_out_until_ns_ = resources_.io.NowNs() + kLeftOutNs; }
  bool IsLeftOut() const { return resources_.io.NowNs() < left_out_until_ns_; }
  NodeStats& stats() { return *stats_; }
  // How long its answers have taken lately, the wait in rcproxy included; at first next to nothing,
  // so that it is tried.
  int64_t latency_ns() const {
    return std::max<int64_t>(static_cast<int64_t>(stats_->latency_ns.value()), 1);
  }
  // Replies come together on a connection that clients share; the first is for `request`, if that
  // is not nullptr. It is a sample, unless the request has waited for something else, at another
  // node or for the rest of its reply.
  void NoteFirstReply(const Request* request, int64_t now_ns) {
    if (request == nullptr || request->was_delayed || request->redirects > 0 || request->streaming)
      return;
    NoteLatency(now_ns - request->issued_ns);
  }
  void NoteLatency(int64_t ns) {
    const auto before = static_cast<int64_t>(stats_->latency_ns.value());
    stats_->latency_ns.Set(static_cast<uint64_t>(before + (ns - before) / kLatencyWeight));
  }

  // The reply to the oldest request on a connection that clients share, which was issued
  // `waited_ns` ago, comes. Requires: shed_queue_delay_ms > 0.
  void NoteWait(int64_t now_ns, int64_t waited_ns);
  // Whether requests have waited for it too long for a while: see QueueDelay.
  bool has_standing_queue() const { return queue_delay_.stands(); }

  // No map names it any more: it goes when its last request has gone.
  bool retired() const { return retired_; }
  void set_retired(bool retired) { retired_ = retired; }
  bool IsQuiet() const;  // No connection open or opening.

  template <class F>
  void ForEachLink(F&& f) {
    const auto visit = [&f](SharedLinks& links) {
      for (const auto& link : links) {
        if (link != nullptr) f(*link);
      }
    };
    visit(links_);
    for (size_t i = 0; i < database_links_.size(); ++i) {
      if (database_links_[i] != nullptr) visit(*database_links_[i]);
    }
    for (size_t i = 0; i < own_links_.size(); ++i) f(*own_links_[i]);
    for (size_t i = 0; i < set_aside_.size(); ++i) f(*set_aside_[i]);
  }

 private:
  // The reply to MULTI, behind which EXEC comes.
  class MultiTrial final : public InternalReply {
   public:
    explicit MultiTrial(UpstreamNode& node) : node_(node) {}
    void OnReply(std::string_view reply) override { node_.NoteMulti(reply); }
    void OnLost() override {}

   private:
    UpstreamNode& node_;
  };

  // By LinkKind::index(); nullptr where that is of no kind.
  using SharedLinks = std::array<std::unique_ptr<UpstreamConnection>, LinkKind::kCount>;

  static constexpr int64_t kConnectPatienceMinNs = 50'000'000;
  static constexpr int64_t kLeftOutNs = 1'000'000'000;
  static constexpr int64_t kMultiTrialNs = 1'000'000'000;
  static constexpr int64_t kLatencyWeight = 8;  // Of what was before, against the newest.

  std::unique_ptr<UpstreamConnection> NewLink(LinkKind kind);
  // Made when it is asked for first.
  UpstreamConnection& DatabaseLink(LinkKind kind);
  // Where one of this kind is kept that clients share. Requires: kind.database is 0, or such a link
  // has been made.
  std::unique_ptr<UpstreamConnection>& PlaceOf(LinkKind kind);
  bool AreDatabaseLinksQuiet() const;
  bool IsAtLimit() const;
  // The connections of this kind to all nodes together are.
  bool AreAllAtLimit() const;

  Resources& resources_;
  UpstreamObserver& observer_;
  NameResolver& resolver_;
  const cluster::NodeAddress address_;
  const uint32_t write_mark_;
  const std::shared_ptr<NodeStats> stats_;
  SocketAddress socket_address_;
  int failures_ = 0;
  uint32_t own_opening_ = 0;
  uint32_t full_links_ = 0;
  WaitingLoad waiting_;
  int64_t connect_after_ns_ = 0;
  int64_t connect_patience_ns_ = kConnectPatienceMinNs;
  bool was_connected_ = false;
  int64_t new_until_ns_ = 0;
  uint64_t random_;  // For jitter.
  bool retired_ = false;
  bool is_silent_ = false;
  bool in_zone_ = false;
  int64_t left_out_until_ns_ = 0;
  int64_t heard_ns_ = 0;
  std::string multi_refusal_;
  int64_t multi_tried_ns_ = 0;
  MultiTrial multi_trial_{*this};
  IgnoredReply ignored_;
  QueueDelay queue_delay_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // Look-ups may outlive the node.
  // In database 0. Each is opened when it is needed first.
  SharedLinks links_;
  // The same for databases from 1 on; nullptr where none has been asked for.
  std::vector<std::unique_ptr<SharedLinks>> database_links_;
  std::vector<std::unique_ptr<UpstreamConnection>> own_links_;
  std::vector<UpstreamConnection*> free_own_links_;  // Those that nobody has.
  std::vector<std::unique_ptr<UpstreamConnection>> set_aside_;
};

}  // namespace rcproxy::proxy
