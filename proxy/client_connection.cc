#include "proxy/client_connection.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "cluster/command_errors.h"
#include "cluster/command_table.h"
#include "proxy/errors.h"
#include "proxy/text.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using cluster::Route;
using resp::CommandView;
using resp::RequestScanner;
using resp::ScanStatus;
using uring::Chunk;
using uring::ChunkPool;
using uring::Slice;

namespace {

constexpr size_t kReplyTextKept = 64 << 10;
constexpr size_t kPartialBytesMin = 512;
// A client that waits for an operation is read so far, so that its end is noticed.
constexpr size_t kBacklogBytesHeard = 4 << 10;
constexpr size_t kPartialBytesEarned = (1 << 20) + (4 << 10);

}  // namespace

ClientConnection::ClientConnection(const ClientContext& context)
    : context_(context),
      resources_(context.resources),
      replies_(resources_, this),
      socket_(resources_.io, *this) {}

ClientConnection::~ClientConnection() {
  DCHECK(partial_ == nullptr && upload_ == nullptr && backlog_.empty());
}

void ClientConnection::Start(const NewClient& client) {
  session_.id = client.id;
  session_.fd = client.fd;
  session_.is_reader = client.is_reader;
  session_.created_ns = session_.last_command_ns = resources_.io.NowNs();
  session_.authenticated = resources_.config.requirepass.empty();
  session_.observer = this;
  OnSessionChanged();
  socket_.Adopt(client.fd);
  socket_.StartReceive();
}

resp::RequestLimits ClientConnection::Limits() const {
  const Config& config = resources_.config;
  if (!session_.authenticated) return resp::kUnauthenticatedRequestLimits;
  return {config.request_args_max, config.request_bulk_bytes_max, resp::kInlineBytesMax,
          config.request_bytes_max};
}

// ---- input

void ClientConnection::OnReceived(Slice data) {
  resources_.stats.client_bytes_received.Add(data.size());
  resources_.arrivals.Note(session_.last_command_ns);
  session_.last_command_ns = resources_.io.NowNs();
  if (state_ != State::kOpen) return;
  if (blocked_) return Keep(data.chunk(), data.view());
  Consume(std::move(data));
  if (context_.owner.UnderMemoryPressure() && state_ == State::kOpen && socket_.receiving()) {
    resources_.stats.client_pauses.Add();
    socket_.PauseReceive();  // Until BeforeFlush finds that there is room.
  }
}

void ClientConnection::Consume(Slice data) {
  std::string_view rest = data.view();
  if (partial_ != nullptr) {
    rest = ContinuePartial(data.chunk(), rest);
  } else if (upload_ != nullptr) {
    rest = PassOn(data.chunk(), rest);
  }
  RequestScanner& scanner = resources_.scanner;
  while (!rest.empty() && state_ == State::kOpen) {
    if (blocked_) return Keep(data.chunk(), rest);
    scanner.Reset();
    const ScanStatus status = scanner.Scan(rest, Limits());
    if (status == ScanStatus::kNeedMore) return KeepPartial(rest);
    const size_t consumed = scanner.consumed();
    if (Handle(status, scanner, data.chunk()) == Progress::kStop) {
      if (blocked_) Keep(data.chunk(), rest);
      return;
    }
    rest.remove_prefix(consumed);
  }
}

ClientConnection::Progress ClientConnection::Handle(ScanStatus status,
                                                    const RequestScanner& scanner, Chunk* chunk) {
  switch (status) {
    case ScanStatus::kCommand:
      return ExecuteWhereItLies(scanner.command(), chunk);
    case ScanStatus::kEmpty:
      return Progress::kContinue;
    case ScanStatus::kError:
      ProtocolError(scanner.error());
      return Progress::kStop;
    case ScanStatus::kNeedMore:
      return Progress::kStop;
  }
  return Progress::kStop;
}

// An inline command lies in the scanner, rewritten, and not in `chunk`: it is copied, so that
// whoever references it has something that stays.
ClientConnection::Progress ClientConnection::ExecuteWhereItLies(const CommandView& command,
                                                                Chunk* chunk) {
  const std::string_view bytes = command.bytes();
  const size_t offset = static_cast<size_t>(bytes.data() - chunk->data);
  if (offset < chunk->capacity) [[likely]]
    return Execute(command, chunk);
  const Staging::Block block = resources_.client_staging.Take(bytes.size(), bytes.size());
  const Slice copy = Slice::Adopt(block.chunk, block.begin, bytes.size());
  std::memcpy(block.begin, bytes.data(), bytes.size());
  return Execute(command.At(block.begin), block.chunk);
}

