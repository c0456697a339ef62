#include "proxy/tracking/tracker.h"

#include <algorithm>

namespace rcproxy::proxy {

bool Tracker::HasPrefixOf(std::string_view key) const {
  return std::ranges::any_of(options().prefixes,
                             [key](const std::string& prefix) { return key.starts_with(prefix); });
}

LinkNeeds NeedsOfTracker(const Session& session, bool writes) {
  const TrackingOptions& options = *session.tracking();
  if (session.protocol == resp::Protocol::kResp2) {
    const bool remembers = !options.broadcast && options.redirect != 0 && options.Remembers();
    return LinkNeeds{.remembers = remembers};
  }
  if (options.broadcast) {
    return LinkNeeds{.resp3 = true, .tracks_by = TracksBy::kBroadcast, .remembers = true};
  }
  return LinkNeeds{.resp3 = true,
                   .tracks_by = TracksBy::kReads,
                   .remembers = options.Remembers() || (options.no_loop && writes)};
}

}  // namespace rcproxy::proxy
