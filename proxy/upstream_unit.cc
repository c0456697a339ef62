// The part of UpstreamConnection for errors of units (MULTI, commands, EXEC).
#include <string>
#include <string_view>

#include "cluster/redirect.h"
#include "proxy/reply_queue.h"
#include "proxy/upstream_connection.h"

namespace rcproxy::proxy {

namespace {

constexpr std::string_view kErrorTryAgain =
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

}  // namespace

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
