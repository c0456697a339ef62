// How CLIENT INFO and CLIENT LIST describe one client: the server's line of field=value pairs.
//
// Pure but for asking the kernel for the addresses of the client's socket. Any thread that owns the
// session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/session.h"

namespace rcproxy::proxy {

// What a client holds at a moment.
struct ClientUse {
  int64_t now_ns = 0;  // 0: when it sent its last command.
  size_t input_bytes = 0;
  size_t output_bytes = 0;
  bool monitors = false;
  bool is_blocked = false;
  int queued = -1;  // Commands in its transaction; -1: it has none.
};

// One line that ends with LF, as CLIENT INFO has it. What rcproxy does not keep is 0. `command` is
// its last one.
std::string ClientInfoLine(const Session& session, std::string_view command,
                           const ClientUse& use = {});

// "host:port" of its end and of ours, as in that line.
std::string PeerAddress(const Session& session);
std::string LocalAddress(const Session& session);

}  // namespace rcproxy::proxy
