// What one client has told us about itself, independent of any connection to a node.
//
// Owner: ClientConnection. Thread: the worker's. Kept small: an idle client costs this and its
// socket's state; names live on the heap only for clients that set one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace rcproxy::cluster {
struct CommandSpec;
}

namespace rcproxy::proxy {

struct SessionNames {
  std::string name;
  std::string library_name;
  std::string library_version;
};

struct Session {
  int64_t id = 0;  // Unique for the life of the process, growing.
  int64_t created_ns = 0;
  int64_t last_command_ns = 0;
  int fd = -1;
  bool authenticated = false;
  bool prefers_replicas = false;  // READONLY was given.
  const cluster::CommandSpec* last_command = nullptr;
  std::unique_ptr<SessionNames> names;
};

}  // namespace rcproxy::proxy
