// Makes one reply of the replies of a split command's parts, by the merge rule of the command
// table.
//
// Any part that failed makes the whole reply an error: that of the first failed part in key order.
// A partial number is a lie. Elements are copied or referenced by their length, never parsed
// further than to their end.
//
// Pure but for the queue it appends to. Thread: the worker's.
#pragma once

#include "proxy/output_queue.h"
#include "proxy/resources.h"
#include "proxy/split_state.h"

namespace rcproxy::proxy {

// Appends the merged reply to `output`. Requires: every part of `split` is answered and holds its
// reply in one segment.
void MergeReplies(Resources& resources, const SplitState& split, OutputQueue* output);
// Frees the parts that are answered; the others will find nobody waiting. Then frees `split`.
void FreeSplit(Resources& resources, SplitState* split);

}  // namespace rcproxy::proxy
