// Whether two commands may touch the same key, and so have to keep their order. For the rare case
// that one waits for a retry while the other has been executed; scans both commands anew.
//
// Pure. Thread: any.
#pragma once

#include <string_view>

#include "cluster/command_table.h"

namespace rcproxy::proxy {

struct CommandRef {
  const cluster::CommandSpec& spec;
  std::string_view bytes;  // The whole command in multibulk form.
};

// True when the commands name a key in common, or when the keys of either are not known.
bool MayShareKey(const CommandRef& a, const CommandRef& b);

// True when the command can name several keys, so that a slot in motion may answer it with
// TRYAGAIN.
bool CanHaveManyKeys(const cluster::CommandSpec& spec);

}  // namespace rcproxy::proxy
