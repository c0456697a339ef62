// Decides where a command goes, and what happens to a request that could not be answered where it
// went.
//
//   Route():  command -> keys -> slots -> one request, or one part per slot -> links
//   redirects and losses (UpstreamObserver): the same request goes elsewhere at once, or is put
//   off, or gets its answer
//
// One rule keeps a client's commands to a slot in order while the slot changes hands: a command is
// issued only if every older request of the same client in flight was issued after that slot's
// owner last changed, and none of them waits for a retry. While a slot is in motion a command also
// waits for older ones that the slot could put off. When it fails the command stays at the head of
// the client's input (Verdict::kWait).
//
// Owner: Worker. Thread: the worker's.
// Invariants: 1. a delayed request is in delayed_, in the order of issue, and counted by hold_; or
// in shed_, because too many wait for its shard, until the end of the turn; 2. a write that may
// have reached a node is never sent again; 3. nothing is sent for a client that has gone. Per
// request, no redirect: key search, one hash, one table look-up, two list links.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/command_keys.h"
#include "cluster/command_table.h"
#include "proxy/hold_window.h"
#include "proxy/moving_slots.h"
#include "proxy/operation.h"
#include "proxy/read_choice.h"
#include "proxy/replication_watch.h"
#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/routing_table.h"
#include "proxy/script_cache.h"
#include "proxy/upstream_connection.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

// Who reads the cluster map, and the nodes' commands.
class TopologySource {
 public:
  virtual void RequestRefresh() = 0;   // Of the map: soon, at most once for all who ask.
  virtual void RequestLearning() = 0;  // Of the commands: after the next map.

 protected:
  ~TopologySource() = default;
};

// Of a command that may be passed on while it arrives; in the client's database.
struct KeyToProbe {
  std::string_view key;
  uint16_t slot;
  uint16_t database;
};

class Router final : public UpstreamObserver, private OperationRunner {
 public:
  enum class Verdict : uint8_t {
    kTaken,  // The command has been issued or answered.
    kWait,   // Not now: offer the same command again when the client's replies have moved on.
    // Its keys lie in several slots, and no slot's owner can answer: an operation may, or
    // CROSSSLOT is the answer.
    kCrossSlot,
  };

  Router(Resources& resources, RoutingTable& table, TopologySource& topology);
  ~Router();

  // `command` lies in `chunk`. Requires: arity checked; spec.route is kKeyed, kSplit, kAnyPrimary,
  // kAllPrimaries or kAllNodes.
  Verdict Route(ReplyQueue* client, const cluster::CommandSpec& spec,
                const resp::CommandView& command, uring::Chunk* chunk);
  // Sends a transaction in one piece; the reply to its last command is the client's. `slot` may be
  // Request::kNoSlot.
  Verdict RouteUnit(ReplyQueue* client, const cluster::CommandSpec& exec, std::string_view unit,
                    uint16_t slot, bool read_only);
  // What the node that it would be sent to says to MULTI, if it refuses that; else empty.
  std::string_view UnitRefusal(uint16_t slot);
  // Runs `operation` for the client; kWait (then it is gone) while earlier commands are under way.
  Verdict Start(ReplyQueue* client, const cluster::CommandSpec& spec,
                std::unique_ptr<Operation> operation);
  // Whether Start would take an operation now.
  static bool MayStart(const ReplyQueue& client, const cluster::CommandSpec& spec) {
    return client.empty() && !client.MustHold(spec);
  }
  // A connection to a copy of the shard that may serve `request` now, as its client wants, and is
  // not `asked`; nullptr when there is none. Requires: a client waits for it, and it has a slot.
  UpstreamConnection* OtherCopyFor(const Request& request, const UpstreamNode& asked);
  // Goes on with the operation that waits for `wait_id`; nothing happens when it has gone.
  void Resume(uint64_t wait_id, std::span<const std::string_view> answers);
  // Sends one of rcproxy's own commands to one node. `reply` hears of it exactly once, and outlives
  // it.
  void SendInternal(UpstreamNode* node, std::string_view command, InternalReply* reply);

  // Asks the owner of the slot whether it serves the key now: what is passed on while it arrives
  // cannot follow a redirect. Any reply but an integer means no. Returns false, and asks nobody,
  // when no command for the slot should be passed on at the moment.
  bool ProbeForUpload(const KeyToProbe& key, InternalReply* reply);
  // A connection that the client has for its command alone, as it blocks or is passed on while
  // it arrives; nullptr before there is one, and after the end.
  static UpstreamConnection* OwnLinkOf(const ReplyQueue& client);
  // Ends the client's blocking command, or has the node end it, as CLIENT UNBLOCK does. Returns
  // whether there was one.
  bool Unblock(const ReplyQueue& client, bool with_error);

  // Offers delayed requests again, all of them: those of one client keep their order.
  void RunDelayed();
  // The map has changed: what waits for a node goes where its slot is now.
  void OnTopologyChanged();

  // Requires: spec.Has(kFlagScriptBody), arity checked.
  void NoteScript(const cluster::CommandSpec& spec, const resp::CommandView& command);
  const MovingSlots& moving_slots() const { return moving_slots_; }

  // UpstreamObserver
  bool OnErrorReply(Request* request, const cluster::Redirect& redirect,
                    UpstreamConnection* from) override;
  void OnOvertaking(const Request* request) override;
  void OnRequestLost(Request* request, Fate fate) override;
  void OnConnectionFailed(UpstreamConnection* connection, std::string_view reason) override;

