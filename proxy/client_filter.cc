#include "proxy/client_filter.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/client_info.h"
#include "proxy/text.h"

namespace rcproxy::proxy {

bool ClientFilter::Matches(const Session& session) const {
  if (session.id == except_id || type == ClientType::kOther) return false;
  if (type != ClientType::kAny && session.IsSubscriber() != (type == ClientType::kPubSub))
    return false;
  if (!ids.empty() && std::ranges::find(ids, session.id) == ids.end()) return false;
  if (address.has_value() && PeerAddress(session) != *address) return false;
  return !local_address.has_value() || LocalAddress(session) == *local_address;
}

bool ParseClientType(std::string_view name, ClientType* type) {
  constexpr std::pair<std::string_view, ClientType> kTypes[] = {
      {"normal", ClientType::kNormal}, {"pubsub", ClientType::kPubSub},
      {"slave", ClientType::kOther},   {"replica", ClientType::kOther},
      {"master", ClientType::kOther},
  };
  const auto* found = std::ranges::find_if(
      kTypes, [name](const auto& known) { return EqualsIgnoreCase(name, known.first); });
  if (found == std::end(kTypes)) return false;
  *type = found->second;
  return true;
}

}  // namespace rcproxy::proxy
