// What nodes refuse of units (MULTI, commands, EXEC): the parts of UpstreamConnection and
// UpstreamNode for it.
#include <string>
#include <string_view>

#include "cluster/redirect.h"
#include "proxy/reply_queue.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

namespace {

constexpr std::string_view kErrorTryAgain =
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

}  // namespace

bool UpstreamConnection::TriesMulti() const {
  return !resources_.config.upstream_username.empty() &&
         !resources_.config.upstream_password.empty() && !kind_.is_subscription &&
         !kind_.replica_reads;
}

// The replies to the log-in, MULTI and EXEC. False for the log-in's.
bool UpstreamConnection::TakesMultiTrial(std::string_view reply) {
  if (multi_trial_replies_ == 0) return false;
  switch (--multi_trial_replies_) {
    case 2:
      return false;
    case 1:
      node_.NoteMulti(reply);
      return true;
    default:
      return true;
  }
}

bool UpstreamConnection::RefusesUnit(Request* request) {
  if (!request->is_unit || node_.multi_refusal().empty() || ClientOf(request) == nullptr)
    return false;
  if (request->is_private) GiveBack(request);
  DeliverText(resources_, request, node_.multi_refusal());
  return true;
}

void UpstreamNode::TryMultiAgain() {
  const int64_t now_ns = resources_.io.NowNs();
  if (now_ns - multi_tried_ns_ < kMultiTrialNs) return;
  multi_tried_ns_ = now_ns;
  primary_link().Ask(resp::CommandOf({"MULTI"}), &multi_trial_);
  primary_link().Ask(resp::CommandOf({"EXEC"}), &ignored_);
}

// EXEC says only that there were errors, which the client has not seen, as it was told QUEUED. When
// the unit is given up because of where its keys are, or for want of a right, that is the answer.
// Others are as of EXEC. `redirect`: the unit's first error.
bool UpstreamConnection::TellUnitError(Request* request, const cluster::Redirect& redirect) {
  const cluster::ErrorKind kind = redirect.kind;
  const bool tells = kind != cluster::ErrorKind::kOther || unit_error_.starts_with("-NOPERM");
  if (unit_error_.empty() || !tells) return false;
  request->pieces.Clear(resources_.segments);
  const bool half_moved = kind == cluster::ErrorKind::kTryAgain;  // ASK counts as that.
  DeliverText(resources_, request, half_moved ? kErrorTryAgain : std::string_view(unit_error_));
  return true;
}

}  // namespace rcproxy::proxy
