// Tells one client of keys that have changed: as a push in RESP3, in RESP2 as a message of
// kInvalidationChannel, if it is subscribed to anything (else it would take it for a reply).
//
// It leaves at once, between two replies. If replies wait for their turn, which may hold what has
// changed since, it leaves behind them a second time: else the client would cache what it was told
// to forget.
//
// Owner: Tracker, for what the client reads; ClientBindings, for what others redirect to it.
// Thread: the worker's.
#pragma once

#include <string_view>

#include "proxy/pubsub/message_output.h"
#include "proxy/reply_queue.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "proxy/tracking/tracking_text.h"

namespace rcproxy::proxy {

class InvalidationOutput {
 public:
  // All outlive this.
  InvalidationOutput(Resources& resources, ReplyQueue& replies, const Session& session)
      : resources_(resources), replies_(replies), session_(session), output_(resources, replies) {}

  void Tell(ChangedKeys keys);
  // Not before the replies to what has been asked so far.
  void TellAfterReplies(ChangedKeys keys);
  // Complete frames.
  void Send(std::string_view text);
  void ReleaseHeld() { output_.ReleaseHeld(); }

 private:
  bool MayHear() const {
    return session_.protocol == resp::Protocol::kResp3 || session_.IsSubscriber();
  }

  Resources& resources_;
  ReplyQueue& replies_;
  const Session& session_;
  MessageOutput output_;
};

}  // namespace rcproxy::proxy