// Keeps the beginning of a command, with the scanner's state, until the rest comes.
void ClientConnection::KeepPartial(std::string_view piece) {
  partial_ = resources_.partials.New();
  partial_->scanner.Swap(resources_.scanner);
  partial_->size = 0;
  if (!GrowPartial(partial_->scanner.size_hint(), piece.size() + 1)) return;
  std::memcpy(partial_->block.begin, piece.data(), piece.size());
  partial_->size = piece.size();
  if (ConsiderUpload()) blocked_ = true;
}

// Makes room for `needed` bytes, and for as much of what the command announces as it has earned by
// sending half of it: an announcement alone takes no memory. Returns false when there is no room
// and the client has been told so.
bool ClientConnection::GrowPartial(size_t announced, size_t needed) {
  const size_t earned = std::max(kPartialBytesEarned, 2 * partial_->size);
  // By a constant factor at least: a long command of short arguments announces itself bit by bit,
  // and would be copied at each.
  const size_t wanted = std::max(announced, partial_->size + partial_->size / 2);
  const size_t capacity = std::max({kPartialBytesMin, needed, std::min(wanted, earned)});
  if (capacity > Resources::kOutputChunkBytes &&
      resources_.BytesInUse() + capacity > resources_.config.memory_limit_bytes) {
    resources_.stats.clients_closed_memory.Add();
    ReleasePartial();
    replies_.Reply(kErrorMemory);
    Drain();
    return false;
  }
  const Staging::Block block = resources_.client_staging.Take(capacity, capacity);
  if (partial_->block.chunk != nullptr) {
    std::memcpy(block.begin, partial_->block.begin, partial_->size);
    ChunkPool::Unref(partial_->block.chunk);
  }
  partial_->block = block;
  return true;
}

void ClientConnection::ReleasePartial() {
  DropUpload();
  DropPartial();
}

void ClientConnection::DropPartial() {
  if (partial_ == nullptr) return;
  if (partial_->block.chunk != nullptr) ChunkPool::Unref(partial_->block.chunk);
  partial_->block = {nullptr, nullptr, nullptr};
  partial_->scanner.Reset();
  resources_.partials.Recycle(std::exchange(partial_, nullptr));
}

std::string_view ClientConnection::ContinuePartial(Chunk* chunk, std::string_view data) {
  if (upload_ != nullptr && upload_->phase == Upload::Phase::kMayStart) {
    return StartUpload() ? PassOn(chunk, data) : data;
  }
  while (!data.empty()) {
    PartialCommand& partial = *partial_;
    // Never more than the command needs, so that what follows it stays where it lies.
    const size_t wanted = std::max(partial.scanner.size_hint(), partial.size + 1);
    if (partial.capacity() == partial.size && !GrowPartial(wanted, partial.size + 1)) return {};
    const size_t taken = std::min(std::min(wanted, partial.capacity()) - partial.size, data.size());
    std::memcpy(partial.block.begin + partial.size, data.data(), taken);
    partial.size += taken;
    data.remove_prefix(taken);
    const ScanStatus status = partial.scanner.Scan({partial.block.begin, partial.size}, Limits());
    if (status == ScanStatus::kNeedMore) {
      if (!ConsiderUpload()) continue;
      blocked_ = true;
      return data;
    }
    DCHECK(status != ScanStatus::kCommand || partial.scanner.consumed() == partial.size);
    if (Handle(status, partial.scanner, partial.block.chunk) == Progress::kStop && blocked_) {
      Keep(partial.block.chunk, {partial.block.begin, partial.size});
    }
    ReleasePartial();
    return data;
  }
  return data;
}

void ClientConnection::Keep(Chunk* chunk, std::string_view rest) {
  if (rest.empty()) return;
  ChunkPool::Ref(chunk);
  backlog_.Add(resources_.segments, chunk, rest);
  // An operation may take its time, and should not outlive its client.
  if (replies_.HoldsAll() && backlog_.bytes() <= kBacklogBytesHeard) return;
  if (socket_.receiving()) {
    resources_.stats.client_pauses.Add();
    socket_.PauseReceive();
  }
}

