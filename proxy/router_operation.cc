// The part of Router that runs operations: commands that take several questions.
#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/redirect.h"
#include "proxy/held_link.h"
#include "proxy/reply_merger.h"
#include "proxy/router.h"
#include "proxy/split_state.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;

static_assert(Question::kAnySlot == Request::kNoSlot);

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// Has a node end a command that blocks. The node may read this connection before that of the
// command: then it knows of nobody who waits, and is asked again as long as the command is there.
// Destroys itself.
class Unblocking final : public InternalReply {
 public:
  Unblocking(Router& router, RoutingTable& table, UpstreamConnection& link, uint32_t order,
             std::string_view how)
      : router_(router),
        table_(table),
        node_(link.node().address()),
        client_id_(link.client_id()),
        order_(order),
        command_(resp::CommandOf({"CLIENT", "UNBLOCK", std::to_string(client_id_), how})) {}

  void Ask() {
    --asks_left_;
    router_.SendInternal(table_.NodeAt(node_), command_, this);
  }
  void OnReply(std::string_view reply) override {
    if (reply == ":0\r\n" && asks_left_ > 0 && IsThere()) return Ask();
    delete this;
  }
  void OnLost() override { delete this; }

 private:
  static constexpr int kAsksMax = 10;

  bool IsThere() {
    bool is_there = false;
    table_.NodeAt(node_)->ForEachLink([&](const UpstreamConnection& link) {
      is_there |= link.kind().is_own && link.client_id() == client_id_ &&
                  link.AnyRequest([this](const Request& r) { return r.order == order_; });
    });
    return is_there;
  }

  Router& router_;
  RoutingTable& table_;
  const cluster::NodeAddress node_;
  const int64_t client_id_;
  const uint32_t order_;  // Of the command that blocks.
  const std::string command_;
  int asks_left_ = kAsksMax;
};

}  // namespace

