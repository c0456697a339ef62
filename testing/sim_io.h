// The Io of tests: descriptors are ends of streams in a SimNetwork, and Poll is what makes virtual
// time pass. The system under test sees nothing but Io.
//
// What the kernel would forgive or punish later is checked at once: an operation on a descriptor
// that is closed or not connected, two operations of one kind on one descriptor, a send whose bytes
// change before they were taken, a descriptor closed with operations in flight. Descriptor numbers
// are never used twice, so a stale one cannot go unnoticed.
//
// Owner: the test, before the system under test. Thread: one, except Wake().
// Invariants: 1. a completion is delivered only in Poll, and at least one step of virtual time
// after its start; 2. NowNs() is constant between the returns of two Polls.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "testing/sim_network.h"
#include "testing/sim_schedule.h"
#include "uring/chunk.h"
#include "uring/io.h"

namespace rcproxy::sim {

struct SimIoOptions {
  size_t receive_chunk_bytes = 16 * 1024;
  // Small limits bring about -ENOBUFS.
  size_t receive_limit_bytes = 64 * 1024 * 1024;
  // What a turn costs; also the time from the start of an operation to its earliest end.
  int64_t turn_ns = kMicrosecond;
  // Completions so close together come in one Poll.
  int64_t batch_ns = 10 * kMicrosecond;
  // Once in so many, OpenSocket has no descriptor left.
  uint64_t open_failure_one_in = 0;
};

class SimIo final : public uring::Io {
 public:
  SimIo(SimNetwork& network, const SimIoOptions& options);
  ~SimIo() override;

  // A listening descriptor for the system under test; SimNetwork::ConnectClient reaches it.
  int Listen(const std::string& address);
  // A client that is already connected, for a system under test that adopts descriptors.
  struct Client {
    int fd;
    SimPeer* peer;
  };
  Client NewClient();

  // Poll returns at this time at the latest, so that a test can look around; kNever to lift.
  void set_horizon_ns(int64_t horizon_ns) { horizon_ns_ = horizon_ns; }
  // Poll returns after any event of the network, also one that the system under test does not see.
  void set_returns_after_each_event(bool value) { returns_after_each_event_ = value; }
  void set_open_failure_one_in(uint64_t one_in) { options_.open_failure_one_in = one_in; }
  // Polls that would have waited for ever.
  int stalls() const { return stalls_; }
  // Descriptors that the system under test has not closed, listening ones included.
  size_t open_descriptors() const { return descriptors_.size(); }
  size_t operations_in_flight() const;

  void Accept(int fd, uring::Completion* completion) override;
  int OpenSocket(int family) override;
  void Connect(int fd, const sockaddr* address, socklen_t length,
               uring::Completion* completion) override;
  void Receive(int fd, uring::Completion* completion) override;
  void ReceiveWhenBuffered(int fd, uring::Completion* completion) override;
  void Send(int fd, const char* data, size_t size, uring::Completion* completion) override;
  void SendMessage(int fd, const msghdr* message, uring::Completion* completion) override;
  void CancelAll(int fd) override;
  void Cancel(uring::Completion* completion) override;
  void Close(int fd) override;
  int Poll(int64_t deadline_ns) override;
  void Wake() override { woken_.store(true, std::memory_order_release); }
  int64_t NowNs() const override { return network_.schedule().now_ns(); }
  uring::ChunkPool& receive_pool() override { return receive_pool_; }

 private:
  enum class Kind : uint8_t { kAccept, kConnect, kReceive, kSend };
  static constexpr int kKinds = 4;

  struct Operation {
    uring::Completion* completion = nullptr;  // Null: none in flight.
    uint64_t id = 0;                          // Tells an operation from its successors.
    bool step_scheduled = false;
    bool waits_for_buffers = false;
    // kSend: exactly one of them, alive until the completion.
    const msghdr* message = nullptr;
    const char* data = nullptr;
    size_t size = 0;
    uint64_t digest = 0;
  };
  struct Descriptor {
    SimEnd* end = nullptr;  // Null until connected, and for listening descriptors.
    std::string address;    // Listening only.
    std::deque<SimEnd*> backlog;
    Operation operations[kKinds];

    Operation& operation(Kind kind) { return operations[static_cast<int>(kind)]; }
  };

  Descriptor& Find(int fd);
  int AddDescriptor(SimEnd* end);
  void SetEnd(int fd, Descriptor& descriptor, SimEnd* end);
  Operation& Start(int fd, Kind kind, uring::Completion* completion);
  // Lets the operation look, `delay_ns` from now, whether it can go on.
  void ScheduleStep(int fd, Kind kind, int64_t delay_ns);
  void StepsOf(int fd);
  void Step(int fd, Kind kind);
  void StepAccept(int fd);
  void StepReceive(int fd);
  void StepSend(int fd);
  void FinishConnect(int fd, uint64_t id, int error, SimEnd* end);
  void CancelOperation(int fd, Kind kind);
  // The operation's end.
  void Deliver(int fd, Kind kind, int32_t result);
  void DeliverEvent(int fd, Kind kind, uring::Event&& event);
  void UnparkReceives();
  bool HasBuffer() const;
  // Returns: false when nothing is left to wait for.
  bool AdvanceToNextEvent(int64_t deadline_ns);

  SimNetwork& network_;
  SimIoOptions options_;
  uring::ChunkPool receive_pool_;
  std::map<int, std::unique_ptr<Descriptor>> descriptors_;
  std::deque<int> parked_;
  std::atomic<bool> woken_ = false;
  int next_fd_ = 1000;  // Far from real descriptors: mixing them up shows.
  uint64_t next_id_ = 1;
  int64_t horizon_ns_ = SimSchedule::kNever;
  bool returns_after_each_event_ = false;
  int delivered_ = 0;
  int stalls_ = 0;
};

// The bytes of a message, gathered.
std::string GatherMessage(const msghdr& message);

}  // namespace rcproxy::sim
