// Commands that are split by slot as MGET is, but with more in each part than a name and keys:
//
//   XREAD, XREADGROUP ... STREAMS key ... id ...    streams that have entries, in key order
//   MSETEX n key value ... [expiry]                 1; with NX or XX all or nothing, so never split
//   JSON.MGET key ... path, JSON.MSET key path value ..., TS.MADD key time value ...
//
// Each part is the command itself with the keys of one slot; an error of any is the reply. Not one
// moment across slots.
#pragma once

#include <memory>

#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

// nullptr when the command is none of them, or must not be split in the form given: CROSSSLOT.
// Requires: keys in several slots, found by FindKeys.
std::unique_ptr<Operation> MakeSlotSplit(const OperationCall& call);

}  // namespace rcproxy::proxy
