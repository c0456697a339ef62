// One client: reads commands, hands each to the router or answers it, and writes replies in order.
//
// Input:  received slice -> (what was kept from before) -> scanner -> Execute
//   - a command that is cut is copied together in a PartialCommand;
//   - a large one is passed on to its node while it arrives (Upload);
//   - a command that has to wait (fence, limits) stays at the head of backlog_, and the socket is
//   not read any more.
// Output: ReplyQueue.
//
// States: open -> draining (no more input is looked at; replies on their way are still delivered)
// -> closing -> gone.
//
// Owner: Worker's list of clients. Thread: the worker's.
// Invariants: 1. backlog_ is empty unless blocked_; 2. partial_ is null while backlog_ holds its
// command's beginning; 3. an idle client holds no buffer; 4. after Close() nothing is parsed and no
// reply is sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/client_bindings.h"
#include "proxy/local_commands.h"
#include "proxy/operations/operations.h"
#include "proxy/output_queue.h"
#include "proxy/pubsub/pubsub.h"
#include "proxy/reply_queue.h"
#include "proxy/resources.h"
#include "proxy/router.h"
#include "proxy/session.h"
#include "proxy/socket_writer.h"
#include "proxy/tracking/tracking.h"
#include "proxy/upload.h"
#include "resp/request_scanner.h"
#include "uring/intrusive_list.h"
#include "uring/socket.h"

namespace rcproxy::proxy {

class ClientConnection;

// Who keeps clients.
class ClientOwner {
 public:
  // Last call about `client`; it may be destroyed.
  virtual void OnClientGone(ClientConnection* client) = 0;
  virtual bool UnderMemoryPressure() const = 0;

