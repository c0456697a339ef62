// The seam between rcproxy and the world: kernel, network and clock. Implemented by Ring (io_uring)
// and, in tests, by SimIo (a seeded network in virtual time). Nothing above this line makes a
// system call on the request path.
//
// An operation is started with a Completion that its issuer embeds and owns; starting allocates
// nothing. Results come back through the completion's handler, only from inside Poll(), never
// nested in the call that started the operation.
//
// Owner: the Worker. Thread: one; only Wake() may be called from another.
// Invariants: 1. a completion in flight is neither moved nor destroyed (its destructor checks); 2.
// every started operation ends with exactly one event whose `more` is false, cancelled ones with
// result -ECANCELED (or their own result, if that came first).
#pragma once

#include <glog/logging.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "uring/chunk.h"

namespace rcproxy::uring {

// What an operation reports.
struct Event {
  int32_t result = 0;  // Bytes, a descriptor, or 0; -errno on failure.
  bool more = false;   // The operation stays armed (multishot) and will report again.
  Slice data;          // Receive only: the bytes received; empty when result <= 0.
};

class Completion {
 public:
  // `event` is the handler's to consume.
  using Handler = void (*)(Completion* self, Event&& event);

  explicit Completion(Handler handler) : handler_(handler) {}
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion() { CHECK(!in_flight_); }

  bool in_flight() const { return in_flight_; }

  // For implementations of Io only.
  void Start() {
    DCHECK(!in_flight_);
    in_flight_ = true;
  }
  void Deliver(Event&& event) {
    DCHECK(in_flight_);
    in_flight_ = event.more;
    handler_(this, std::move(event));  // May free *this when !more.
  }
  // What the implementation remembers about the operation; nullptr when nothing.
  void* io_state() const { return io_state_; }
  void set_io_state(void* state) { io_state_ = state; }

 private:
  Handler handler_;
  void* io_state_ = nullptr;
  bool in_flight_ = false;
};

class Io {
 public:
  virtual ~Io() = default;

  // Accepts connections on a listening descriptor until cancelled or failed (-EMFILE, for example;
  // the caller may start again); each event's result is a new descriptor. Linux copies TCP_NODELAY
  // and buffer sizes from the listener.
  virtual void Accept(int fd, Completion* completion) = 0;
  // Opens a stream socket of `family`, blocking (the ring waits, not the call) and with
  // TCP_NODELAY. Returns: descriptor or -errno. Not on the request path.
  virtual int OpenSocket(int family) = 0;
  // `address` must stay alive until the completion.
  virtual void Connect(int fd, const sockaddr* address, socklen_t length,
                       Completion* completion) = 0;
  // Receives into buffers of the implementation's pool until cancelled or the peer closes (result
  // 0) or fails. Ends with -ENOBUFS when the pool is exhausted: a normal state; see
  // ReceiveWhenBuffered.
  virtual void Receive(int fd, Completion* completion) = 0;
  // Like Receive, but armed only when buffers have come back. For use after -ENOBUFS, or to be fair
  // after it.
  virtual void ReceiveWhenBuffered(int fd, Completion* completion) = 0;
  // Sends; may complete short. `data`, and `message` with all it refers to, must stay alive until
  // the completion.
  virtual void Send(int fd, const char* data, size_t size, Completion* completion) = 0;
  virtual void SendMessage(int fd, const msghdr* message, Completion* completion) = 0;
  // Asks for an early end of everything in flight on `fd`; the operations' own completions report
  // it.
  virtual void CancelAll(int fd) = 0;
  // Asks for an early end of one operation; a no-op when it is not in flight.
  virtual void Cancel(Completion* completion) = 0;
  // Closes a descriptor. Requires: no operation in flight on it.
  virtual void Close(int fd) = 0;

  // Submits what was started and waits for events until `deadline_ns` (steady clock; 0 = do not
  // wait, INT64_MAX = for ever), then delivers those that have come. May return early. Returns the
  // number delivered.
  virtual int Poll(int64_t deadline_ns) = 0;
  // Allows the following Polls to wait for up to `completions` events, but not longer than
  // `wait_us` once there is one: for a caller who knows that more are on their way. 0 ends it.
  virtual void SetBatchHint([[maybe_unused]] int completions, [[maybe_unused]] int wait_us) {}
  // Makes a concurrent or the next Poll return. Any thread.
  virtual void Wake() = 0;

  // Steady time, read once per Poll, so constant within a turn.
  virtual int64_t NowNs() const = 0;
  // The pool that Receive fills.
  virtual ChunkPool& receive_pool() = 0;
};

}  // namespace rcproxy::uring
