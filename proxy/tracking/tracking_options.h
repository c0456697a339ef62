// What a client has asked for with CLIENT TRACKING.
//
// Owner: SessionExtras. Thread: the worker's.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace rcproxy::proxy {

struct TrackingOptions {
  // Which keys a client that does not broadcast wants to hear of.
  enum class Mode : uint8_t { kAllReads, kOptIn, kOptOut };

  Mode mode = Mode::kAllReads;
  bool broadcast = false;  // Of all keys with its prefixes, read or not.
  bool no_loop = false;    // Not of what it changes itself; see Tracking.
  bool caching = false;    // CLIENT CACHING, for the next command.
  bool broken = false;     // What was to be redirected could not be: the client has gone.
  int64_t redirect = 0;    // The client that is told instead; 0: nobody else.
  std::set<std::string, std::less<>> prefixes;  // Of broadcast; "": all keys.

  // Whether what the next command reads is to be remembered. Requires: !broadcast.
  bool Remembers() const { return mode == Mode::kAllReads || (mode == Mode::kOptIn) == caching; }
};

}  // namespace rcproxy::proxy
