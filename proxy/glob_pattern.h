// Glob patterns as the server's commands know them (SCAN, CONFIG GET,
// COMMAND LIST): '*', '?', '[a-z]',
// '[^a-z]' and '\' to take the next character as it is. Source: the server's documentation of KEYS.
//
// Pure, any thread. Time is at most the product of both sizes: no pattern makes it explode.
#pragma once

#include <string_view>

namespace rcproxy::proxy {

// All of `text` has to match.
bool MatchesGlob(std::string_view pattern, std::string_view text);
// The same; ASCII letters match without regard to case.
bool MatchesGlobIgnoringCase(std::string_view pattern, std::string_view text);

}  // namespace rcproxy::proxy
