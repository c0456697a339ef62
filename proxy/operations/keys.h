// KEYS: the keys of all primaries, joined while they arrive (JoinedReply). A pattern that names a
// hash tag before anything else than plain characters is for the owner of one slot.
#pragma once

#include <memory>
#include <string_view>

#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::unique_ptr<Operation> MakeKeys(const OperationCall& call);

// The slot of every key that matches `pattern`, or -1: "{user}:*" matches keys with one hash tag.
int SlotOfPattern(std::string_view pattern);

}  // namespace rcproxy::proxy
