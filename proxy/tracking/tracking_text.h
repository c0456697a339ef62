// What nodes say of keys that have changed, and how clients are told. Pure; any thread.
//
// Source: redis.io/docs/latest/develop/reference/client-side-caching.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/writer.h"

namespace rcproxy::proxy {

// Keys that have changed; none: all keys.
using ChangedKeys = std::span<const std::string_view>;

// Where clients in RESP2 hear of them.
inline constexpr std::string_view kInvalidationChannel = "__redis__:invalidate";

// `push` is one complete push. False when it is of another kind; else `keys` are those that have
// changed (none: all), and lie in it.
bool ParseInvalidation(std::string_view push, std::vector<std::string_view>* keys);

// A push in RESP3, in RESP2 a message.
std::string InvalidationText(resp::Protocol protocol, ChangedKeys keys);
// Says that client `target`, to which invalidations were to go, is not there. In RESP3.
std::string BrokenRedirectText(int64_t target);

}  // namespace rcproxy::proxy