Router::Verdict Router::Start(ReplyQueue* client, const CommandSpec& spec,
                              std::unique_ptr<Operation> operation) {
  // An operation asks in an order of its own: what the client asked before has to be through.
  if (!MayStart(*client, spec)) return Verdict::kWait;
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

void Router::OnJoined(SplitState* split) {
  Request* parent = split->parent;
  ReplyQueue* client = parent->replies;
  const std::string error(split->joined->error());
  for (const Request* part : split->parts) {
    // Those whose turn never came, and those that nobody waits for any more.
    part->state == Request::State::kAnswered ? client->ForgetPart(part) : client->OnPartAnswered(0);
  }
  FreeSplit(resources_, split);
  parent->is_split = false;
  client->SubBarrier();
  if (!error.empty()) return DeliverText(resources_, parent, error);
  DeliverReply(resources_, parent, /*chunk=*/nullptr, /*rest=*/{});  // It has left already.
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
  client->SetBlocking(round.blocks());
  const std::span<const Question> questions = round.questions();
  CHECK(!questions.empty()) << parent->spec->name;
  split->pending = questions.size();
  client->AddParts(questions.size());
  if (round.joins())
    split->joined = std::make_unique<JoinedReply>(resources_, *split, questions.size());
  for (const Question& question : questions) split->targets.push_back(question.node);
  for (const Question& question : questions) {
    Request* part = NewPart(split, question.slot);
    part->read_only = question.repeatable;
    part->needs.resp3 |= question.resp3;
    part->once = question.once;
    part->is_private =
        question.blocks || question.uploads || question.aside || question.held != nullptr;
    part->is_pinned = question.held != nullptr;
    part->is_unit = question.is_unit;
    split->held = question.held;
    part->is_upload = part->is_cut = question.uploads;
    const std::string& bytes = question.command;
    std::memcpy(Place(part, bytes.size()), bytes.data(), bytes.size());
  }
}

UpstreamConnection* Router::OwnLink(Request* request, UpstreamNode* node) {
  if (request->spec->Has(cluster::kFlagWrite))
    NoteWrite(request, *node);  // BLPOP may be repeatable.
  HeldLink* const held = request->is_pinned ? request->split_parent->held : nullptr;
  const bool has_one = held != nullptr && held->link() != nullptr;
  UpstreamConnection* link =
      has_one ? held->link() : node->TakeOwnLink(request->needs.resp3, DatabaseOf(*request));
  if (held != nullptr && link != nullptr && !has_one) held->Take(link);
  if (link == nullptr) {
    const bool at_limit = !node->InBackoff();
    request->failure = at_limit ? Request::Failure::kNoOwnLink : Request::Failure::kUnreachable;
    if (!at_limit) topology_.RequestRefresh();
  }
  // One that is asked aside goes on when its client leaves, unless nobody would read the answer.
  const bool ends_with_client =
      MayTakeItsTime(*request) || request->is_pinned || request->split_parent->joined != nullptr;
  if (link != nullptr && ends_with_client) request->split_parent->own_links.push_back(link);
  return link;
}

// The time that a blocking command still has is less than when it was sent first. It may have been
// under way for longer than any other request may: its retries begin to count now. Not each time
// that a half moved slot sends it from node to node: one that is too old for that has waited since.
void Router::RenewBlocking(Request* request) {
  const int64_t now_ns = resources_.io.NowNs();
  const bool goes_round =
      request->was_delayed && moving_slots_.TryAgainNs(request->slot, now_ns) > 0 &&
      !Expired(request, now_ns - resources_.config.request_timeout_ms * kNsPerMs);
  if (!goes_round) request->issued_ns = now_ns;
  const std::string command = request->split_parent->operation->Again(now_ns);
  if (command.empty()) return;
  const Staging::Block block = resources_.upstream_staging.Take(command.size(), command.size());
  std::memcpy(block.begin, command.data(), command.size());
  request->bytes = uring::Slice::Adopt(block.chunk, block.begin, command.size());
}

// Of a question with a connection of its own, which no node has now: its client may have been
// unblocked meanwhile.
bool Router::EndUnblocked(Request* request) {
  if (!request->is_private) return false;
  const std::string reply(request->split_parent->operation->UnblockedReply());
  if (reply.empty()) return false;
  request->pieces.Clear(resources_.segments);
  DeliverText(resources_, request, reply);
  return true;
}

bool Router::IsOver(const Request& request) const {
  return request.is_private && request.split_parent->operation->IsOver(resources_.io.NowNs());
}

// ---- commands that are passed on while they arrive

bool Router::ProbeForUpload(const KeyToProbe& key, InternalReply* reply) {
  UpstreamNode* const owner = table_.Find(key.slot).primary;
  if (owner == nullptr || !owner->HasRoomForOwnLink() || moving_slots_.Has(key.slot)) return false;
  UpstreamConnection& link = owner->link({.database = key.database});
  link.Ask(resp::CommandOf({"EXISTS", key.key}), reply);
  return true;
}

UpstreamConnection* Router::OwnLinkOf(const ReplyQueue& client) {
  const Request* const front = client.Front();
  if (front == nullptr || !front->is_split || front->split->own_links.empty()) return nullptr;
  return front->split->own_links.front();
}

// The request cannot be sent to anybody else: of an upload the rest has gone by. What is learnt
// from the node's answer is for the next ones.
void Router::NoteRefused(const Request* request, const cluster::Redirect& redirect) {
  const bool moving =
      redirect.kind == cluster::ErrorKind::kAsk || redirect.kind == cluster::ErrorKind::kTryAgain;
  if (moving) {
    moving_slots_.Note(request->slot, resources_.io.NowNs());
  } else {
    topology_.RequestRefresh();
  }
}

// ---- what is watched

// It is watched on one connection: neither WATCH nor EXEC can go elsewhere.
bool Router::EndWatch(Request* request, const cluster::Redirect& redirect) {
  const bool answers = redirect.kind == cluster::ErrorKind::kOther ||
                       redirect.kind == cluster::ErrorKind::kNoScript ||
                       redirect.kind == cluster::ErrorKind::kNoFunction;
  if (answers) return false;
  NoteRefused(request, redirect);
  LoseWatch(request);
  return true;
}

void Router::LoseWatch(Request* request) {
  request->split_parent->held->Close();
  request->pieces.Clear(resources_.segments);
  const std::string_view null = request->needs.resp3 ? "_\r\n" : "*-1\r\n";
  DeliverText(resources_, request, request->is_unit ? null : "+OK\r\n");
}

bool Router::Unblock(const ReplyQueue& client, bool with_error) {
  const Request* const front = client.Front();
  if (!client.blocking() || front == nullptr || !front->is_split) return false;
  Operation& operation = *front->split->operation;
  if (operation.Unblock(with_error)) return true;
  UpstreamConnection* link = OwnLinkOf(client);
  const bool is_delayed = std::ranges::any_of(front->split->parts, [](const Request* part) {
    return part->state == Request::State::kDelayed;
  });
  if (!is_delayed && (link == nullptr || link->client_id() == 0)) return false;
  operation.NoteUnblocked(with_error);
  if (is_delayed) return true;
  const std::string_view how = with_error ? "ERROR" : "TIMEOUT";
  (new Unblocking(*this, table_, *link, front->order, how))->Ask();
  return true;
}

void Router::OnAbandoned(UpstreamConnection* own_link) { own_link->Leave(); }

}  // namespace rcproxy::proxy
