// What binds a client to more than its next reply: watched keys, a transaction, subscriptions,
// MONITOR, tracked keys. Most clients have nothing of it, so it costs them one pointer, and each
// command one test.
//
// Owner: ClientConnection, from the first such command until nothing is left of it. Thread: the
// worker's.
#pragma once

#include <cstddef>
#include <memory>

#include "cluster/command_table.h"
#include "proxy/monitors.h"
#include "proxy/pubsub/subscriber.h"
#include "proxy/tracking/invalidation_output.h"
#include "proxy/tracking/tracker.h"
#include "proxy/transaction.h"
#include "proxy/watch.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

struct ClientBindings {
  std::unique_ptr<Watch> watch;              // Since WATCH.
  std::unique_ptr<Transaction> transaction;  // Since MULTI.
  std::unique_ptr<Subscriber> subscriber;    // Since the first subscription.
  std::unique_ptr<Monitor> monitor;          // Since MONITOR.
  std::unique_ptr<Tracker> tracker;          // Since CLIENT TRACKING ON.
  // Since it was first told of what another client has read.
  std::unique_ptr<InvalidationOutput> invalidations;
  std::unique_ptr<uring::Timer> farewell;  // The client has left, and its node has to answer yet.

  bool IsEmpty() const {
    return watch == nullptr && transaction == nullptr &&
           (subscriber == nullptr || subscriber->total() == 0) && monitor == nullptr &&
           tracker == nullptr && invalidations == nullptr && farewell == nullptr;
  }
  void ReleaseHeldMessages() {
    if (subscriber != nullptr) subscriber->ReleaseHeld();
    if (monitor != nullptr) monitor->output.ReleaseHeld();
    if (tracker != nullptr) tracker->output().ReleaseHeld();
    if (invalidations != nullptr) invalidations->ReleaseHeld();
  }
  // Held for the client.
  size_t bytes() const { return transaction == nullptr ? 0 : transaction->bytes(); }
};

// RESET and QUIT, which are not held up by anything.
inline bool EndsBindings(const cluster::CommandSpec& spec) {
  return spec.name == "reset" || spec.name == "quit";
}

}  // namespace rcproxy::proxy
