#include "proxy/held_link.h"

#include <glog/logging.h>

#include <utility>

#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

void HeldLink::Take(UpstreamConnection* link) {
  CHECK(link_ == nullptr);
  link_ = link;
  link->set_holder(this);
}

UpstreamConnection* HeldLink::LetGo() {
  UpstreamConnection* link = std::exchange(link_, nullptr);
  if (link == nullptr) return nullptr;
  link->set_holder(nullptr);
  link->node().ReturnOwnLink(link);
  return link;
}

void HeldLink::GiveBack() { LetGo(); }

void HeldLink::Close() {
  if (UpstreamConnection* link = LetGo()) link->Leave();
}

}  // namespace rcproxy::proxy
