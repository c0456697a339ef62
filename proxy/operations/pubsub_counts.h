// PUBSUB NUMSUB, SHARDNUMSUB and NUMPAT: subscribers of the whole cluster, each client of this
// rcproxy counted once.
//
//   all workers: who is subscribed, and at which nodes for them
//   -> all primaries: the same command
//   -> what the nodes count, without this rcproxy's own subscriptions there, and the clients
//
// Another rcproxy is one subscriber for each of its workers that has some. What changes between the
// two rounds may be counted twice, or not at all.
#pragma once

#include <span>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::span<const OperationRow> PubSubCountOperations();

}  // namespace rcproxy::proxy
