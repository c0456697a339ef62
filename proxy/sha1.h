// SHA-1 (RFC 3174), by which servers name scripts. Not for secrets. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace rcproxy::proxy {

// 40 lower-case hexadecimal digits.
std::string Sha1Hex(std::string_view bytes);

}  // namespace rcproxy::proxy
