// CLIENT TRACKING and what belongs to it: CACHING, GETREDIR, TRACKINGINFO. Texts and order of
// checks are those of redis-server 7.0.15.
//
// The handlers change nothing but the call's session, whose observer does what follows. Thread: the
// worker's.
#pragma once

#include <span>

#include "proxy/local_call.h"

namespace rcproxy::proxy {

std::span<const LocalHandlerRow> TrackingHandlers();

}  // namespace rcproxy::proxy
