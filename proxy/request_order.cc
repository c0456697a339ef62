#include "proxy/request_order.h"

#include "proxy/command_conflict.h"

namespace rcproxy::proxy {

bool MustKeepOrder(const Request& a, const Request& b) {
  if (a.slot != b.slot || (a.read_only && b.read_only)) return false;
  const auto has_unknown_keys = [](const Request& request) {
    return request.is_unit || request.state == Request::State::kAnswered;
  };
  return has_unknown_keys(a) || has_unknown_keys(b) ||
         MayShareKey({*a.spec, a.bytes.view()}, {*b.spec, b.bytes.view()});
}

}  // namespace rcproxy::proxy
