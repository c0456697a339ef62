// What --zone_map says -> rules.
//
// Pure. Thread: any.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/zone.h"

namespace rcproxy::proxy {

// "10.1.=eu-1a,10.2.=eu-1b". Errors name the flag.
absl::StatusOr<std::vector<ZoneRule>> ParseZoneMap(std::string_view list);

}  // namespace rcproxy::proxy