void ClientConnection::ProtocolError(std::string_view line) {
  resources_.stats.protocol_errors.Add();
  if (line.empty()) return Close();  // Not even an answer for what is no Redis client.
  replies_.Reply(std::string(line) + "\r\n");
  Drain();
}

// ---- commands

ClientConnection::Progress ClientConnection::Execute(const CommandView& command, Chunk* chunk) {
  if (AtLimit()) return Block();
  const CommandSpec* spec = resources_.commands.FindFor(command);
  if (spec == nullptr) return RefuseCommand(resources_.commands.UnknownError(command));
  if (!spec->ArityOk(command.size())) return Refuse(*spec, cluster::ArityError(*spec));
  return ExecuteSpec(*spec, command, chunk);
}

ClientConnection::Progress ClientConnection::ExecuteSpec(const CommandSpec& spec,
                                                         const CommandView& command, Chunk* chunk) {
  if (!session_.authenticated && !spec.Has(cluster::kFlagNoAuth)) return Refuse(spec, kNoAuthError);
  if (resources_.observed) [[unlikely]]
    Observe(spec, command);
  if (bindings_ != nullptr) [[unlikely]]
    return ExecuteBound(spec, command, chunk);
  return ExecuteUnbound(spec, command, chunk);
}

ClientConnection::Progress ClientConnection::ExecuteUnbound(const CommandSpec& spec,
                                                            const CommandView& command,
                                                            Chunk* chunk) {
  switch (spec.route) {
    case Route::kKeyed:
    case Route::kSplit:
    case Route::kAnyPrimary:
    case Route::kAllPrimaries:
    case Route::kAllNodes:
      if ((spec.flags & cluster::kFlagsOfSpecialCommands) != 0) [[unlikely]] {
        if (spec.Has(cluster::kFlagNotYet)) break;
        if (spec.Has(cluster::kFlagOperation)) return RunOwnOperation(spec, command);
        if (spec.Has(cluster::kFlagBlocking)) {
          if (auto operation = context_.operations.MakeBlocking(spec, command, session_.protocol))
            return RunOperation(spec, std::move(operation));
        }
        if (spec.Has(cluster::kFlagScriptBody)) context_.router.NoteScript(spec, command);
      }
      return RunRouted(spec, command, chunk);
    case Route::kLocal:
      if (spec.Has(cluster::kFlagOperation)) return RunOwnOperation(spec, command);
      return RunLocal(spec, command);
    case Route::kTransaction:
      return RunTransaction(spec, command);
    case Route::kBlocking:
      if (spec.Has(cluster::kFlagNotYet)) break;
      return RunOperation(spec, context_.operations.MakeBlocking(spec, command, session_.protocol));
    case Route::kPubSub:
      return RunPubSub(spec, command);
    case Route::kContainer:
    case Route::kNodeOnly:
    case Route::kRefuse:
      break;
  }
  return RefuseCommand(cluster::NotAvailableError(spec));
}

ClientConnection::Progress ClientConnection::RunRouted(const CommandSpec& spec,
                                                       const CommandView& command, Chunk* chunk) {
  switch (context_.router.Route(&replies_, spec, command, chunk)) {
    case Router::Verdict::kTaken:
      return OnIssued(spec);
    case Router::Verdict::kWait:
      return Block();
    case Router::Verdict::kCrossSlot:
      return RunAcrossSlots(spec, command);
  }
  return Progress::kContinue;
}

ClientConnection::Progress ClientConnection::OnIssued(const CommandSpec& spec) {
  resources_.stats.commands.Add();
  session_.last_command = spec.id;
  return Progress::kContinue;
}

ClientConnection::Progress ClientConnection::RunOperation(const CommandSpec& spec,
                                                          std::unique_ptr<Operation> operation) {
  if (context_.router.Start(&replies_, spec, std::move(operation)) == Router::Verdict::kWait)
    return Block();
  resources_.stats.commands.Add();
  session_.last_command = spec.id;
  return Progress::kContinue;
}

// Of a command that always has one.
ClientConnection::Progress ClientConnection::RunOwnOperation(const CommandSpec& spec,
                                                             const CommandView& command) {
  return RunOperation(
      spec, context_.operations.Make(spec, command, session_.protocol, &replies_.writes()));
}

ClientConnection::Progress ClientConnection::RunAcrossSlots(const CommandSpec& spec,
                                                            const CommandView& command) {
  if (std::unique_ptr<Operation> operation =
          context_.operations.MakeCrossSlot(spec, command, session_.protocol))
    return RunOperation(spec, std::move(operation));
  resources_.stats.errors_crossslot.Add();
  resources_.stats.commands_refused.Add();
  replies_.Reply(kErrorCrossSlot);
  return OnIssued(spec);
}

