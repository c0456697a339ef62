// The part of UpstreamConnection that opens it: address, connect, greeting.
#include <errno.h>
#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/errors.h"
#include "proxy/reply_queue.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"
#include "resp/number.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr std::string_view kClientIdCommand = "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n";
constexpr std::string_view kReadOnlyCommand = "*1\r\n$8\r\nREADONLY\r\n";

// What servers before 6.0 say to HELLO, and others to a version of the protocol they do not know.
bool RefusesProtocol(std::string_view reply) {
  return reply.starts_with("-NOPROTO") || reply.starts_with("-ERR unknown command");
}

}  // namespace

void UpstreamConnection::StartConnect() {
  CHECK(state_ == State::kIdle);
  state_ = State::kConnecting;
  if (kind_.is_own) node_.OnOwnOpening();
  resources_.stats.upstream_connects.Add();
  connect_failure_ = "connect timeout";
  connect_deadline_ns_ = resources_.io.NowNs() + resources_.config.connect_timeout_ms * kNsPerMs;
  connect_timer_.Arm(connect_deadline_ns_);
  node_.Resolve(this);
}

void UpstreamConnection::OnResolved() {
  if (state_ != State::kConnecting || connecting_fd_ >= 0) return;
  address_ = node_.socket_address();
  if (address_.length == 0) return FailSoon("host name not found");
  const int fd = resources_.io.OpenSocket(address_.storage.ss_family);
  if (fd < 0) return FailSoon(std::strerror(-fd));
  connecting_fd_ = fd;
  connecting_since_ns_ = resources_.io.NowNs();
  connect_timer_.Arm(
      std::min(connect_deadline_ns_, connecting_since_ns_ + node_.connect_patience_ns()));
  resources_.io.Connect(fd, reinterpret_cast<const sockaddr*>(&address_.storage), address_.length,
                        &connect_.completion);
}

// Not at once: whoever gives us a request is still writing its command.
void UpstreamConnection::FailSoon(const char* reason) {
  connect_failure_ = reason;
  connect_deadline_ns_ = resources_.io.NowNs();
  connect_timer_.Arm(connect_deadline_ns_);
}

// When packets are lost the kernel asks again after a second, and then ever more rarely: a node
// that can be reached again is found sooner by somebody who asks anew.
void UpstreamConnection::OnConnectTimer() {
  if (resources_.io.NowNs() >= connect_deadline_ns_) return Fail(connect_failure_);
  resources_.io.Cancel(&connect_.completion);
}

void UpstreamConnection::OnConnected(int result) {
  const int fd = std::exchange(connecting_fd_, -1);
  if (state_ == State::kClosing || result < 0) {
    resources_.io.Close(fd);
    if (state_ == State::kClosing) return Idle();
    if (result == -ECANCELED) {
      node_.NoteConnectBegunAnew();
      return OnResolved();
    }
    return Fail(std::strerror(-result));
  }
  node_.NoteConnectTime(resources_.io.NowNs() - connecting_since_ns_);
  connect_timer_.Arm(connect_deadline_ns_);
  socket_.Adopt(fd);
  socket_.StartReceive();
  resources_.stats.upstream_connections.Add();
  StartHandshake();
}

// Sets handshake_replies_ to the number of its commands.
std::string UpstreamConnection::Greeting() {
  std::string greeting;
  const Config& config = resources_.config;
  const bool log_in = !config.upstream_password.empty();
  handshake_replies_ = 0;
  // The kernel accepts connections for a process that has stopped.
  awaits_sign_of_life_ = node_.is_silent();
  if (awaits_sign_of_life_) {
    greeting += kPingCommand;
    resources_.stats.upstream_probes.Add();
    ++handshake_replies_;
  }
  if (kind_.resp3) {
    resp::AppendArrayHeader(&greeting, log_in ? 5 : 2);
    resp::AppendBulk(&greeting, "HELLO");
    resp::AppendBulk(&greeting, "3");
    ++handshake_replies_;
  } else if (log_in) {
    resp::AppendArrayHeader(&greeting, config.upstream_username.empty() ? 2 : 3);
    ++handshake_replies_;
  }
  if (log_in) {
    resp::AppendBulk(&greeting, "AUTH");
    if (!config.upstream_username.empty()) {
      resp::AppendBulk(&greeting, config.upstream_username);
    } else if (kind_.resp3) {
      resp::AppendBulk(&greeting, "default");
    }
    resp::AppendBulk(&greeting, config.upstream_password);
  }
  multi_trial_replies_ = TriesMulti() ? 3 : 0;
  if (TriesMulti()) {
    greeting += resp::CommandOf({"MULTI"}) + resp::CommandOf({"EXEC"});
    handshake_replies_ += 2;
  }
  if (kind_.replica_reads) {
    greeting += kReadOnlyCommand;
    ++handshake_replies_;
  }
  if (kind_.tracks_by != TracksBy::kNothing) {
    greeting += kind_.tracks_by == TracksBy::kReads
                    ? resp::CommandOf({"CLIENT", "TRACKING", "ON"})
                    : resp::CommandOf({"CLIENT", "TRACKING", "ON", "BCAST"});
    ++handshake_replies_;
  }
  if (kind_.database != 0) {
    greeting += resp::CommandOf({"SELECT", std::to_string(kind_.database)});
    ++handshake_replies_;
  }
  if (kind_.is_own) {
    greeting += kClientIdCommand;
    ++handshake_replies_;
  }
  return greeting;
}

