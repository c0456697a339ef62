// Key -> hash slot: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384. Source: Redis
// Cluster specification.
#pragma once

#include <cstdint>
#include <string_view>

namespace rcproxy::cluster {

inline constexpr int kSlotCount = 16384;

// The part of the key that is hashed: what lies between the first '{' and the next '}' if that is
// not empty.
std::string_view HashTag(std::string_view key);
uint16_t HashSlot(std::string_view key);

}  // namespace rcproxy::cluster