// For those who want to see commands. One that had to wait is offered, and seen, again: only the
// first time counts.
void ClientConnection::Observe(const CommandSpec& spec, const CommandView& command) {
  if (std::exchange(resources_.offered_again, false)) return;
  ShowToMonitors(spec, command);
  if (resources_.config.log_every_n > 0) LogSample(spec, command);
}

void ClientConnection::LogSample(const CommandSpec& spec, const CommandView& command) {
  if (resources_.commands_until_sample > 0) {
    --resources_.commands_until_sample;
    return;
  }
  resources_.commands_until_sample = resources_.config.log_every_n - 1;
  LOG(INFO) << "sample: client " << session_.id << " " << spec.name << " " << command.size() - 1
            << " arguments, " << command.bytes().size() << " bytes";
}

ClientConnection::Progress ClientConnection::RunLocal(const CommandSpec& spec,
                                                      const CommandView& command) {
  if (replies_.HoldsAll() || (context_.local.WaitsForEarlier(spec) && !replies_.empty()))
    return Block();
  resources_.stats.commands.Add();
  resources_.stats.commands_local.Add();
  session_.last_command = spec.id;
  std::string& reply = resources_.reply_text;
  reply.clear();
  const LocalCommands::After after = context_.local.Run(spec, command, &session_, &reply);
  if (after == LocalCommands::After::kOperation) {
    const Router::Verdict verdict =
        context_.router.Start(&replies_, spec, context_.local.TakeOperation());
    CHECK(verdict == Router::Verdict::kTaken) << spec.name;
    return Progress::kContinue;
  }
  if (bindings_ != nullptr && EndsBindings(spec)) DropBindings();
  if (!reply.empty()) replies_.Reply(reply);
  if (reply.capacity() > kReplyTextKept) reply = std::string();
  if (after == LocalCommands::After::kContinue) return Progress::kContinue;
  Drain();
  return Progress::kStop;
}

void ClientConnection::OnSessionChanged() {
  const Config& config = resources_.config;
  const ReadPreference of_listener =
      session_.is_reader ? config.replica_read_prefer : config.read_prefer;
  const bool by_default = of_listener != ReadPreference::kPrimary;
  const bool prefers_replicas = session_.reads_from == ReadsFrom::kReplicas ||
                                (session_.reads_from == ReadsFrom::kDefault && by_default);
  LinkNeeds needs = {.resp3 = session_.protocol == resp::Protocol::kResp3,
                     .prefers_replica = prefers_replicas,
                     .is_reader = session_.is_reader};
  if (session_.tracking() != nullptr) needs = NeedsOfTracker(session_);
  replies_.SetNeeds(needs);
  replies_.SetDatabase(session_.database);
  UpdateTracker();
}

// Cold: may allocate.
ClientConnection::Progress ClientConnection::RefuseCommand(std::string_view text) {
  if (bindings_ != nullptr && bindings_->transaction != nullptr) bindings_->transaction->Spoil();
  EndCachingNo();
  resources_.stats.commands.Add();
  resources_.stats.commands_refused.Add();
  replies_.Reply("-" + std::string(text) + "\r\n");
  return Progress::kContinue;
}

// The same for a command that is known: a refused EXEC ends its transaction, and says so.
ClientConnection::Progress ClientConnection::Refuse(const CommandSpec& spec,
                                                    std::string_view text) {
  if (spec.name != "exec") return RefuseCommand(text);
  constexpr std::string_view kPlain = "ERR ";
  if (text.starts_with(kPlain)) text.remove_prefix(kPlain.size());
  return EndTransaction(spec,
                        Concat("-EXECABORT Transaction discarded because of: ", text, "\r\n"));
}

// ---- waiting

bool ClientConnection::AtLimit() const {
  const Config& config = resources_.config;
  return replies_.in_flight() >= config.client_pipeline_max ||
         replies_.bytes() >= config.client_output_soft_bytes;
}

ClientConnection::Progress ClientConnection::Block() {
  blocked_ = true;
  return Progress::kStop;
}

