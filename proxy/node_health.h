// Whether the nodes are there when no reply tells: connections that clients share and nobody uses
// get a PING from time to time, and a node that owes replies and sends nothing is taken as silent.
//
//   idle for --upstream_ping_interval        -> PING; its reply is owed as any other
//   owes for --upstream_silence_timeout, and
//   nothing came on any of its connections   -> all of them are closed, and before it gets another
//                                               request it has to answer a PING
//
// A node that executes one command for long sends nothing either: the second time has to be longer
// than its slowest script, and is off unless it is set. Without it each connection is closed after
// --request_timeout, as UpstreamConnection::CheckTimeout says.
//
// Owner: Worker. Thread: the worker's.
// Invariant: one timer, armed from the first request on while any connection is open, for when one
// may first have been idle for long enough, and at most kWalksPerInterval times in an interval.
#pragma once

#include <cstdint>

#include "proxy/resources.h"
#include "proxy/routing_table.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class NodeHealth {
 public:
  NodeHealth(Resources& resources, RoutingTable& table);

  // Closes the connections of nodes that are silent. Called ten times a second while requests are
  // in flight that time runs for, and at least once after any was. `now_ns`: see Io::NowNs.
  void OnTick(int64_t now_ns);
  void Stop() { ping_timer_.Disarm(); }

 private:
  static constexpr int64_t kWalksPerInterval = 10;

  void PingIdle();
  void CheckSilence(int64_t now_ns);

  Resources& resources_;
  RoutingTable& table_;
  const int64_t ping_interval_ns_;
  const int64_t silence_ns_;
  uring::Timer ping_timer_;
};

}  // namespace rcproxy::proxy
