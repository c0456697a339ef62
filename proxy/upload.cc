#include "proxy/upload.h"

#include <span>

#include "cluster/command_keys.h"
#include "cluster/redirect.h"
#include "proxy/errors.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;

namespace {

class UploadOperation final : public Operation {
 public:
  UploadOperation(uint16_t slot, std::string_view head) : slot_(slot), head_(head) {}

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return round->AskUpload(slot_, std::move(head_));
    round->Finish(std::string(Moved(answers[0]) ? kErrorUploadMoved : answers[0]));
  }

 private:
  static bool Moved(std::string_view answer) {
    if (!answer.starts_with('-')) return false;
    const cluster::ErrorKind kind = cluster::ParseErrorReply(answer).kind;
    return kind == cluster::ErrorKind::kMoved || kind == cluster::ErrorKind::kAsk ||
           kind == cluster::ErrorKind::kTryAgain;
  }

  const uint16_t slot_;
  std::string head_;
};

}  // namespace

UploadCandidate FindUploadCandidate(const resp::RequestScanner& scanner, std::string_view arrived) {
  const resp::CommandView known = scanner.arguments_before(arrived);
  if (known.size() == 0) return {};
  const CommandSpec* spec = cluster::FindCommand(known[0]);
  if (spec == nullptr || !spec->subcommands.empty()) return {};
  // No other flag may ask for a second look, and other keys could be among what has not come.
  if (spec->route != cluster::Route::kKeyed || !spec->Has(cluster::kFlagWrite)) return {};
  if ((spec->flags & cluster::kFlagsOfSpecialCommands) != 0) return {};
  if (!cluster::HasOneKeyAtFixedPlace(*spec)) return {};
  if (!spec->ArityOk(scanner.open_argument().arguments)) return {};
  const auto at = static_cast<size_t>(spec->keys[0].index);
  if (at >= known.size()) return {};
  return {spec, known[at]};
}

std::unique_ptr<Operation> MakeUploadOperation(uint16_t slot, std::string_view head) {
  return std::make_unique<UploadOperation>(slot, head);
}

}  // namespace rcproxy::proxy
