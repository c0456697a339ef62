// What a scanner makes of a stream, as text: two ways of cutting the same bytes must give the same
// transcript. For tests and fuzzing only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "resp/request_scanner.h"

namespace rcproxy::resp {

// Where a stream is cut: offsets in ascending order. Empty: the stream arrives as a whole.
using Cuts = std::vector<size_t>;

// A cut behind every byte of `size`.
Cuts CutEverywhere(size_t size);

// One line per command: "command <consumed> [arg] [arg]", "empty <consumed>", "error <text>", and
// at last "rest <bytes>" when a command is cut. Aborts when an invariant of the scanner is broken.
std::string RequestTranscript(std::string_view stream, const Cuts& cuts,
                              const RequestLimits& limits);

// One line per frame: "frame <type> <offset of its end>", at last "error <offset>" or "inside" or
// "idle". Aborts when an invariant of the scanner is broken.
std::string ReplyTranscript(std::string_view stream, const Cuts& cuts);

}  // namespace rcproxy::resp
