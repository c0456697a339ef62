// One client that tracks keys (CLIENT TRACKING ON), from then until it is OFF.
//
// Owner: ClientBindings; Tracking knows it meanwhile. Thread: the worker's.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "proxy/tracking/invalidation_output.h"
#include "proxy/tracking/tracked_keys.h"

namespace rcproxy::proxy {

class Tracker final : public KeyReader {
 public:
  // All outlive this. Requires, always: session.tracking() is not nullptr.
  Tracker(Resources& resources, ReplyQueue& replies, Session& session)
      : KeyReader(session.id),
        replies_(replies),
        session_(session),
        output_(resources, replies, session) {}

  const ReplyQueue& replies() const { return replies_; }
  TrackingOptions& options() { return *session_.extras->tracking; }
  const TrackingOptions& options() const { return *session_.extras->tracking; }
  InvalidationOutput& output() { return output_; }
  bool InResp3() const { return session_.protocol == resp::Protocol::kResp3; }

  // In RESP2 there are no pushes among replies: somebody else has to be told.
  bool MayBeTold() const { return InResp3() || options().redirect != 0; }
  // It reads over connections that do not tell of what is read: those that tell of all keys do.
  bool NeedsFeeds() const { return MayBeTold() && (options().broadcast || !InResp3()); }
  bool HasPrefixOf(std::string_view key) const;
  // Whether the client has selected another database since this was last asked.
  bool HasChangedDatabase() {
    return std::exchange(database_, session_.database) != session_.database;
  }

  uint64_t wait_id = 0;  // Not 0: its operation waits for the feeds, until
  int64_t wait_until_ns = 0;

 private:
  ReplyQueue& replies_;
  Session& session_;
  InvalidationOutput output_;
  uint16_t database_ = session_.database;
};

// What the commands of a client that tracks need. It reads from primaries: a replica may answer
// with what it does not know to have changed after the change has been told.
// `writes`: it is a command that writes, of which a client with NOLOOP is not to be told.
LinkNeeds NeedsOfTracker(const Session& session, bool writes = false);

}  // namespace rcproxy::proxy
