// One connected stream socket and its operations in the kernel: at most one receive and one send.
//
// States: closed -> open -> closing -> closed. Close() is decide, join, free: it cancels what is in
// flight, and only when the kernel holds nothing any more is the descriptor closed and the listener
// told.
//
// Owner: a connection. Thread: the worker's.
// Invariants: 1. the descriptor is valid exactly in open and closing; 2. after Close() no listener
// call but OnSocketClosed() is made; 3. never two sends in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "uring/io.h"

namespace rcproxy::uring {

class SocketListener {
 public:
  virtual void OnReceived(Slice data) = 0;
  // No more bytes will come: 0 = the peer closed its side, else an errno value. The socket is still
  // open for sending.
  virtual void OnReceiveEnded(int error) = 0;
  // `bytes` > 0 were taken by the kernel, or error != 0 and nothing more can be sent.
  virtual void OnSent(size_t bytes, int error) = 0;
  // Last call: nothing is in flight; the listener may be destroyed from inside it.
  virtual void OnSocketClosed() = 0;

 protected:
  ~SocketListener() = default;
};

class Socket {
 public:
  Socket(Io& io, SocketListener& listener);
  ~Socket();  // Requires: closed.

  // Takes over a connected, blocking descriptor. Requires: closed.
  void Adopt(int fd);
  bool is_open() const { return state_ == State::kOpen; }
  bool is_closed() const { return state_ == State::kClosed; }
  int fd() const { return fd_; }

  // Starts receiving; idempotent. Out of buffers is handled here: the receive is parked until
  // buffers are back.
  void StartReceive();
  // Stops receiving; bytes that the kernel had already taken are still delivered (invariant 2
  // permitting).
  void PauseReceive();
  bool receiving() const { return receive_wanted_; }

  bool sending() const { return send_.completion.in_flight(); }
  // Requires: open and !sending(). Arguments stay alive until OnSent.
  void Send(const char* data, size_t size);
  void SendMessage(const msghdr* message);

  // Idempotent. Ends with OnSocketClosed(), possibly before this returns when nothing was in
  // flight.
  void Close();

 private:
  enum class State : uint8_t { kClosed, kOpen, kClosing };
  struct Operation {
    Operation(Completion::Handler handler, Socket* owner) : completion(handler), socket(owner) {}
    Completion completion;  // First member: the handler casts back.
    Socket* socket;
  };

  static void OnReceiveEvent(Completion* completion, Event&& event);
  static void OnSendEvent(Completion* completion, Event&& event);
  void HandleReceive(Event&& event);
  void HandleSend(const Event& event);
  void FinishCloseIfIdle();

  Io& io_;
  SocketListener& listener_;
  Operation receive_;
  Operation send_;
  int fd_ = -1;
  State state_ = State::kClosed;
  bool receive_wanted_ = false;
  bool receive_ended_ = false;
};

}  // namespace rcproxy::uring
