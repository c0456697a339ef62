// EXEC of a transaction whose keys lie in several slots (--transactions=split): what it has for
// each slot is a transaction of its own at that slot's owner. All are sent together; the reply has
// the replies to all commands in the order in which they were queued. Another client may see one
// slot's part executed and not yet another's, and a part that fails leaves the others as they are:
// its error stands in the places of its commands.
#pragma once

#include <memory>

#include "proxy/operation.h"
#include "proxy/transaction.h"

namespace rcproxy::proxy {

// Takes what `transaction` has queued. Requires: every part has a slot.
std::unique_ptr<Operation> MakeSplitExec(Transaction* transaction);

}  // namespace rcproxy::proxy