 private:
  Verdict RouteKeyed(ReplyQueue* client, const cluster::CommandSpec& spec,
                     const resp::CommandView& command, uring::Chunk* chunk,
                     const cluster::KeyRuns& keys);
  Verdict RouteSplit(ReplyQueue* client, const cluster::CommandSpec& spec,
                     const resp::CommandView& command, uring::Chunk* chunk,
                     const cluster::KeyRuns& keys);
  Verdict Issue(ReplyQueue* client, const cluster::CommandSpec& spec,
                const resp::CommandView& command, uring::Chunk* chunk, uint16_t slot);
  void IssueParts(ReplyQueue* client, const cluster::CommandSpec& spec,
                  const resp::CommandView& command, const cluster::KeyRun& keys);
  Verdict RouteToAll(ReplyQueue* client, const cluster::CommandSpec& spec,
                     const resp::CommandView& command);
  SplitState* MakeParent(ReplyQueue* client, Request* parent);
  Request* NewPart(SplitState* split, uint16_t slot);
  // OperationRunner
  void OnAnswered(SplitState* split) override;
  void OnJoined(SplitState* split) override;
  void OnAbandoned(UpstreamConnection* own_link) override;
  // A connection to `node` for `request` alone; nullptr when there is none now.
  void NoteRefused(const Request* request, const cluster::Redirect& redirect);
  UpstreamConnection* OwnLink(Request* request, UpstreamNode* node);
  bool EndWatch(Request* request, const cluster::Redirect& redirect);
  void LoseWatch(Request* request);
  void RenewBlocking(Request* request);
  bool EndUnblocked(Request* request);
  bool IsOver(const Request& request) const;
  void Advance(SplitState* split, std::span<const std::string_view> answers);
  void NoteWrite(const Request* request, const UpstreamNode& node);
  UpstreamNode* NodeOutsideSlots(const Request* request);
  Verdict Refuse(ReplyQueue* client, std::string_view error, Counter* counter);
  bool MustWait(const ReplyQueue& client, uint16_t slot);
  bool IsFull(uint16_t slot);
  uint16_t HoldShard(const Request& request) const;
  bool MayBeTriedAgain(const ReplyQueue& client, uint16_t slot) const;
  Request* NewRequest(const cluster::CommandSpec& spec, uint16_t slot);
  // The link that should take the request now, or nullptr when it has to be put off.
  UpstreamConnection* LinkFor(Request* request);
  bool MustRefuse(const UpstreamConnection& link, Request* request) const;
  bool MayAskReplica(const Request& request) const;
  ReadNeeds NeedsOf(const Request& request, const ShardRoute& shard);
  void NoteUnreachable(Request* request);
  bool TryAnotherCopy(Request* request, UpstreamNode& node);
  // Space for the command of a request that goes out, or waits, as things stand.
  char* Place(Request* request, size_t size);
  void Dispatch(Request* request);
  void FollowMoved(Request* request, const cluster::Redirect& redirect, UpstreamConnection* from);
  void NoteMoving(uint16_t slot, const cluster::NodeAddress& target);
  void NoteMoved(uint16_t slot, UpstreamNode* node);
  void FollowAsk(Request* request, UpstreamNode* node);
  bool HealScript(Request* request, UpstreamConnection* from);
  bool AwaitFunctions(Request* request, const UpstreamNode& node);
  bool IsOvertaken(const Request& request) const;
  void Delay(Request* request);
  void Shed(Request* request);
  void AnswerShed();
  bool MustShed(const Request& request) const;
  int64_t RetryPauseNs() const;
  std::vector<const Request*> UnderWayBeside(const RequestList& due) const;
  bool WouldChangePlaces(const Request& request, const Request& other) const;
  bool WouldBeBehindYounger(const Request& request, UpstreamNode& node) const;
  void DropOvertaken(ReplyQueue* client);
  // router_split_by_key.cc
  bool MayBeSplitByKey(const Request& request) const;
  bool SplitByKey(Request* request);
  std::vector<Request*> ReplaceByParts(Request* request, uint32_t count);
  Request* NewPartOf(SplitState* split, const Request& whole);
  bool TryDelay(Request* request);
  bool MayRepeatWrite(Request* request, Fate fate);
  bool HidesNodesError(Request* request);
  bool Expired(const Request* request, int64_t now_ns) const;
  void GiveUp(Request* request);
  uint32_t GroupKeys(const resp::CommandView& command, const cluster::KeyRun& keys);

  struct PartPlan {
    uint16_t slot;
    uint32_t keys;
    size_t bytes;
    char* cursor;
  };

  Resources& resources_;
  RoutingTable& table_;
  TopologySource& topology_;
  MovingSlots moving_slots_;
  ReplicationWatch replication_watch_;
  ScriptCache scripts_;
  uint64_t last_wait_id_ = 0;
  RequestList delayed_;
  uring::Timer delayed_timer_;
  HoldWindow hold_;
  RequestList shed_;
  uring::Timer shed_timer_;
  // Scratch of GroupKeys: which part a slot belongs to, valid where stamp matches.
  std::vector<uint32_t> slot_stamp_;
  std::vector<uint32_t> slot_part_;
  uint32_t stamp_ = 0;
  std::vector<PartPlan> plan_;
  std::vector<uint32_t> part_of_key_;
};

}  // namespace rcproxy::proxy