void UpstreamConnection::StartHandshake() {
  state_ = State::kHandshaking;
  const std::string greeting = Greeting();
  if (handshake_replies_ == 0) return BecomeReady();
  queued_bytes_ += greeting.size();
  output_.Append(greeting);
  resources_.MarkDirty(resources_.dirty_upstreams, this);
}

// Whether the next reply is to SELECT, behind which at most CLIENT ID follows.
bool UpstreamConnection::AwaitsSelect() const {
  return kind_.database != 0 && handshake_replies_ == (kind_.is_own ? 2 : 1);
}

// The last of the greeting. A node that does not tell is used all the same.
void UpstreamConnection::OnClientId(std::string_view reply) {
  client_id_ = 0;
  if (reply.starts_with(':'))
    resp::ParseStrictInteger(reply.substr(1, reply.find('\r') - 1), &client_id_);
  handshake_replies_ = 0;
  BecomeReady();
}

void UpstreamConnection::OnHandshakeReply(std::string_view reply) {
  partial_.Clear(resources_.segments);
  if (std::exchange(awaits_sign_of_life_, false)) {
    if (--handshake_replies_ == 0) BecomeReady();
    return;
  }
  if (kind_.is_own && handshake_replies_ == 1) return OnClientId(reply);
  const bool is_trial = TakesMultiTrial(reply);
  if (scanner_.type() == '-' && !is_trial) {
    if (kind_.resp3 && RefusesProtocol(reply)) return RefuseProtocol();
    if (AwaitsSelect()) return RefuseDatabase(std::string(reply));
    Fail("the node refused the greeting: " + std::string(reply.substr(0, reply.find('\r'))));
    return;
  }
  if (--handshake_replies_ == 0) BecomeReady();
}

void UpstreamConnection::RefuseProtocol() {
  LOG_EVERY_T(WARNING, 10) << "node " << node_.address().ToString() << " does not know HELLO 3";
  resources_.resp3_known = false;
  RefuseRequests(kErrorNoProto);
}

void UpstreamConnection::RefuseDatabase(const std::string& reply) {
  resources_.stats.databases_refused.Add();
  resources_.database_refusal.Note(kind_.database, reply, resources_.io.NowNs());
  RefuseRequests(reply);
}

// The node itself is well, so it is not left alone; but what its clients ask for it can not give:
// the protocol, or the database.
void UpstreamConnection::RefuseRequests(std::string_view error) {
  RequestList refused;
  TakeWaiting(&refused);
  CloseIdle();
  while (Request* request = refused.PopFront()) {
    if (ClientOf(request) == nullptr || request->may_have_run) {
      Lose(request, Fate::kUnsent);
      continue;
    }
    if (request->is_private) GiveBack(request);
    DeliverText(resources_, request, error);
  }
}

void UpstreamConnection::BecomeReady() {
  state_ = State::kReady;
  if (kind_.is_own) node_.OnOwnOpened();
  resources_.resp3_known |= kind_.resp3;
  connect_timer_.Disarm();
  node_.OnConnectSucceeded();
  progress_ns_ = resources_.io.NowNs();
  RequestList ready;
  TakeWaiting(&ready);
  while (Request* request = ready.PopFront()) {
    Request* asked = request->sink == Request::Sink::kIgnore ? ready.PopFront() : nullptr;
    const Request* last = asked != nullptr ? asked : request;
    if (last->sink == Request::Sink::kDiscard) {  // Its client went away before anything was sent.
      if (asked != nullptr) resources_.FreeRequest(asked);
      resources_.FreeRequest(request);
      continue;
    }
    if (RefusesUnit(request)) continue;
    AcceptAgain(request);
    if (asked != nullptr) AcceptAgain(asked);  // ASKING and what it is for stay neighbours.
  }
}

void UpstreamConnection::ReleaseWaiting() {
  RequestList waiting;
  TakeWaiting(&waiting);
  while (Request* request = waiting.PopFront()) {
    if (request->sink == Request::Sink::kInternal) {
      Wait(request);
    } else {
      Lose(request, Fate::kUnsent);
    }
  }
}

}  // namespace rcproxy::proxy
