// CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT with --face=cluster: the slot's owner answers. While a
// slot moves, it does not know of the keys that have gone.
#pragma once

#include <span>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::span<const OperationRow> SlotOperations();

}  // namespace rcproxy::proxy
