// The part of ClientConnection for what is bound to a client: watched keys, transactions,
// subscriptions, tracked keys.
#include "proxy/client_bindings.h"

#include <string>
#include <string_view>
#include <utility>

#include "cluster/command_errors.h"
#include "cluster/command_keys.h"
#include "proxy/client_connection.h"
#include "proxy/errors.h"
#include "proxy/operations/split_exec.h"
#include "proxy/text.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using cluster::Route;
using resp::CommandView;
using uring::Chunk;

namespace {

bool IsMonitor(const CommandSpec& spec) {
  return spec.name == "monitor" || spec.name == "proxy|monitor";
}

// What a client in RESP2 may say while it is subscribed. The server's list.
bool MayBeSaidBySubscriber(const CommandSpec& spec) {
  const bool is_about_channels = spec.route == Route::kPubSub && !IsMonitor(spec);
  return is_about_channels || spec.name == "ping" || EndsBindings(spec);
}

// `bindings` may be nullptr.
bool IsRefusedToSubscriber(const ClientBindings* bindings, const CommandSpec& spec) {
  const Subscriber* subscriber = bindings == nullptr ? nullptr : bindings->subscriber.get();
  return subscriber != nullptr && subscriber->IsRestricted() && !MayBeSaidBySubscriber(spec);
}

// Whether a client that is in a transaction, if it is, has the command queued. `bindings` may be
// nullptr.
bool IsQueued(const ClientBindings* bindings, const CommandSpec& spec) {
  const bool may_be = spec.route != Route::kTransaction || spec.name == "unwatch";
  return bindings != nullptr && bindings->transaction != nullptr && may_be && !EndsBindings(spec);
}

// "subscribe", "ssubscribe", "punsubscribe", ...
ChannelKind KindOf(std::string_view name) {
  if (name.starts_with("p")) return ChannelKind::kPattern;
  return name.starts_with("ss") || name.starts_with("sun") ? ChannelKind::kShard
                                                           : ChannelKind::kChannel;
}

}  // namespace

ClientBindings& ClientConnection::Bind() {
  if (bindings_ == nullptr) bindings_ = std::make_unique<ClientBindings>();
  return *bindings_;
}

void ClientConnection::DropBindings() {
  if (bindings_ == nullptr) return;
  if (bindings_->subscriber != nullptr) context_.pubsub.UnsubscribeAll(bindings_->subscriber.get());
  if (bindings_->monitor != nullptr) context_.monitors.Remove(bindings_->monitor.get());
  if (bindings_->tracker != nullptr) context_.tracking.Remove(bindings_->tracker.get());
  bindings_.reset();
}

ClientConnection::Progress ClientConnection::ExecuteBound(const CommandSpec& spec,
                                                          const CommandView& command,
                                                          Chunk* chunk) {
  if (bindings_->tracker != nullptr)
    replies_.SetNeeds(NeedsOfTracker(session_, spec.Has(cluster::kFlagWrite)));
  const Progress progress = ExecuteInBindings(spec, command, chunk);
  const bool tracks = bindings_ != nullptr && bindings_->tracker != nullptr;
  if (tracks && progress == Progress::kContinue) AfterTracked(spec, command);
  return progress;
}

