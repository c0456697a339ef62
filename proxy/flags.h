// The command line: flags -> Config. The only place that reads flags.
#pragma once

#include "absl/status/statusor.h"
#include "proxy/config.h"

namespace rcproxy::proxy {

// Requires: the command line has been parsed. Errors name the flag.
absl::StatusOr<Config> ConfigFromFlags();

}  // namespace rcproxy::proxy
