#include "proxy/watch.h"

#include <utility>

#include "proxy/upstream_connection.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

namespace {

using Answers = std::span<const std::string_view>;

class WatchOperation final : public Operation {
 public:
  WatchOperation(Watch* watch, std::string_view command) : watch_(*watch), command_(command) {}

  void Next(Answers answers, Round* round) override {
    if (!answers.empty()) return Finish(answers[0], round);
    if (watch_.IsBroken()) return round->Finish("+OK\r\n");
    round->AskHeld(watch_.slot, command_, &watch_.held);
  }

 private:
  void Finish(std::string_view answer, Round* round) {
    if (answer.starts_with('+')) {
      watch_.is_watching = true;
    } else if (!watch_.is_watching) {
      watch_.held.GiveBack();
    }
    round->Finish(std::string(answer));
  }

  Watch& watch_;
  const std::string command_;
};

class ExecOperation final : public Operation {
 public:
  ExecOperation(std::unique_ptr<Watch> watch, std::string unit, resp::Protocol protocol)
      : watch_(std::move(watch)), unit_(std::move(unit)), protocol_(protocol) {}

  void Next(Answers answers, Round* round) override {
    if (!answers.empty()) {
      watch_->held.GiveBack();
      return round->Finish(std::string(answers[0]));
    }
    if (!watch_->IsBroken() && SpeaksAsClient())
      return round->AskHeldUnit(watch_->slot, std::move(unit_), &watch_->held);
    std::string null;
    resp::AppendNullArray(&null, protocol_);
    round->Finish(std::move(null));
  }

 private:
  // HELLO may have come between WATCH and EXEC.
  bool SpeaksAsClient() const {
    return watch_->held.link()->kind().resp3 == (protocol_ == resp::Protocol::kResp3);
  }

  const std::unique_ptr<Watch> watch_;
  std::string unit_;
  const resp::Protocol protocol_;
};

class UnwatchOperation final : public Operation {
 public:
  UnwatchOperation(std::unique_ptr<Watch> watch, std::string reply)
      : watch_(std::move(watch)), reply_(std::move(reply)) {}

  void Next(Answers answers, Round* round) override {
    if (answers.empty() && watch_->held.link() != nullptr)
      return round->AskHeld(watch_->slot, resp::CommandOf({"UNWATCH"}), &watch_->held);
    if (!answers.empty() && answers[0].starts_with('+')) watch_->held.GiveBack();
    round->Finish(reply_);
  }

 private:
  const std::unique_ptr<Watch> watch_;
  const std::string reply_;
};

}  // namespace

std::unique_ptr<Operation> MakeWatchOperation(Watch* watch, std::string_view command) {
  return std::make_unique<WatchOperation>(watch, command);
}

std::unique_ptr<Operation> MakeExecOperation(std::unique_ptr<Watch> watch, std::string unit,
                                             resp::Protocol protocol) {
  return std::make_unique<ExecOperation>(std::move(watch), std::move(unit), protocol);
}

std::unique_ptr<Operation> MakeUnwatchOperation(std::unique_ptr<Watch> watch, std::string reply) {
  return std::make_unique<UnwatchOperation>(std::move(watch), std::move(reply));
}

}  // namespace rcproxy::proxy
