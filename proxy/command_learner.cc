#include "proxy/command_learner.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "cluster/command_report_parser.h"

namespace rcproxy::proxy {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr std::string_view kCommand = "*1\r\n$7\r\nCOMMAND\r\n";

}  // namespace

CommandLearner::CommandLearner(Resources& resources, RoutingTable& table, Router& router,
                               Publish publish)
    : resources_(resources),
      table_(table),
      router_(router),
      publish_(std::move(publish)),
      timer_(
          resources.timers, [](void* self) { static_cast<CommandLearner*>(self)->OnTimer(); },
          this) {}

CommandLearner::~CommandLearner() { DCHECK(!waiting_); }

void CommandLearner::Stop() {
  stopped_ = true;
  timer_.Disarm();
}

void CommandLearner::OnMapAdopted() {
  if (!resources_.config.learn_commands || stopped_) return;
  if (running_) {
    again_ = true;
    return;
  }
  const std::vector<UpstreamNode*> primaries = table_.Primaries();
  const bool has_new = std::ranges::any_of(primaries, [this](const UpstreamNode* node) {
    return !answered_.contains(node->address().ToString());
  });
  if (has_new && !timer_.armed()) timer_.Arm(std::max(earliest_ns_, resources_.io.NowNs()));
}

void CommandLearner::OnTimer() { running_ ? AskNext() : Begin(); }

void CommandLearner::Begin() {
  running_ = true;
  earliest_ns_ = resources_.io.NowNs() + resources_.config.learn_commands_interval_ms * kNsPerMs;
  for (const UpstreamNode* node : table_.Primaries()) to_ask_.push_back(node->address());
  answered_.clear();
  common_.reset();
  differ_ = false;
  AskNext();
}

void CommandLearner::AskNext() {
  if (to_ask_.empty()) return Finish();
  asked_ = std::move(to_ask_.back());
  to_ask_.pop_back();
  waiting_ = true;
  router_.SendInternal(table_.NodeAt(asked_), kCommand, this);
}

void CommandLearner::OnReply(std::string_view reply) {
  waiting_ = false;
  if (stopped_) return;
  absl::StatusOr<cluster::CommandReport> report = cluster::ParseCommandReply(reply);
  if (!report.ok()) return NoteFailure(std::string(report.status().message()));
  resources_.stats.command_tables_read.Add();
  answered_.insert(asked_.ToString());
  if (!common_.has_value()) {
    common_ = *std::move(report);
  } else {
    differ_ |= cluster::KeepCommon(&*common_, *report);
  }
  timer_.Arm(resources_.io.NowNs());  // The next one in another turn: clients wait.
}

void CommandLearner::OnLost() {
  waiting_ = false;
  if (!stopped_) NoteFailure("it did not answer");
}

void CommandLearner::NoteFailure(std::string_view why) {
  resources_.stats.command_table_failures.Add();
  LOG_EVERY_T(WARNING, 10) << "node " << asked_.ToString()
                           << " does not tell which commands it has: " << why;
  timer_.Arm(resources_.io.NowNs());  // Later, not from inside the call that has just asked.
}

void CommandLearner::Finish() {
  running_ = false;
  if (differ_) {
    resources_.stats.command_tables_differ.Add();
    LOG(WARNING) << "the primaries do not all have the same commands: those that some lack are "
                    "not learnt";
  }
  if (common_.has_value()) PublishTable(std::make_shared<const cluster::LearntCommands>(*common_));
  common_.reset();
  if (std::exchange(again_, false)) OnMapAdopted();
}

void CommandLearner::PublishTable(std::shared_ptr<const cluster::LearntCommands> table) {
  if (published_ != nullptr && published_->SameAs(*table)) return;
  const auto known =
      std::ranges::find_if(tables_, [&table](const auto& other) { return other->SameAs(*table); });
  if (known != tables_.end()) {
    table = *known;
  } else if (tables_.size() == kTablesMax) {
    LOG_EVERY_T(ERROR, 60) << "the nodes' commands have changed too often: they are not learnt "
                              "any more until rcproxy is started again";
    return;
  } else {
    tables_.push_back(table);
  }
  published_ = table.get();
  resources_.stats.command_table_changes.Add();
  resources_.stats.commands_learnt.Set(table->commands().size());
  LOG(INFO) << "commands learnt from " << answered_.size()
            << " primaries: " << table->commands().size() << " beyond the built-in ones";
  publish_(std::move(table));
}

}  // namespace rcproxy::proxy
