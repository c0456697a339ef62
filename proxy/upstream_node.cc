#include "proxy/upstream_node.h"

#include <algorithm>
#include <utility>

namespace rcproxy::proxy {

UpstreamNode::UpstreamNode(Resources& resources, UpstreamObserver& observer, NameResolver& resolver,
                           cluster::NodeAddress address)
    : resources_(resources),
      resolver_(resolver),
      address_(std::move(address)),
      random_(0x9e3779b97f4a7c15u * (address_.port + 1u)),
      links_{{{resources, observer, *this, {.replica_reads = false, .resp3 = false}},
              {resources, observer, *this, {.replica_reads = true, .resp3 = false}},
              {resources, observer, *this, {.replica_reads = false, .resp3 = true}},
              {resources, observer, *this, {.replica_reads = true, .resp3 = true}}}} {}

void UpstreamNode::Resolve(UpstreamConnection* connection) {
  SocketAddress literal;
  if (ResolveLiteral(address_, &literal)) {
    socket_address_ = literal;
    connection->OnResolved();
    return;
  }
  // A name is looked up at each connect, because addresses behind names change.
  resolver_.Resolve(address_, [this, connection,
                               alive = std::weak_ptr<bool>(alive_)](const SocketAddress& result) {
    if (alive.expired()) return;
    socket_address_ = result;
    connection->OnResolved();
  });
}

void UpstreamNode::OnConnectFailed() {
  const Config& config = resources_.config;
  int64_t delay_ms = config.reconnect_delay_min_ms << std::min(failures_, 16);
  delay_ms = std::min(delay_ms, config.reconnect_delay_max_ms);
  ++failures_;
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const int64_t jitter_ms = static_cast<int64_t>((random_ >> 33) % (delay_ms / 2 + 1));
  connect_after_ns_ = resources_.io.NowNs() + (delay_ms / 2 + jitter_ms) * 1'000'000;
}

void UpstreamNode::OnConnectSucceeded() {
  failures_ = 0;
  connect_after_ns_ = 0;
}

bool UpstreamNode::IsQuiet() const {
  return std::ranges::all_of(links_, [](const UpstreamConnection& link) {
    return link.state() == UpstreamConnection::State::kIdle;
  });
}

}  // namespace rcproxy::proxy
