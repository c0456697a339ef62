#include "proxy/upstream_node.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>

namespace rcproxy::proxy {

UpstreamNode::UpstreamNode(Resources& resources, UpstreamObserver& observer, NameResolver& resolver,
                           cluster::NodeAddress address)
    : resources_(resources),
      observer_(observer),
      resolver_(resolver),
      address_(std::move(address)),
      write_mark_(resources.writes.NewMark()),
      stats_(resources.stats.nodes.Add(address_.ToString())),
      // The time tells workers, and processes, apart.
      random_(std::hash<std::string>()(address_.ToString()) ^ resources.io.NowNs()) {
  for (const bool resp3 : {false, true}) {
    for (const bool replica_reads : {false, true}) {
      const LinkKind kind = {.replica_reads = replica_reads, .resp3 = resp3};
      links_[kind.index()] = NewLink(kind);
    }
  }
  for (const LinkKind kind :
       {LinkKind{.is_subscription = true}, LinkKind{.resp3 = true, .tracks_by = TracksBy::kReads},
        LinkKind{.resp3 = true, .tracks_by = TracksBy::kBroadcast}}) {
    links_[kind.index()] = NewLink(kind);
  }
}

std::unique_ptr<UpstreamConnection> UpstreamNode::NewLink(LinkKind kind) {
  return std::make_unique<UpstreamConnection>(resources_, observer_, *this, kind);
}

void UpstreamNode::Resolve(UpstreamConnection* connection) {
  SocketAddress literal;
  const cluster::NodeAddress& where = resources_.config.WhereToReach(address_);
  if (ResolveLiteral(where, &literal)) {
    socket_address_ = literal;
    connection->OnResolved();
    return;
  }
  // A name is looked up at each connect, because addresses behind names change.
  resolver_.Resolve(
      where, [this, connection, alive = std::weak_ptr<bool>(alive_)](const SocketAddress& result) {
        if (alive.expired()) return;
        socket_address_ = result;
        // Unless it has timed out and been forgotten, as one of a client's own may be.
        bool is_there = false;
        ForEachLink([&](const UpstreamConnection& link) { is_there |= &link == connection; });
        if (is_there) connection->OnResolved();
      });
}

void UpstreamNode::OnConnectFailed() {
  if (InBackoff()) return;
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
  is_silent_ = false;
  connect_after_ns_ = 0;
}

void UpstreamNode::NoteConnectTime(int64_t ns) {
  constexpr int64_t kFactor = 4;
  connect_patience_ns_ = std::max(kConnectPatienceMinNs, kFactor * ns);
  was_connected_ = true;
}

// Nobody knows how far away it is: with the shortest patience it might never be reached.
void UpstreamNode::NoteConnectBegunAnew() {
  if (!was_connected_ && connect_patience_ns_ < resources_.config.connect_timeout_ms * 1'000'000)
    connect_patience_ns_ *= 2;
}

void UpstreamNode::NoteFull(bool is_full) {
  is_full ? ++full_links_ : --full_links_;
  is_full ? ++resources_.full_links : --resources_.full_links;
}

std::unique_ptr<UpstreamConnection>& UpstreamNode::PlaceOf(LinkKind kind) {
  return (kind.database == 0 ? links_ : *database_links_[kind.database - 1])[kind.index()];
}

UpstreamConnection& UpstreamNode::DatabaseLink(LinkKind kind) {
  if (kind.database > database_links_.size()) database_links_.resize(kind.database);
  std::unique_ptr<SharedLinks>& links = database_links_[kind.database - 1];
  if (links == nullptr) links = std::make_unique<SharedLinks>();
  std::unique_ptr<UpstreamConnection>& link = (*links)[kind.index()];
  if (link == nullptr) link = NewLink(kind);
  return *link;
}

void UpstreamNode::NoteWait(int64_t now_ns, int64_t waited_ns) {
  queue_delay_.Note(now_ns, waited_ns, resources_.config.shed_queue_delay_ms * 1'000'000);
}

bool UpstreamNode::SetAside(UpstreamConnection* link) {
  if (link->kind().is_own) return false;
  std::unique_ptr<UpstreamConnection>& place = PlaceOf(link->kind());
  const bool tracks = link->kind().tracks_by != TracksBy::kNothing;
  if (place.get() != link || tracks || IsAtLimit() || AreAllAtLimit()) return false;
  set_aside_.push_back(std::exchange(place, NewLink(link->kind())));
  link->set_aside();
  resources_.stats.connections_set_aside.Add();
  return true;
}

UpstreamConnection* UpstreamNode::TakeOwnLink(bool resp3, uint16_t database) {
  const bool may_open = own_opening_ < resources_.config.own_connections_opening_max;
  const auto usable = [resp3, database, may_open](const UpstreamConnection* link) {
    const LinkKind kind = link->kind();
    const bool is_open = link->state() == UpstreamConnection::State::kReady;
    return kind.resp3 == resp3 && kind.database == database && link->CanAccept() &&
           (is_open || may_open);
  };
  if (AreAllAtLimit()) return nullptr;
  const auto found = std::find_if(free_own_links_.rbegin(), free_own_links_.rend(), usable);
  UpstreamConnection* link = nullptr;
  if (found != free_own_links_.rend()) {
    link = *found;
    free_own_links_.erase(std::next(found).base());
  } else {
    if (!may_open || InBackoff() || IsAtLimit()) return nullptr;
    own_links_.push_back(NewLink({.resp3 = resp3, .is_own = true, .database = database}));
    link = own_links_.back().get();
  }
  resources_.stats.own_connections.Add();
  return link;
}

bool UpstreamNode::HasRoomForOwnLink() const {
  return !AreAllAtLimit() && (!free_own_links_.empty() || !IsAtLimit());
}

bool UpstreamNode::IsAtLimit() const {
  return own_links_.size() + set_aside_.size() >= resources_.config.own_connections_max;
}

bool UpstreamNode::AreAllAtLimit() const {
  return resources_.stats.own_connections.value() >= resources_.config.own_connections_total_max;
}

void UpstreamNode::ReturnOwnLink(UpstreamConnection* link) {
  resources_.stats.own_connections.Sub();
  free_own_links_.push_back(link);
}

void UpstreamNode::SweepLinks(int64_t before_ns) {
  std::erase_if(set_aside_,
                [](const auto& link) { return link->state() == UpstreamConnection::State::kIdle; });
  std::erase_if(free_own_links_, [&](UpstreamConnection* link) {
    if (!link->HasRequests() && link->last_used_ns() < before_ns) link->CloseIdle();
    if (link->state() != UpstreamConnection::State::kIdle) return false;
    std::erase_if(own_links_, [link](const auto& owned) { return owned.get() == link; });
    return true;
  });
}

namespace {

bool AreQuiet(std::span<const std::unique_ptr<UpstreamConnection>> links) {
  return std::ranges::all_of(links, [](const std::unique_ptr<UpstreamConnection>& link) {
    return link == nullptr || link->state() == UpstreamConnection::State::kIdle;
  });
}

}  // namespace

bool UpstreamNode::AreDatabaseLinksQuiet() const {
  return std::ranges::all_of(database_links_, [](const std::unique_ptr<SharedLinks>& links) {
    return links == nullptr || AreQuiet(*links);
  });
}

bool UpstreamNode::IsQuiet() const {
  return AreQuiet(links_) && AreDatabaseLinksQuiet() && AreQuiet(own_links_) &&
         AreQuiet(set_aside_);
}

}  // namespace rcproxy::proxy
