// Commands whose keys lie in several slots, computed from what the nodes have: exactly what one
// server would answer, if nothing is written meanwhile.
//
//   SUNION SINTER SDIFF SINTERCARD   each slot's part is reduced by its node first
//   ZUNION ZINTER ZDIFF ZINTERCARD   each key is fetched, and combined in the server's order,
//                                    because sums of doubles depend on it
//   PFCOUNT                          each key is fetched, and registers are merged
//   LCS                              both values are fetched
//
// The inputs are not one moment: they come from several nodes. What is fetched is bounded by
// --compute_bytes_max. Wrong options are put to a node with one key, so their errors are the
// server's.
#pragma once

#include <span>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::span<const OperationRow> SetOperations();
std::span<const OperationRow> SortedSetOperations();
std::span<const OperationRow> StringOperations();

}  // namespace rcproxy::proxy
