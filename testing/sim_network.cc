#include "testing/sim_network.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rcproxy::sim {

size_t SimEnd::Space() const {
  const size_t used = other_->unread_bytes();
  return used >= link_.window_bytes ? 0 : link_.window_bytes - used;
}

void SimEnd::Write(std::string_view bytes) {
  if (closed_ || write_ended_) return;
  if (!schedule_.random().OneIn(link_.cut_one_in)) {
    if (!bytes.empty()) Transmit(Kind::kBytes, bytes);
    return;
  }
  while (!bytes.empty()) {
    // Pieces of all magnitudes: single bytes have to be as usual as thousands.
    const uint64_t magnitude = 1 + schedule_.random().Below(14);
    const size_t size = 1 + schedule_.random().Below(uint64_t{1} << magnitude);
    Transmit(Kind::kBytes, bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
}

void SimEnd::ShutdownWrite() {
  if (closed_ || write_ended_) return;
  write_ended_ = true;
  Transmit(Kind::kEnd, {});
}

void SimEnd::Close() {
  if (closed_) return;
  if (!arrived().empty()) return Reset();
  ShutdownWrite();
  closed_ = true;
}

void SimEnd::Reset() {
  if (closed_) return;
  closed_ = true;
  // The arrivals that were scheduled for the lost segments find the reset instead, so it comes
  // early.
  other_->under_way_.clear();
  other_->under_way_bytes_ = 0;
  Transmit(Kind::kReset, {});
}

std::string_view SimEnd::arrived() const { return std::string_view(arrived_).substr(consumed_); }

void SimEnd::Consume(size_t bytes) {
  CHECK_LE(bytes, arrived().size());
  if (bytes == 0) return;
  consumed_ += bytes;
  if (consumed_ == arrived_.size() || consumed_ > 1024 * 1024) {
    arrived_.erase(0, consumed_);
    consumed_ = 0;
  }
  // The other end learns of the room a latency later.
  SimEnd* other = other_;
  schedule_.After(link_.latency_min_ns, [other] { other->Notify(); });
}

void SimEnd::Hold(bool held) {
  held_ = held;
  if (held_) return;
  for (int late = std::exchange(held_arrivals_, 0); late > 0; --late) {
    schedule_.After(link_.latency_min_ns, [this] { ArriveNext(); });
  }
}

void SimEnd::Transmit(Kind kind, std::string_view bytes) {
  SimRandom& random = schedule_.random();
  int64_t latency = random.Between(link_.latency_min_ns, link_.latency_max_ns);
  if (random.OneIn(link_.stall_one_in)) latency += random.Between(0, link_.stall_max_ns);
  const int64_t arrival = std::max(schedule_.now_ns() + latency, other_->last_arrival_ns_);
  other_->last_arrival_ns_ = arrival;
  other_->under_way_.push_back({kind, std::string(bytes)});
  other_->under_way_bytes_ += bytes.size();
  schedule_.At(arrival, [other = other_] { other->ArriveNext(); });
}

void SimEnd::ArriveNext() {
  if (held_) {
    ++held_arrivals_;
    return;
  }
  if (under_way_.empty()) return;  // Lost by a reset.
  Segment segment = std::move(under_way_.front());
  under_way_.pop_front();
  under_way_bytes_ -= segment.bytes.size();
  if (schedule_.random().OneIn(link_.reset_one_in)) return Break();
  Arrive(std::move(segment));
}

void SimEnd::Arrive(Segment segment) {
  if (reset_arrived_) return;
  if (closed_) {
    // Nobody is here any more: bytes are answered by a reset.
    if (segment.kind == Kind::kBytes && !other_->closed_ && !other_->reset_arrived_) {
      Transmit(Kind::kReset, {});
    }
    return;
  }
  switch (segment.kind) {
    case Kind::kBytes:
      arrived_ += segment.bytes;
      break;
    case Kind::kEnd:
      end_arrived_ = true;
      break;
    case Kind::kReset:
      reset_arrived_ = true;
      write_ended_ = true;
      break;
  }
  Notify();
}

void SimEnd::Break() {
  ++broken_streams_;
  for (SimEnd* end : {this, other_}) {
    end->under_way_.clear();
    end->under_way_bytes_ = 0;
    end->Arrive({Kind::kReset, {}});
  }
}

void SimEnd::Notify() {
  if (listener_ != nullptr && !closed_) listener_();
}

SimPeer::SimPeer(SimEnd& end) : end_(end) {
  end_.SetListener([this] { ReadArrived(); });
}

std::string SimPeer::Take() { return std::exchange(received_, std::string()); }

void SimPeer::SetReading(bool reading) {
  reading_ = reading;
  if (reading_) ReadArrived();
}

void SimPeer::ReadArrived() {
  if (!reading_) return;
  received_ += end_.arrived();
  end_.Consume(end_.arrived().size());
  if (listener_ != nullptr) listener_();
}

void SimNetwork::Listen(const std::string& address, PeerCallback on_connect) {
  ListenEnds(address,
             [this, on_connect = std::move(on_connect)](SimEnd* end) { on_connect(NewPeer(end)); });
}

void SimNetwork::ListenEnds(const std::string& address, EndCallback on_connect) {
  listeners_[address] = std::move(on_connect);
}

void SimNetwork::SetAllLinks(const SimLink& link) {
  default_link_ = link;
  for (const auto& end : ends_) end->link() = link;
}

void SimNetwork::Connect(const std::string& address, ConnectCallback done) {
  schedule_.After(Latency(), [this, address, done = std::move(done)] {
    const auto mode = modes_.find(address);
    if (mode != modes_.end() && mode->second == ConnectMode::kSilent) return;
    const auto listener = listeners_.find(address);
    if (listener == listeners_.end() ||
        (mode != modes_.end() && mode->second == ConnectMode::kRefuse)) {
      return done(ECONNREFUSED, nullptr);
    }
    auto [ours, theirs] = NewStream();
    // A copy: the callback may stop listening.
    EndCallback on_connect = listener->second;
    on_connect(theirs);
    done(0, ours);
  });
}

SimPeer* SimNetwork::ConnectClient(const std::string& address) {
  auto [theirs, ours] = NewStream();
  theirs->Hold(true);  // Nobody is there yet to be told of bytes.
  schedule_.After(Latency(), [this, address, theirs = theirs] {
    const auto listener = listeners_.find(address);
    if (listener == listeners_.end()) return theirs->Reset();
    EndCallback on_connect = listener->second;
    on_connect(theirs);
    theirs->Hold(false);
  });
  return NewPeer(ours);
}

SimNetwork::Pair SimNetwork::NewPair() {
  auto [end, peer_end] = NewStream();
  return {end, NewPeer(peer_end)};
}

int64_t SimNetwork::Latency() {
  return schedule_.random().Between(default_link_.latency_min_ns, default_link_.latency_max_ns);
}

std::pair<SimEnd*, SimEnd*> SimNetwork::NewStream() {
  auto a = std::make_unique<SimEnd>(schedule_, default_link_, broken_streams_);
  auto b = std::make_unique<SimEnd>(schedule_, default_link_, broken_streams_);
  a->other_ = b.get();
  b->other_ = a.get();
  std::pair<SimEnd*, SimEnd*> stream(a.get(), b.get());
  ends_.push_back(std::move(a));
  ends_.push_back(std::move(b));
  return stream;
}

SimPeer* SimNetwork::NewPeer(SimEnd* end) {
  peers_.push_back(std::make_unique<SimPeer>(*end));
  return peers_.back().get();
}

}  // namespace rcproxy::sim
