// A network in memory and virtual time: addresses that accept connections, and streams whose bytes
// arrive later, in pieces, or never.
//
//        SimEnd A                                  SimEnd B
//   Write ──► cut into segments ── latency ──► arrived() ── Consume ──► reader
//   reader ◄── Consume ── arrived() ◄── latency ── cut into segments ◄── Write
//
// A SimEnd is one end of a stream. The system under test has its ends behind the descriptors of a
// SimIo; the test has its own as SimPeer. Faults are drawn from the schedule's seed, as often as
// the stream's SimLink says.
//
// Owner: the test; a stream lives as long as the network. Thread: one.
// Invariants: 1. the bytes of one direction arrive in order, each exactly once, or the stream
// breaks; 2. callbacks run only from the schedule, never nested in a call of the other end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_schedule.h"

namespace rcproxy::sim {

// How a stream behaves. "one_in" is once in so many on average; 0 is never.
struct SimLink {
  int64_t latency_min_ns = 20 * kMicrosecond;
  int64_t latency_max_ns = 60 * kMicrosecond;
  // A writer that has so many bytes under way or unread has to wait.
  size_t window_bytes = 256 * 1024;
  uint64_t cut_one_in = 0;         // A write travels in pieces of random sizes.
  uint64_t short_send_one_in = 0;  // A send of the system under test takes only a part.
  uint64_t stall_one_in = 0;       // A segment is late by up to stall_max_ns, and all behind it.
  int64_t stall_max_ns = 5 * kMillisecond;
  uint64_t reset_one_in = 0;  // A segment does not arrive: the stream breaks.
};

class SimEnd {
 public:
  // `broken_streams` counts the streams that break by themselves.
  SimEnd(SimSchedule& schedule, const SimLink& link, uint64_t& broken_streams)
      : schedule_(schedule), broken_streams_(broken_streams), link_(link) {}
  SimEnd(const SimEnd&) = delete;
  SimEnd& operator=(const SimEnd&) = delete;

  // Runs when bytes or an end have arrived, and when Space() has grown.
  void SetListener(std::function<void()> listener) { listener_ = std::move(listener); }

  // How many bytes the window still takes.
  size_t Space() const;
  // Sends; does not look at the window. Bytes to an end that is gone are lost.
  void Write(std::string_view bytes);
  // No more bytes from here; the other end may go on.
  void ShutdownWrite();
  // Gone without a reset, unless unread bytes are lost by it (as TCP has it).
  void Close();
  // Gone; what is under way to the other end is lost.
  void Reset();

  std::string_view arrived() const;
  void Consume(size_t bytes);
  bool end_arrived() const { return end_arrived_; }
  bool reset_arrived() const { return reset_arrived_; }
  bool closed() const { return closed_; }
  // Bytes that the other end has written and that were not consumed here.
  size_t unread_bytes() const { return under_way_bytes_ + arrived().size(); }
  // The other end's writes arrive no more until the hold is lifted; nothing is lost.
  void Hold(bool held);

  const SimLink& link() const { return link_; }
  SimLink& link() { return link_; }

 private:
  friend class SimNetwork;
  enum class Kind : uint8_t { kBytes, kEnd, kReset };
  struct Segment {
    Kind kind;
    std::string bytes;
  };

  void Transmit(Kind kind, std::string_view bytes);
  void ArriveNext();
  void Arrive(Segment segment);
  void Break();
  void Notify();

  SimSchedule& schedule_;
  uint64_t& broken_streams_;
  SimLink link_;
  SimEnd* other_ = nullptr;
  std::function<void()> listener_;
  std::deque<Segment> under_way_;  // To this end.
  size_t under_way_bytes_ = 0;
  int64_t last_arrival_ns_ = 0;
  std::string arrived_;
  size_t consumed_ = 0;
  int held_arrivals_ = 0;
  bool held_ = false;
  bool end_arrived_ = false;
  bool reset_arrived_ = false;
  bool write_ended_ = false;
  bool closed_ = false;
};

// The test's end of a stream: a client of the system under test, or a node's connection. Reads by
// itself what arrives.
class SimPeer {
 public:
  explicit SimPeer(SimEnd& end);

  void Write(std::string_view bytes) { end_.Write(bytes); }
  // All bytes that have arrived and were not taken.
  const std::string& received() const { return received_; }
  std::string Take();
  // The opposite of Take: `bytes` are received again, first.
  void PutBack(std::string_view bytes) { received_.insert(0, bytes); }
  void ShutdownWrite() { end_.ShutdownWrite(); }
  void Close() { end_.Close(); }
  void Reset() { end_.Reset(); }
  // The system under test has ended its side, in order or by a reset.
  bool closed_by_peer() const { return end_.end_arrived() || end_.reset_arrived(); }
  bool reset_by_peer() const { return end_.reset_arrived(); }
  // The other end is gone, or we are.
  bool IsOpen() const { return !end_.closed() && !closed_by_peer(); }
  // A slow reader: the window fills up until reading goes on.
  void SetReading(bool reading);
  // Runs after bytes or an end have arrived.
  void SetListener(std::function<void()> listener) { listener_ = std::move(listener); }
  SimEnd& end() { return end_; }

 private:
  void ReadArrived();

  SimEnd& end_;
  std::string received_;
  std::function<void()> listener_;
  bool reading_ = true;
};

enum class ConnectMode : uint8_t {
  kAccept,
  kRefuse,  // ECONNREFUSED after one latency.
  kSilent,  // Never answers.
};

class SimNetwork {
 public:
  using EndCallback = std::function<void(SimEnd*)>;
  using PeerCallback = std::function<void(SimPeer*)>;
  // `end` is nullptr when `error` is not 0.
  using ConnectCallback = std::function<void(int error, SimEnd* end)>;

  explicit SimNetwork(SimSchedule& schedule) : schedule_(schedule) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // The behaviour of streams that are opened from now on.
  SimLink& default_link() { return default_link_; }
  // The behaviour of all streams from now on.
  void SetAllLinks(const SimLink& link);
  // Addresses are "host:port" with a numeric host, "[v6]:port".
  void Listen(const std::string& address, PeerCallback on_connect);
  void ListenEnds(const std::string& address, EndCallback on_connect);
  void StopListening(const std::string& address) { listeners_.erase(address); }
  // For the next connects to `address`. Requires: somebody listens there, or has done.
  void SetConnectMode(const std::string& address, ConnectMode mode) { modes_[address] = mode; }

  // Runs `done` when the connection stands or was refused; never for a silent address.
  void Connect(const std::string& address, ConnectCallback done);
  // The test connects as a client; what it writes at once arrives once it was accepted.
  SimPeer* ConnectClient(const std::string& address);
  // Both ends of a connected stream.
  struct Pair {
    SimEnd* end;
    SimPeer* peer;
  };
  Pair NewPair();

  SimSchedule& schedule() { return schedule_; }
  // Streams that broke because their SimLink said so.
  uint64_t broken_streams() const { return broken_streams_; }

 private:
  int64_t Latency();
  std::pair<SimEnd*, SimEnd*> NewStream();
  SimPeer* NewPeer(SimEnd* end);

  SimSchedule& schedule_;
  SimLink default_link_;
  std::map<std::string, EndCallback> listeners_;
  std::map<std::string, ConnectMode> modes_;
  uint64_t broken_streams_ = 0;
  std::vector<std::unique_ptr<SimEnd>> ends_;
  std::vector<std::unique_ptr<SimPeer>> peers_;
};

}  // namespace rcproxy::sim