// A client at its limit goes on when it is at half of it, not at each reply; one behind a fence as
// soon as it can.
bool ClientConnection::MayResume() const {
  if (upload_ != nullptr) {
    if (upload_->phase == Upload::Phase::kProbing) return false;
    if (upload_->IsPassing()) return MayPassOn();
  }
  const Config& config = resources_.config;
  return !replies_.HoldsFirst() && replies_.in_flight() <= config.client_pipeline_max / 2 &&
         replies_.bytes() <= config.client_output_soft_bytes / 2;
}

void ClientConnection::Resume() {
  blocked_ = false;
  resources_.offered_again = true;
  SegmentList input;
  input.Swap(&backlog_);
  for (const Segment* s = input.head(); s != nullptr && state_ == State::kOpen; s = s->next) {
    Slice piece = Slice::Share(s->chunk, s->begin, s->size());
    if (blocked_) {
      Keep(piece.chunk(), piece.view());
    } else {
      Consume(std::move(piece));
    }
  }
  input.Clear(resources_.segments);
  resources_.offered_again = false;
  if (!blocked_ && state_ == State::kOpen) {
    if (!input_ended_) socket_.StartReceive();
    const bool cut = upload_ != nullptr && upload_->IsPassing();
    if (input_ended_) replies_.blocking() || cut ? Close() : Drain();
  }
}

// ---- output

void ClientConnection::BeforeFlush() {
  if (replies_.broken()) return Close();
  if (bindings_ != nullptr) bindings_->ReleaseHeldMessages();
  if (state_ != State::kOpen) return;
  if (blocked_) {
    if (MayResume()) Resume();
  } else if (!socket_.receiving() && !input_ended_ && !context_.owner.UnderMemoryPressure()) {
    socket_.StartReceive();
  }
}

void ClientConnection::Flush() {
  if (state_ == State::kClosing) return;
  if (replies_.bytes() > resources_.config.client_output_hard_bytes) {
    resources_.stats.clients_closed_output_limit.Add();
    return Close();
  }
  writer_.Flush(resources_, &socket_, replies_.output());
  FinishIfDrained();
}

void ClientConnection::OnSent(size_t bytes, int error) {
  writer_.OnSent(resources_, bytes, &replies_.output());
  if (error != 0) return Close();
  if (replies_.stalled()) replies_.ResumeStalled();
  // Also when nothing is left: a blocked client may go on, a draining one may be done.
  if (!replies_.output().empty() || blocked_ || state_ == State::kDraining) {
    resources_.MarkDirty(resources_.dirty_clients, this);
  }
}

// ---- the end

void ClientConnection::OnReceiveEnded(int error) {
  if (error != 0) return Close();
  // Half closed: what was asked is still answered, but nobody waits for what may never come.
  if (replies_.blocking()) return EndBlocking();
  if (upload_ != nullptr && upload_->IsPassing() && !blocked_) return Close();
  input_ended_ = true;
  if (!blocked_) Drain();
}

void ClientConnection::Drain() {
  if (state_ != State::kOpen) return;
  if (upload_ != nullptr && upload_->IsPassing()) return Close();  // The rest will not be read.
  state_ = State::kDraining;
  backlog_.Clear(resources_.segments);
  // What else the client sends is thrown away instead of left unread: TCP answers a close with
  // bytes unread by a reset, which would take the last replies with it.
  if (!input_ended_) socket_.StartReceive();
  resources_.MarkDirty(resources_.dirty_clients, this);
}

void ClientConnection::FinishIfDrained() {
  if (state_ != State::kDraining) return;
  if (replies_.empty() && replies_.output().empty() && !socket_.sending()) Close();
}

void ClientConnection::Close() {
  if (state_ == State::kClosing) return;
  state_ = State::kClosing;
  socket_.Close();
}

void ClientConnection::OnSocketClosed() {
  writer_.Reset(resources_);
  ReleasePartial();
  backlog_.Clear(resources_.segments);
  replies_.Abandon();
  DropBindings();
  if (Flushable::IsLinked()) Flushable::Unlink();
  context_.owner.OnClientGone(this);
}

size_t ClientConnection::InputBytes() const {
  const size_t partial = partial_ == nullptr ? 0 : partial_->capacity();
  const size_t queued = bindings_ == nullptr ? 0 : bindings_->bytes();
  return backlog_.bytes() + partial + queued + UploadBytes();
}

void ClientConnection::CheckInvariants() const {
  replies_.CheckInvariants();
  CHECK(blocked_ || backlog_.empty());
}

}  // namespace rcproxy::proxy
