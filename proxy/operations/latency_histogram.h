// LATENCY HISTOGRAM of several nodes made one: calls added up by command, and in each the
// distribution of their times.
//
// Pure; any thread. Replies that are none of the command's are kErrorUnexpectedPart.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "resp/writer.h"

namespace rcproxy::proxy {

std::string MergeHistograms(std::span<const std::string_view> replies, resp::Protocol protocol);

}  // namespace rcproxy::proxy
