// CLIENT TRACKING: clients cache what they read, and are told when it changes.
//
//   read of a client that tracks -> the node's connection that tracks -> reply -> OnRead:
//   remembered write of anybody -> the node pushes -> OnPush -> Tell: every client that has read
//   the key
//
// A client in RESP3 reads over connections of their own kind, which all such clients of the worker
// share (TracksBy). A read is remembered when its reply comes; what the node pushes on the same
// connection behind it is of later changes, what came before it of earlier ones. So no change is
// missed. What is known of a key ends, and its readers are told, when it was read over a connection
// that closes, or at a node that does not own its slot any more. What is read at a node that does
// not own the slot, or over any other connection, is not remembered: the client is told to forget
// it directly behind the reply.
//
// Clients that broadcast, and those in RESP2, which hear through another client, are fed by a
// connection to each primary that tells of all keys. When one has been away they forget everything.
//
// NOLOOP: a node tells of a change once, and directly behind the reply to the command that made it,
// if that came over the same connection. So a client is forgotten as a reader of a key when the
// reply says for certain that it has changed the key itself: as on a server, which forgets it, too.
// Where that is not certain (transactions, scripts, BCAST, RESP2) it is told.
//
// Owner: Worker. Thread: the worker's.
// Invariants: 1. each reading is known to the node at the other end of its link, or its client has
// been told; 2. a client is told of a change never before a reply that was older than it. Per read:
// its command is scanned again, and two look-ups for each key; clients that do not track pay
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/tracking/feeds.h"
#include "proxy/tracking/tracked_keys.h"
#include "proxy/tracking/tracker.h"
#include "proxy/upstream_connection.h"
#include "resp/command_view.h"
#include "resp/request_scanner.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class TrackingHost {
 public:
  // Tells client `target`, of any worker, of what was to go to client `tracker`. When it is not
  // there: Tracking::OnTargetGone(tracker).
  virtual void TellClient(int64_t target, ChangedKeys keys, int64_t tracker) = 0;
  // Tracking::ForgetSlot, on every worker.
  virtual void ForgetSlotOnAllWorkers(uint16_t slot) = 0;

 protected:
  ~TrackingHost() = default;
};

class Tracking final : public TrackingSink, private FeedObserver {
 public:
  // All outlive this.
  Tracking(Resources& resources, RoutingTable& table, Router& router, TrackingHost& host);
  ~Tracking();  // Requires: no client tracks.

  // From CLIENT TRACKING ON until it is OFF.
  void Add(Tracker* tracker);
  void Remove(Tracker* tracker);
  // Its session has changed.
  void Update(Tracker* tracker);
  // What the client has asked is on its way. In RESP2 replies and what is told of them come by
  // different ways: what is asked for counts as read, as on a server, even before.
  void OnAsked(Tracker* tracker, const cluster::CommandSpec& spec,
               const resp::CommandView& command);
  // Resumes the operation when nothing that client `tracker` reads can change unheard, or could not
  // be made so for a while.
  void AwaitFeeds(int64_t tracker, uint64_t wait_id);
  void OnTargetGone(int64_t tracker);
  // Some worker has seen that the slot begins to move: a key that its node did not have will be
  // written elsewhere, if it is.
  void ForgetSlot(uint16_t slot);
  // To be called before nodes that have left are forgotten. `moved`: some slot has another owner.
  void OnTopologyChanged(bool moved);

  // TrackingSink
  void OnRead(const Request& request, std::string_view reply, UpstreamConnection* link) override;
  void OnPush(UpstreamConnection* link, std::string_view frame) override;
  void OnClosed(UpstreamConnection* link) override;
  void OnOwnerChanged(uint16_t slot) override;
  void OnBeginsToMove(uint16_t slot) override;

 private:
  Tracker* TrackerOf(const Request& request) const;
  Tracker* TrackerNamed(int64_t id) const;
  UpstreamConnection* TellerOf(const Tracker& tracker, const Request& request,
                               UpstreamConnection* link);
  void CollectKeys(std::string_view commands);
  void CollectKeys(const cluster::CommandSpec& spec, const resp::CommandView& command);
  void ForgetOwnChange(Tracker* tracker, const Request& request, std::string_view reply,
                       const UpstreamConnection* link);
  void Remember(Tracker* tracker, ChangedKeys keys, UpstreamConnection* teller);
  void KeepTeller(UpstreamConnection* teller);
  void DropOldest();
  void Tell(Tracker* tracker, ChangedKeys keys);
  void TellAfterReply(Tracker* tracker);
  void TellTaken(const TrackedKeys::KeysOfReaders& taken);
  void TellBroadcasters(ChangedKeys keys);
  void LeaveToOwner(uint16_t slot, TrackedKeys::KeysOfReaders* taken);
  void Flush(Tracker* tracker);
  void FlushReadersOver(const UpstreamConnection* link);
  bool FlushBroadcasters();
  // FeedObserver
  bool AnybodyNeedsFeeds() const override;
  void OnJoined(bool all) override;
  void OnGap() override;
  void ArmPing();
  void PingLinks();
  void KeepAlive(UpstreamConnection* link, bool is_needed);
  void CountKeys();

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  TrackingHost& host_;
  TrackedKeys keys_;
  std::unordered_map<const ReplyQueue*, Tracker*> trackers_;
  Feeds feeds_;
  // That have told, or will, of what was read; all but feeds in database 0.
  std::unordered_set<UpstreamConnection*> links_;
  resp::RequestScanner scanner_;
  std::vector<std::string_view> collected_;  // Scratch, as are
  std::vector<std::string_view> changed_;
  std::vector<KeyReader*> readers_;
  IgnoredReply ignored_;
  uring::Timer ping_timer_;
};

}  // namespace rcproxy::proxy
