// A connection to a node that one client keeps for longer than one request, because something on it
// is the client's own: the keys that it watches.
//
// States: none -> held -> given back (none) | lost.
//
// Owner: whoever keeps it (Watch). Thread: the worker's.
// Invariants: 1. the connection names this as its holder exactly while it is held; 2. a connection
// that is not given back closes with this.
#pragma once

namespace rcproxy::proxy {

class UpstreamConnection;

class HeldLink {
 public:
  HeldLink() = default;
  ~HeldLink() { Close(); }
  HeldLink(const HeldLink&) = delete;
  HeldLink& operator=(const HeldLink&) = delete;

  UpstreamConnection* link() const { return link_; }
  // `link` is from UpstreamNode::TakeOwnLink. Requires: none is held.
  void Take(UpstreamConnection* link);
  // Nothing on it is the client's any more: another may have it. Also for the connection to call
  // when it closes.
  void GiveBack();
  void Close();

 private:
  UpstreamConnection* LetGo();

  UpstreamConnection* link_ = nullptr;
};

}  // namespace rcproxy::proxy
