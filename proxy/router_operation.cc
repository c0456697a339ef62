// The part of Router that runs operations: commands that take several questions.
#include <glog/logging.h>

#include <cstring>
#include <string>
#include <utility>

#include "cluster/redirect.h"
#include "proxy/reply_merger.h"
#include "proxy/router.h"
#include "proxy/split_state.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;

static_assert(Question::kAnySlot == Request::kNoSlot);

Router::Verdict Router::Start(ReplyQueue* client, const CommandSpec& spec,
                              std::unique_ptr<Operation> operation) {
  // An operation asks in an order of its own: what the client asked before has to be through.
  if (client->MustHold(spec) || !client->empty()) return Verdict::kWait;
  resources_.stats.operations.Add();
  SplitState* split = MakeParent(client, NewRequest(spec, Request::kNoSlot));
  split->operation = std::move(operation);
  client->AddBarrier();
  Advance(split, {});
  return Verdict::kTaken;
}

void Router::OnAnswered(SplitState* split) {
  std::vector<std::string_view> answers;
  for (const Request* part : split->parts) answers.push_back(part->bytes.view());
  Advance(split, answers);
}

void Router::Resume(uint64_t wait_id, std::span<const std::string_view> answers) {
  const auto waiting = resources_.waiting_operations.find(wait_id);
  if (waiting == resources_.waiting_operations.end()) return;  // Its client has left.
  SplitState* split = waiting->second;
  resources_.waiting_operations.erase(waiting);
  split->wait_id = 0;
  Advance(split, answers);
}

void Router::Advance(SplitState* split, std::span<const std::string_view> answers) {
  const uint64_t wait_id = ++last_wait_id_;
  Round round(wait_id, resources_.io.NowNs());
  split->operation->Next(answers, &round);
  Request* parent = split->parent;
  ReplyQueue* client = parent->replies;
  client->SetBlocking(false);
  for (Request* part : split->parts) {
    client->ForgetPart(part);
    resources_.FreeRequest(part);
  }
  split->parts.clear();
  split->targets.clear();
  if (round.finished()) {
    FreeSplit(resources_, split);
    parent->is_split = false;
    client->SubBarrier();
    return DeliverText(resources_, parent, round.reply());
  }
  if (round.waits()) {
    split->wait_id = wait_id;
    resources_.waiting_operations.emplace(wait_id, split);
    return;
  }
  const std::span<const Question> questions = round.questions();
  CHECK(!questions.empty()) << parent->spec->name;
  split->pending = questions.size();
  client->AddParts(questions.size());
  for (const Question& question : questions) split->targets.push_back(question.node);
  for (const Question& question : questions) {
    Request* part = NewPart(split, question.slot);
    part->read_only = question.repeatable;
    part->resp3 |= question.resp3;
    part->is_private = question.blocks || question.uploads || question.aside;
    part->is_upload = part->is_cut = question.uploads;
    if (question.blocks) client->SetBlocking(true);
    const std::string& bytes = question.command;
    std::memcpy(Place(part, bytes.size()), bytes.data(), bytes.size());
  }
}

UpstreamConnection* Router::OwnLink(Request* request, UpstreamNode* node) {
  UpstreamConnection* link = node->TakeOwnLink(request->resp3);
  if (link == nullptr) {
    const bool at_limit = !node->InBackoff();
    request->failure = at_limit ? Request::Failure::kNoOwnLink : Request::Failure::kUnreachable;
    if (!at_limit) topology_.RequestRefresh();
  }
  // One that is asked aside goes on when its client leaves.
  if (MayTakeItsTime(*request)) request->split_parent->own_link = link;
  return link;
}

// The time that a blocking command still has is less than when it was sent first. It may have been
// under way for longer than any other request may: its retries begin to count now.
void Router::RenewBlocking(Request* request) {
  const int64_t now_ns = resources_.io.NowNs();
  request->issued_ns = now_ns;
  const std::string command = request->split_parent->operation->Again(now_ns);
  if (command.empty()) return;
  const Staging::Block block = resources_.upstream_staging.Take(command.size(), command.size());
  std::memcpy(block.begin, command.data(), command.size());
  request->bytes = uring::Slice::Adopt(block.chunk, block.begin, command.size());
}

// ---- commands that are passed on while they arrive

bool Router::ProbeForUpload(uint16_t slot, std::string_view key, InternalReply* reply) {
  UpstreamNode* const owner = table_.Find(slot).primary;
  if (owner == nullptr || !owner->HasRoomForOwnLink() || moving_slots_.Has(slot)) return false;
  SendInternal(owner, resp::CommandOf({"EXISTS", key}), reply);
  return true;
}

UpstreamConnection* Router::OwnLinkOf(const ReplyQueue& client) {
  const Request* const front = client.Front();
  return front != nullptr && front->is_split ? front->split->own_link : nullptr;
}

// The rest of the command has gone by: it cannot be sent to anybody else. What is learnt from the
// node's answer is for the next ones.
void Router::NoteUploadRefused(const Request* request, const cluster::Redirect& redirect) {
  const bool moving =
      redirect.kind == cluster::ErrorKind::kAsk || redirect.kind == cluster::ErrorKind::kTryAgain;
  if (moving) {
    moving_slots_.Note(request->slot, resources_.io.NowNs());
  } else {
    topology_.RequestRefresh();
  }
}

namespace {

class IgnoredReply final : public InternalReply {
 public:
  void OnReply(std::string_view) override {}
  void OnLost() override {}
};

}  // namespace

bool Router::Unblock(const ReplyQueue& client, bool with_error) {
  static IgnoredReply ignored;
  UpstreamConnection* link = client.blocking() ? OwnLinkOf(client) : nullptr;
  if (link == nullptr || link->client_id() == 0) return false;
  const std::string id = std::to_string(link->client_id());
  const std::string_view how = with_error ? "ERROR" : "TIMEOUT";
  SendInternal(&link->node(), resp::CommandOf({"CLIENT", "UNBLOCK", id, how}), &ignored);
  return true;
}

void Router::OnAbandoned(UpstreamConnection* own_link) { own_link->Leave(); }

}  // namespace rcproxy::proxy
