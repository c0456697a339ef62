#include "proxy/client_filter.h"

#include <algorithm>

#include "proxy/client_info.h"
#include "proxy/text.h"

namespace rcproxy::proxy {

bool ClientFilter::Matches(const Session& session) const {
  if (session.id == except_id || type == ClientType::kOther) return false;
  if (!ids.empty() && std::ranges::find(ids, session.id) == ids.end()) return false;
  if (address.has_value() && PeerAddress(session) != *address) return false;
  return !local_address.has_value() || LocalAddress(session) == *local_address;
}

bool ParseClientType(std::string_view name, ClientType* type) {
  *type = EqualsIgnoreCase(name, "normal") ? ClientType::kNormal : ClientType::kOther;
  if (*type == ClientType::kNormal) return true;
  constexpr std::string_view kOthers[] = {"slave", "replica", "pubsub", "master"};
  return std::ranges::any_of(
      kOthers, [name](std::string_view other) { return EqualsIgnoreCase(name, other); });
}

}  // namespace rcproxy::proxy
