// A key for each slot that nobody has written: what a node says about it tells whether the slot is
// the node's, without touching anybody's data.
//
// Made once per process, for all threads.
#pragma once

#include <cstdint>
#include <string>

namespace rcproxy::proxy {

// "{1234}rcproxy:9f8e7d6c5b4a3210": its tag hashes to `slot`, the rest is random.
std::string UnusedKeyIn(uint16_t slot);

}  // namespace rcproxy::proxy
