// What rcproxy calls itself, and which server it looks like. Constants, any thread.
#pragma once

#include <string_view>

namespace rcproxy::proxy {

inline constexpr std::string_view kVersion = "0.1.0";
// The server whose replies and texts rcproxy gives. Clients choose features by this number.
inline constexpr std::string_view kCompatibleRedisVersion = "7.0.15";

}  // namespace rcproxy::proxy
