// The part of ClientConnection that passes large commands on while they arrive.
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/hash_slot.h"
#include "proxy/client_connection.h"
#include "proxy/upload.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;
using uring::Slice;

// Called when the command in partial_ needs more. Returns true when nothing more of it should be
// gathered for now.
bool ClientConnection::ConsiderUpload() {
  if (upload_ != nullptr) return upload_->phase != Upload::Phase::kHeld;
  const uint64_t bytes_min = resources_.config.stream_command_bytes_min;
  if (bytes_min == 0 || partial_->scanner.open_argument().bytes < bytes_min) return false;
  if (!session_.authenticated || bindings_ != nullptr || state_ != State::kOpen) return false;
  upload_ = std::make_unique<Upload>();
  const UploadCandidate candidate =
      FindUploadCandidate(partial_->scanner, {partial_->block.begin, partial_->size});
  upload_->phase = Upload::Phase::kHeld;  // It is looked at once.
  if (candidate.spec == nullptr) return false;
  upload_->spec = candidate.spec;
  upload_->slot = cluster::HashSlot(candidate.key);
  upload_->phase = Upload::Phase::kProbing;
  auto* probe = new UploadProbe(
      [](void* self, bool yes) { static_cast<ClientConnection*>(self)->OnProbed(yes); }, this);
  upload_->probe = probe;
  const KeyToProbe key = {candidate.key, upload_->slot, session_.database};
  if (!context_.router.ProbeForUpload(key, probe)) probe->OnLost();
  return upload_->phase != Upload::Phase::kHeld;
}

void ClientConnection::OnProbed(bool may_pass_on) {
  upload_->probe = nullptr;
  upload_->phase = may_pass_on ? Upload::Phase::kMayStart : Upload::Phase::kHeld;
  resources_.MarkDirty(resources_.dirty_clients, this);
}

// Returns false, and waits (blocked_), when earlier commands have to be through first.
bool ClientConnection::StartUpload() {
  const resp::RequestScanner::OpenArgument open = partial_->scanner.open_argument();
  const std::string_view arrived(partial_->block.begin, partial_->size);
  auto operation = MakeUploadOperation(upload_->slot, arrived.substr(0, open.begin));
  if (RunOperation(*upload_->spec, std::move(operation)) != Progress::kContinue) return false;
  resources_.stats.uploads.Add();
  const resp::RequestLimits limits = Limits();
  const uint64_t so_far = uint64_t{open.begin} + open.bytes + 2;
  upload_->tail.emplace(open.bytes, open.arguments - open.index - 1, limits.bulk_bytes_max,
                        limits.command_bytes_max - so_far);
  upload_->phase = Upload::Phase::kPassing;
  const std::string_view payload = arrived.substr(open.begin);
  const Slice held = Slice::Share(partial_->block.chunk, payload.data(), payload.size());
  DropPartial();
  Keep(held.chunk(), PassOn(held.chunk(), held.view()));
  return true;
}

// Gives the node what belongs to the command. Returns the rest of `data`, which has to wait when
// blocked_ is set.
std::string_view ClientConnection::PassOn(Chunk* chunk, std::string_view data) {
  while (!data.empty() && upload_ != nullptr) {
    if (!MayPassOn()) {
      blocked_ = true;
      return data;
    }
    // Without one the command has been answered before its end: the node was lost.
    UpstreamConnection* link = Router::OwnLinkOf(replies_);
    const size_t taken = upload_->tail->Take(data);
    if (link != nullptr && taken > 0) link->Append(chunk, data.substr(0, taken));
    data.remove_prefix(taken);
    if (const std::string_view error = upload_->tail->error(); !error.empty()) {
      upload_.reset();
      if (link != nullptr) link->Leave();
      ProtocolError(error);
      return {};
    }
    if (!upload_->tail->done()) continue;
    if (link != nullptr) link->EndUpload();
    upload_.reset();
  }
  return data;
}

// Whether more of the command can be given on now, or thrown away.
bool ClientConnection::MayPassOn() const {
  if (replies_.empty()) return true;
  const UpstreamConnection* link = Router::OwnLinkOf(replies_);
  return link != nullptr && link->MayAppend();
}

// That wait to be sent to the node.
size_t ClientConnection::UploadBytes() const {
  if (upload_ == nullptr || !upload_->IsPassing()) return 0;
  const UpstreamConnection* link = Router::OwnLinkOf(replies_);
  return link != nullptr ? link->output_bytes() : 0;
}

void ClientConnection::DropUpload() {
  if (upload_ != nullptr && upload_->probe != nullptr) upload_->probe->Forget();
  upload_.reset();
}

}  // namespace rcproxy::proxy
