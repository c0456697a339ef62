// What this kernel, container and user allow of io_uring, each found out by trying it: versions lie
// (distributions port features back, containers filter calls).
//
// Thread: any; the probe works on small rings of its own and leaves nothing behind.
// Errors: no usable io_uring at all is a Status that names the cause and the remedy.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace rcproxy::uring {

struct Features {
  bool single_issuer_defer = false;  // Completions run only when we ask (6.1).
  bool cooperative = false;          // The fallback: without interrupting us (5.19).
  bool provided_rings = false;       // Rings of receive buffers (5.19); required.
  bool multishot_accept = false;     // 5.19
  bool multishot_receive = false;    // 6.0; otherwise each receive is started again.
  bool incremental_buffers = false;  // 6.12; otherwise each receive uses up a whole buffer.
  bool min_wait = false;             // 6.12; otherwise batch hints have no effect.
  bool send_zero_copy = false;       // With a report whether it was (6.2).
  bool bundles = false;              // 6.10; reported only, not used: no gain for small messages.

  // Everything allowed; as a mask.
  static Features All();
  // Those in both.
  Features Intersect(const Features& other) const;
  // "single_issuer_defer cooperative ... no:send_zero_copy"
  std::string ToString() const;
  bool operator==(const Features&) const = default;
};

absl::StatusOr<Features> ProbeFeatures();

}  // namespace rcproxy::uring
