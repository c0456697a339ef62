// Sends reads that a node keeps waiting to another copy of their shard as well, where their client
// lets several serve them (--hedge_reads_after); the first good reply is the client's.
//
//   twice per delay: a look at the oldest requests of each connection that clients share
//   one that has waited for the delay, and may be hedged -> its copy goes to another node
//   the copy is answered and the read still waits        -> that is its reply; what the first node
//                                                           answers is dropped
//   any error, a long reply, a lost connection           -> as if there had been no copy
//
// Nobody says that a read has been answered, redirected or lost, or that its client has left: when
// the copy's reply comes the read is there, or it is not. So other requests cost nothing.
//
// A read is hedged only while it is all that its client waits for, and answered only then. So the
// reply shows all older writes that the policy promises, and no younger one.
//
// Owner: Worker; outlives the connections' requests. Thread: the worker's.
// Invariants: 1. a read that waits at a node has one copy at most, also after that has failed; 2.
// the timer is armed only while reads may become overdue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "proxy/hedge_budget.h"
#include "proxy/request.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/routing_table.h"
#include "proxy/upstream_connection.h"
#include "uring/timer_queue.h"

namespace rcproxy::proxy {

class Hedger {
 public:
  Hedger(Resources& resources, RoutingTable& table, Router& router);
  ~Hedger();  // Requires: no copy is under way.

  // The worker has done what there was to do: reads that it has issued will be looked at.
  void OnTurn();
  void Stop() { timer_.Disarm(); }

 private:
  // What was sent to another node.
  class Copy final : public InternalReply {
   public:
    Copy(Hedger& owner, const Request& read);

    void OnReply(std::string_view reply) override;
    void OnLost() override { is_under_way = false; }
    bool yields() const override { return true; }
    size_t reply_bytes_max() const override;

    Hedger& owner;
    const uint32_t order;  // Of the read, which tells it from all others.
    const uint16_t slot;
    const LinkKind at_primary;
    bool is_under_way = true;
    bool has_read = true;  // The last look has seen the read waiting.
  };

  struct WaitingRead {
    UpstreamConnection* link = nullptr;
    Request* request = nullptr;  // nullptr when it is nowhere.
  };

  void Look();
  void LookAt(const UpstreamConnection& link, const UpstreamNode& node, int64_t overdue_ns);
  bool IsHedgeable(const Request& request) const;
  bool IsAlone(const Request& read) const;
  // Whether it has been hedged; that is remembered for as long as it waits.
  bool HasCopy(const Request& read);
  void Hedge(const Request& read, const UpstreamNode& asked, int64_t overdue_ns);
  void EarnBudget();
  void OnAnswered(const Copy& copy, std::string_view reply);
  // Looks where the read can be: at the copies that its shard has now.
  WaitingRead ReadOf(const Copy& copy) const;

  Resources& resources_;
  RoutingTable& table_;
  Router& router_;
  const int64_t delay_ns_;  // 0: no read is hedged.
  HedgeBudget budget_;
  uint64_t reads_seen_ = 0;      // reads_balanced, for which the budget has got its share.
  int64_t looked_until_ns_ = 0;  // What was issued until then had been overdue at the last look.
  bool may_become_due_ = false;  // The last look has seen requests that the next may hedge.
  // Of reads that wait, and those that nodes owe. By order.
  std::unordered_map<uint32_t, Copy> copies_;
  uring::Timer timer_;
};

}  // namespace rcproxy::proxy
