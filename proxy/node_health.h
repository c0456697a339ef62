// Whether the nodes are there when no reply tells: connections that clients share and nobody uses
// get a PING from time to time, and a node that owes replies and sends nothing is taken as silent.
//
//   idle for --upstream_ping_interval        -> PING; its reply is owed as any other
//   owes replies for a moment, and nothing
//   came on any of its connections           -> what do the other nodes say? the map is read
//   ... and the map says that it is down,
//   and has no slots for it                  -> all its connections are closed, and before it gets
//   ... or for --upstream_silence_timeout       another request it has to answer a PING
//
// A node that executes one command for long sends nothing either: the silence timeout has to be
// longer than its slowest script, and is off unless it is set. Without it, and where nobody takes
// over, each connection is closed after --request_timeout, as UpstreamConnection::CheckTimeout
// says.
//
// Owner: Worker. Thread: the worker's.
// Invariant: one timer, armed from the first request on while any connection is open, for when one
// may first have been idle for long enough, and at most kWalksPerInterval times in an interval.
#pragma once

#include <cstdint>

#include "cluster/topology.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class NodeHealth {
 public:
  NodeHealth(Resources& resources, RoutingTable& table, TopologySource& topology);

  // Closes the connections of nodes that are silent. Called ten times a second while requests are
  // in flight that time runs for, and at least once after any was. `now_ns`: see Io::NowNs.
  void OnTick(int64_t now_ns);
  // The routing table has adopted `topology`: what nodes owe that are down and have been replaced
  // will not come.
  void OnMap(const cluster::Topology& topology);
  void Stop() { ping_timer_.Disarm(); }

 private:
  static constexpr int64_t kWalksPerInterval = 10;

  void PingIdle();
  void CheckSilence(int64_t now_ns);
  void LookForSuspects(int64_t now_ns);
  void GiveUp(UpstreamNode& node);

  Resources& resources_;
  RoutingTable& table_;
  TopologySource& topology_;
  const int64_t ping_interval_ns_;
  const int64_t silence_ns_;
  int64_t suspects_at_ns_ = 0;  // When the map was last asked for because of a suspect.
  uring::Timer ping_timer_;
};

}  // namespace rcproxy::proxy