ClientConnection::Progress ClientConnection::ExecuteInBindings(const CommandSpec& spec,
                                                               const CommandView& command,
                                                               Chunk* chunk) {
  if (IsQueued(bindings_.get(), spec)) return QueueInTransaction(spec, command);
  if (IsRefusedToSubscriber(bindings_.get(), spec)) {
    return Refuse(spec, Concat("ERR Can't execute '", spec.name,
                               "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                               "RESET are allowed in this context"));
  }
  // Keys are watched on a connection to the present database.
  const bool watches = bindings_->watch != nullptr && bindings_->watch->is_watching;
  if (watches && spec.name == "select" && command[1] != std::to_string(session_.database))
    return Refuse(spec, "ERR SELECT of another database is not possible while keys are watched");
  const Subscriber* subscriber = bindings_->subscriber.get();
  if (subscriber != nullptr && subscriber->IsRestricted()) {
    if (spec.name == "ping" && command.size() <= 2) {
      const std::string_view text = command.size() == 2 ? command[1] : std::string_view();
      return ReplyLocally(resp::CommandOf({"pong", text}));
    }
  }
  return ExecuteUnbound(spec, command, chunk);
}

// The client has left while it was blocked. A node would give it an element all the same, and may
// have done so a moment ago: asked to end the command it answers with that or with nothing, and
// the answer goes to the client, as on one server.
void ClientConnection::EndBlocking() {
  if (!context_.router.Unblock(replies_, /*with_error=*/false)) return Close();
  input_ended_ = true;
  std::unique_ptr<uring::Timer>& farewell = Bind().farewell;
  farewell = std::make_unique<uring::Timer>(
      resources_.timers, [](void* self) { static_cast<ClientConnection*>(self)->Close(); }, this);
  farewell->Arm(resources_.io.NowNs() + resources_.config.request_timeout_ms * 1'000'000);
  Drain();
}

// ---- subscriptions

ClientConnection::Progress ClientConnection::RunPubSub(const CommandSpec& spec,
                                                       const CommandView& command) {
  if (IsMonitor(spec)) return RunMonitor(spec, command);
  const ChannelKind kind = KindOf(spec.name);
  replies_.ShowNext();
  std::unique_ptr<Subscriber>& subscriber = Bind().subscriber;
  if (subscriber == nullptr)
    subscriber = std::make_unique<Subscriber>(resources_, replies_, session_);
  if (spec.name == SubscribeWord(kind)) {
    return RunOperation(
        spec, context_.pubsub.Subscribe(subscriber.get(), kind, command, session_.protocol));
  }
  if (replies_.HoldsAll()) return Block();
  session_.last_command = spec.id;
  std::string reply;
  context_.pubsub.Unsubscribe(subscriber.get(), kind, command, session_.protocol, &reply);
  if (bindings_->IsEmpty()) bindings_.reset();
  return ReplyLocally(reply);
}

// ---- tracked keys

void ClientConnection::UpdateTracker() {
  if (session_.tracking() == nullptr) return DropTracker();
  std::unique_ptr<Tracker>& tracker = Bind().tracker;
  if (tracker != nullptr) return context_.tracking.Update(tracker.get());
  tracker = std::make_unique<Tracker>(resources_, replies_, session_);
  context_.tracking.Add(tracker.get());
}

void ClientConnection::DropTracker() {
  if (bindings_ == nullptr || bindings_->tracker == nullptr) return;
  context_.tracking.Remove(bindings_->tracker.get());
  bindings_->tracker.reset();
  if (bindings_->IsEmpty()) bindings_.reset();
}

// CLIENT CACHING is about one command, a transaction as a whole, and not about CLIENT itself.
void ClientConnection::AfterTracked(const CommandSpec& spec, const CommandView& command) {
  context_.tracking.OnAsked(bindings_->tracker.get(), spec, command);
  if (bindings_->transaction == nullptr && !spec.name.starts_with("client"))
    session_.SetCaching(false);
}

// CACHING NO ends with a command that is refused; CACHING YES need not, as it is only told more.
void ClientConnection::EndCachingNo() {
  const TrackingOptions* options = session_.tracking();
  if (options == nullptr || options->mode != TrackingOptions::Mode::kOptOut) return;
  if (bindings_->transaction == nullptr) session_.SetCaching(false);
}

bool ClientConnection::TellChangedKeys(ChangedKeys keys) {
  if (state_ == State::kClosing) return false;
  std::unique_ptr<InvalidationOutput>& output = Bind().invalidations;
  if (output == nullptr)
    output = std::make_unique<InvalidationOutput>(resources_, replies_, session_);
  output->Tell(keys);
  return true;
}

// ---- MONITOR

ClientConnection::Progress ClientConnection::RunMonitor(const CommandSpec& spec,
                                                        const CommandView& command) {
  MonitorFilter filter;
  const std::string problem = ParseMonitorFilter(command, resources_.commands, &filter);
  if (!problem.empty()) return ReplyLocally(Concat("-", problem, "\r\n"));
  if (!Router::MayStart(replies_, spec)) return Block();
  std::unique_ptr<Monitor>& monitor = Bind().monitor;
  if (monitor == nullptr) monitor = std::make_unique<Monitor>(resources_, replies_, session_.id);
  return RunOperation(spec, context_.monitors.Begin(monitor.get(), std::move(filter)));
}

// As by a server: what is queued is shown when EXEC comes, what is refused not at all.
void ClientConnection::ShowToMonitors(const CommandSpec& spec, const CommandView& command) {
  const ClientBindings* bindings = bindings_.get();
  if (IsQueued(bindings, spec) || IsRefusedToSubscriber(bindings, spec)) return;
  const Transaction* transaction = bindings == nullptr ? nullptr : bindings->transaction.get();
  if (transaction != nullptr && spec.name == "exec" && !transaction->spoiled()) {
    for (const TransactionPart& part : transaction->parts())
      context_.monitors.NoteAll(session_, part.commands);
  }
  context_.monitors.Note(session_, spec, command);
}

// ---- transactions

ClientConnection::Progress ClientConnection::ReplyLocally(std::string_view reply) {
  resources_.stats.commands.Add();
  resources_.stats.commands_local.Add();
  replies_.Reply(reply);
  return Progress::kContinue;
}

ClientConnection::Progress ClientConnection::QueueInTransaction(const CommandSpec& spec,
                                                                const CommandView& command) {
  session_.last_command = spec.id;
  return ReplyLocally(bindings_->transaction->Queue(spec, command));
}

ClientConnection::Progress ClientConnection::RunTransaction(const CommandSpec& spec,
                                                            const CommandView& command) {
  const bool in_transaction = bindings_ != nullptr && bindings_->transaction != nullptr;
  if (spec.name == "multi") {
    if (in_transaction) return ReplyLocally("-ERR MULTI calls can not be nested\r\n");
    return Multi(spec);
  }
  if (spec.name == "watch") {
    if (in_transaction) return ReplyLocally("-ERR WATCH inside MULTI is not allowed\r\n");
    return RunWatch(spec, command);
  }
  if (spec.name == "unwatch") return EndTransaction(spec, "+OK\r\n");
  if (spec.name == "discard") {
    if (!in_transaction) return ReplyLocally("-ERR DISCARD without MULTI\r\n");
    return EndTransaction(spec, "+OK\r\n");
  }
  if (!in_transaction) return ReplyLocally("-ERR EXEC without MULTI\r\n");
  return Exec(spec);
}

ClientConnection::Progress ClientConnection::Multi(const CommandSpec& spec) {
  session_.last_command = spec.id;
  ClientBindings& bindings = Bind();
  const int slot = bindings.watch != nullptr ? bindings.watch->slot : Transaction::kNoSlot;
  bindings.transaction =
      std::make_unique<Transaction>(resources_.config, resources_.stats, slot, session_.database);
  return ReplyLocally("+OK\r\n");
}

ClientConnection::Progress ClientConnection::RunWatch(const CommandSpec& spec,
                                                      const CommandView& command) {
  const int slot = cluster::CommonSlot(command, cluster::FindKeys(spec, command));
  std::unique_ptr<Watch>& watch = Bind().watch;
  if (slot < 0 || (watch != nullptr && watch->slot != slot)) return ReplyLocally(kErrorCrossSlot);
  if (!Router::MayStart(replies_, spec)) return Block();
  if (watch == nullptr) watch = std::make_unique<Watch>(static_cast<uint16_t>(slot));
  return RunOperation(spec, MakeWatchOperation(watch.get(), command.bytes()));
}

// Ends the transaction, if there is one, and the watch without executing anything.
ClientConnection::Progress ClientConnection::EndTransaction(const CommandSpec& spec,
                                                            std::string_view reply) {
  if (bindings_ == nullptr) return ReplyLocally(reply);
  const bool watches = bindings_->watch != nullptr;
  if (watches && !Router::MayStart(replies_, spec)) return Block();
  session_.last_command = spec.id;
  std::unique_ptr<Watch> watch = std::move(bindings_->watch);
  bindings_->transaction.reset();
  if (bindings_->IsEmpty()) bindings_.reset();
  if (!watches) return ReplyLocally(reply);
  return RunOperation(spec, MakeUnwatchOperation(std::move(watch), std::string(reply)));
}

namespace {

uint16_t SlotOf(const TransactionPart& part) {
  return part.slot == Transaction::kNoSlot ? Request::kNoSlot : static_cast<uint16_t>(part.slot);
}

}  // namespace

ClientConnection::Progress ClientConnection::Exec(const CommandSpec& spec) {
  Transaction& transaction = *bindings_->transaction;
  if (transaction.spoiled()) {
    return EndTransaction(spec, "-EXECABORT Transaction discarded because of previous errors.\r\n");
  }
  for (const TransactionPart& part : transaction.parts()) {
    const std::string_view refusal = context_.router.UnitRefusal(SlotOf(part));
    if (!refusal.empty()) return EndTransaction(spec, refusal);
  }
  if (bindings_->watch != nullptr) return ExecWatched(spec);
  if (transaction.empty()) return EndTransaction(spec, "*0\r\n");
  if (transaction.parts().size() > 1) return ExecSplit(spec);
  const TransactionPart& part = transaction.parts().front();
  if (context_.router.RouteUnit(&replies_, spec, part.Unit(), SlotOf(part), part.read_only) ==
      Router::Verdict::kWait) {
    return Block();
  }
  session_.last_command = spec.id;
  bindings_->transaction.reset();
  if (bindings_->IsEmpty()) bindings_.reset();
  resources_.stats.commands.Add();
  return Progress::kContinue;
}

ClientConnection::Progress ClientConnection::ExecSplit(const CommandSpec& spec) {
  if (!Router::MayStart(replies_, spec)) return Block();
  const std::unique_ptr<Transaction> transaction = std::move(bindings_->transaction);
  if (bindings_->IsEmpty()) bindings_.reset();
  return RunOperation(spec, MakeSplitExec(transaction.get()));
}

ClientConnection::Progress ClientConnection::ExecWatched(const CommandSpec& spec) {
  if (!Router::MayStart(replies_, spec)) return Block();
  std::string unit = bindings_->transaction->parts().front().Unit();
  std::unique_ptr<Watch> watch = std::move(bindings_->watch);
  bindings_->transaction.reset();
  if (bindings_->IsEmpty()) bindings_.reset();
  return RunOperation(spec,
                      MakeExecOperation(std::move(watch), std::move(unit), session_.protocol));
}

}  // namespace rcproxy::proxy
