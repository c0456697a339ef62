// Which writes may be sent again when it is not known whether they were executed
// (--retry_idempotent_writes).
//
// Idempotent: executed twice with nothing in between it leaves the same data as executed once, at
// the later time, and gives the same reply. So SET is, and SETEX, whose time begins anew; DEL and
// HSET are not, because they count what was there. The table says which commands are
// (kFlagIdempotent); SET is unless an option makes it look at what was there.
//
// Pure. Thread: any.
#pragma once

#include <string_view>

#include "cluster/command_table.h"

namespace rcproxy::proxy {

// `command` is complete, as it was sent.
bool IsIdempotentWrite(const cluster::CommandSpec& spec, std::string_view command);

}  // namespace rcproxy::proxy
