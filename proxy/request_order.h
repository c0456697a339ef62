// The order among the requests of one client: commands that may touch the same key are executed in
// the order in which the client sent them, or the older one is not executed at all.
//
// Pure. Thread: the worker's. For requests that could not be answered where they went: scans
// commands anew.
#pragma once

#include <cstdint>

#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/split_state.h"

namespace rcproxy::proxy {

// Issued before. Orders wrap, but never within what is in flight.
inline bool IsOlder(const Request& a, const Request& b) {
  return static_cast<int32_t>(a.order - b.order) < 0;
}

// Whether two requests of a client would have another effect in another order. Of one that has been
// answered the keys are not known any more: then they may be the same.
bool MustKeepOrder(const Request& a, const Request& b);

// Calls `visit` with the client's requests, with the parts of those that were split, from the
// oldest on, until it returns true. Returns whether it did.
template <class Visitor>
bool AnyInFlight(const ReplyQueue& client, Visitor&& visit) {
  for (Request* request = client.Front(); request != nullptr; request = client.Next(request)) {
    if (!request->is_split) {
      if (visit(*request)) return true;
      continue;
    }
    for (Request* part : request->split->parts) {
      if (visit(*part)) return true;
    }
  }
  return false;
}

}  // namespace rcproxy::proxy