 protected:
  ~ClientOwner() = default;
};

// What all clients of a worker share.
struct ClientContext {
  Resources& resources;
  Router& router;
  LocalCommands& local;
  const Operations& operations;
  PubSub& pubsub;
  Monitors& monitors;
  Tracking& tracking;
  ClientOwner& owner;
};

// Somebody who has just connected.
struct NewClient {
  int fd;
  int64_t id;
  bool is_reader = false;  // Through --replica_addr.
};

class ClientConnection final : public uring::SocketListener,
                               public Flushable,
                               private SessionObserver,
                               public ListLink<struct InClientList> {
 public:
  // `context` outlives this.
  explicit ClientConnection(const ClientContext& context);
  ~ClientConnection();

  // Takes over the descriptor.
  void Start(const NewClient& client);
  // No more commands; closes when what is under way has been answered.
  void Drain();
  // Closes now.
  void Close();

  const Session& session() const { return session_; }
  const ReplyQueue& replies() const { return replies_; }
  const ClientBindings* bindings() const { return bindings_.get(); }  // nullptr: none.
  void SetPause(Pause pause) { replies_.SetPause(pause); }
  // Of keys that a client has read that redirects this to here. False when this one has gone.
  bool TellChangedKeys(ChangedKeys keys);
  bool IsClosing() const { return state_ == State::kClosing; }
  // Nothing is under way for it. One that has sent half a command is idle too.
  bool IsIdle() const { return replies_.empty() && !blocked_; }
  // Memory that would come back if this client went.
  size_t BytesHeld() const { return replies_.BytesHeld() + InputBytes(); }
  size_t InputBytes() const;
  void CheckInvariants() const;

  // SocketListener
  void OnReceived(uring::Slice data) override;
  void OnReceiveEnded(int error) override;
  void OnSent(size_t bytes, int error) override;
  void OnSocketClosed() override;
  // Flushable
  void BeforeFlush() override;
  void Flush() override;

 private:
  enum class State : uint8_t { kOpen, kDraining, kClosing };
  enum class Progress : uint8_t { kContinue, kStop };

  void Consume(uring::Slice data);
  // Adds bytes of `data` to the cut command until it is complete. Returns what is left of `data`.
  std::string_view ContinuePartial(uring::Chunk* chunk, std::string_view data);
  void KeepPartial(std::string_view piece);
  bool GrowPartial(size_t announced, size_t needed);
  void ReleasePartial();
  void DropPartial();
  // client_upload.cc
  bool ConsiderUpload();
  void OnProbed(bool may_pass_on);
  bool StartUpload();
  std::string_view PassOn(uring::Chunk* chunk, std::string_view data);
  bool MayPassOn() const;
  size_t UploadBytes() const;
  void DropUpload();
  Progress Handle(resp::ScanStatus status, const resp::RequestScanner& scanner,
                  uring::Chunk* chunk);
  Progress ExecuteWhereItLies(const resp::CommandView& command, uring::Chunk* chunk);
  Progress Execute(const resp::CommandView& command, uring::Chunk* chunk);
  Progress ExecuteSpec(const cluster::CommandSpec& spec, const resp::CommandView& command,
                       uring::Chunk* chunk);
  Progress ExecuteUnbound(const cluster::CommandSpec& spec, const resp::CommandView& command,
                          uring::Chunk* chunk);
  void Observe(const cluster::CommandSpec& spec, const resp::CommandView& command);
  void LogSample(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress RunRouted(const cluster::CommandSpec& spec, const resp::CommandView& command,
                     uring::Chunk* chunk);
  Progress RunOperation(const cluster::CommandSpec& spec, std::unique_ptr<Operation> operation);
  Progress RunOwnOperation(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress RunAcrossSlots(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress OnIssued(const cluster::CommandSpec& spec);
  Progress RunLocal(const cluster::CommandSpec& spec, const resp::CommandView& command);
  // SessionObserver
  void OnSessionChanged() override;
  void SetReplyMode(ReplyMode mode) override { replies_.SetMode(mode); }

  // client_bindings.cc: what is bound to this client beyond its next reply.
  ClientBindings& Bind();
  void DropBindings();
  Progress ExecuteBound(const cluster::CommandSpec& spec, const resp::CommandView& command,
                        uring::Chunk* chunk);
  Progress ExecuteInBindings(const cluster::CommandSpec& spec, const resp::CommandView& command,
                             uring::Chunk* chunk);
  void UpdateTracker();
  void DropTracker();
  void AfterTracked(const cluster::CommandSpec& spec, const resp::CommandView& command);
  void EndCachingNo();
  void EndBlocking();
  Progress RunMonitor(const cluster::CommandSpec& spec, const resp::CommandView& command);
  void ShowToMonitors(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress RunPubSub(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress RunTransaction(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress Multi(const cluster::CommandSpec& spec);
  Progress RunWatch(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress EndTransaction(const cluster::CommandSpec& spec, std::string_view reply);
  Progress ExecWatched(const cluster::CommandSpec& spec);
  Progress Exec(const cluster::CommandSpec& spec);
  Progress ExecSplit(const cluster::CommandSpec& spec);
  Progress QueueInTransaction(const cluster::CommandSpec& spec, const resp::CommandView& command);
  Progress ReplyLocally(std::string_view reply);
  Progress RefuseCommand(std::string_view text);
  Progress Refuse(const cluster::CommandSpec& spec, std::string_view text);
  Progress Block();
  void Keep(uring::Chunk* chunk, std::string_view rest);
  bool AtLimit() const;
  bool MayResume() const;
  void Resume();
  void FinishIfDrained();
  resp::RequestLimits Limits() const;
  void ProtocolError(std::string_view line);

  const ClientContext& context_;
  Resources& resources_;  // The context's.
  State state_ = State::kOpen;
  bool blocked_ = false;      // The next command has to wait.
  bool input_ended_ = false;  // The client has closed its sending side.
  PartialCommand* partial_ = nullptr;
  std::unique_ptr<Upload> upload_;  // Since the command under way was found to be large.
  SegmentList backlog_;
  std::unique_ptr<ClientBindings> bindings_;  // nullptr: none, as for most.
  Session session_;
  ReplyQueue replies_;
  uring::Socket socket_;
  SocketWriter writer_;
};

}  // namespace rcproxy::proxy
