#include "uring/socket.h"

#include <glog/logging.h>

#include <cerrno>
#include <utility>

namespace rcproxy::uring {

Socket::Socket(Io& io, SocketListener& listener)
    : io_(io), listener_(listener), receive_(&OnReceiveEvent, this), send_(&OnSendEvent, this) {}

Socket::~Socket() { CHECK(is_closed()); }

void Socket::Adopt(int fd) {
  CHECK(is_closed());
  CHECK_GE(fd, 0);
  fd_ = fd;
  state_ = State::kOpen;
  receive_wanted_ = false;
  receive_ended_ = false;
}

void Socket::StartReceive() {
  if (!is_open() || receive_ended_) return;
  receive_wanted_ = true;
  // A receive that PauseReceive cancelled may still be in flight; its last event arms anew.
  if (!receive_.completion.in_flight()) io_.Receive(fd_, &receive_.completion);
}

void Socket::PauseReceive() {
  if (!receive_wanted_) return;
  receive_wanted_ = false;
  if (receive_.completion.in_flight()) io_.Cancel(&receive_.completion);
}

void Socket::Send(const char* data, size_t size) {
  CHECK(is_open());
  CHECK(!sending());
  io_.Send(fd_, data, size, &send_.completion);
}

void Socket::SendMessage(const msghdr* message) {
  CHECK(is_open());
  CHECK(!sending());
  io_.SendMessage(fd_, message, &send_.completion);
}

void Socket::Close() {
  if (!is_open()) return;
  state_ = State::kClosing;
  receive_wanted_ = false;
  if (receive_.completion.in_flight() || sending()) {
    io_.CancelAll(fd_);
  } else {
    FinishCloseIfIdle();
  }
}

void Socket::FinishCloseIfIdle() {
  DCHECK(state_ == State::kClosing);
  if (receive_.completion.in_flight() || sending()) return;
  io_.Close(std::exchange(fd_, -1));
  state_ = State::kClosed;
  listener_.OnSocketClosed();  // Last: *this may be gone.
}

void Socket::OnReceiveEvent(Completion* completion, Event&& event) {
  reinterpret_cast<Operation*>(completion)->socket->HandleReceive(std::move(event));
}

void Socket::OnSendEvent(Completion* completion, Event&& event) {
  reinterpret_cast<Operation*>(completion)->socket->HandleSend(event);
}

// Each listener call is the last statement of its path: it may close and destroy this socket.
void Socket::HandleReceive(Event&& event) {
  if (state_ == State::kClosing) {
    event.data.Clear();
    if (!event.more) FinishCloseIfIdle();
    return;
  }
  if (event.result > 0) {
    if (!event.more && receive_wanted_) io_.Receive(fd_, &receive_.completion);
    listener_.OnReceived(std::move(event.data));
    return;
  }
  DCHECK(!event.more);
  switch (event.result) {
    case -ECANCELED:  // Ours, from PauseReceive; StartReceive may have been called since.
    case -EINTR:
      if (receive_wanted_) io_.Receive(fd_, &receive_.completion);
      return;
    case -ENOBUFS:
      if (receive_wanted_) io_.ReceiveWhenBuffered(fd_, &receive_.completion);
      return;
  }
  receive_ended_ = true;
  receive_wanted_ = false;
  listener_.OnReceiveEnded(-event.result);
}

void Socket::HandleSend(const Event& event) {
  if (state_ == State::kClosing) {
    FinishCloseIfIdle();
    return;
  }
  if (event.result > 0) {
    listener_.OnSent(static_cast<size_t>(event.result), 0);
  } else {
    // Zero bytes taken is no progress and would be retried for ever.
    listener_.OnSent(0, event.result < 0 ? -event.result : EPIPE);
  }
}

}  // namespace rcproxy::uring
