// Makes one reply of the replies of a split command's parts, by the merge rule of the command
// table.
//
// Any part that failed makes the whole reply an error: that of the first failed part in key order.
// A partial number is a lie. Elements are copied or referenced by their length, never parsed
// further than to their end.
//
// Pure but for the queue it appends to. Thread: the worker's.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/output_queue.h"
#include "proxy/resources.h"
#include "proxy/split_state.h"

namespace rcproxy::proxy {

// Appends the merged reply to `output`. Requires: every part of `split` is answered and holds its
// reply in one segment.
void MergeReplies(Resources& resources, const SplitState& split, OutputQueue* output);
// What is said of a write of which some parts failed, with `error` the first: it, and when others
// were done how many. `replies` are those of all parts.
std::string WriteFailure(std::string_view error, std::span<const std::string_view> replies);
// Frees the parts that are answered; the others will find nobody waiting. Then frees `split`.
void FreeSplit(Resources& resources, SplitState* split);

}  // namespace rcproxy::proxy
