// Which clients CLIENT LIST and CLIENT KILL mean.
//
// Pure but for asking the kernel for the addresses of sockets. Thread: Matches on the one that owns
// the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session.h"

namespace rcproxy::proxy {

enum class ClientType : uint8_t {
  kAny,
  kNormal,
  kPubSub,
  kOther,  // Masters and replicas: rcproxy has none of them.
};

// Conditions that are not set let every client through.
struct ClientFilter {
  std::vector<int64_t> ids;
  ClientType type = ClientType::kAny;
  std::optional<std::string> address;
  std::optional<std::string> local_address;
  int64_t except_id = 0;

  bool Matches(const Session& session) const;
};

// Returns false for a name that no server knows.
bool ParseClientType(std::string_view name, ClientType* type);

}  // namespace rcproxy::proxy
