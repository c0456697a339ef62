// How many clients the limit of open files leaves room for. Main thread, before anything starts.
//
// A client takes one descriptor, and another one for a connection of its own to a node while it
// blocks or watches keys. Some stay reserved, or nodes could not be reached any more.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config.h"

namespace rcproxy::proxy {

// For the process, and again for each worker: logs, listeners, ring, nodes.
inline constexpr uint64_t kReservedDescriptors = 64;

// How many of config.maxclients `descriptors` allow. An error when they do not suffice for nodes.
absl::StatusOr<uint32_t> ClientsThatFit(const Config& config, uint64_t descriptors);

// Raises the process's limit as far as it may and needs to, and lowers config->maxclients to what
// fits, with a warning.
absl::Status FitToDescriptors(Config* config);

}  // namespace rcproxy::proxy
