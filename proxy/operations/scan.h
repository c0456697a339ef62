// SCAN over the cluster, slot by slot.
//
// The cursor is the number of the next slot, and nothing else: it is valid on every rcproxy and at
// any time, whatever has moved, failed or restarted since. A slot is always listed whole (CLUSTER
// GETKEYSINSLOT), so a cursor need not remember anything of a node's tables, which are ordered
// differently on each node and at each start.
//
// Why nothing is missed that was there all the time. For each slot a node lists the keys and then,
// in the same send, looks for a key that does not exist:
//   - the second answer comes from the node itself: it owned the slot, and the list is complete;
//   - MOVED: the table changes, which we see by its epoch, and the slot is listed anew at its
//     owner;
//   - ASK: the slot is on its way to the node that is named there. Keys move in one direction and
//     we list the source first, so a key that was not there any more is found at the target.
// A page ends before the first slot that could not be settled.
//
// Duplicates are possible, as on a server: a key may be listed on both sides of a move. COUNT is
// the least number of keys after which a page ends, unless the end comes first or too many slots
// were empty; a slot is never cut, so a page has at least as many keys as the slot it ends with.
#pragma once

#include <memory>

#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::unique_ptr<Operation> MakeScan(const OperationCall& call);

}  // namespace rcproxy::proxy
