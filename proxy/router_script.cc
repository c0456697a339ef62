// Scripts and functions that a node does not know.
#include <string>

#include "proxy/request_order.h"
#include "proxy/router.h"
#include "proxy/upstream_node.h"
#include "resp/request_scanner.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

void Router::NoteScript(const cluster::CommandSpec& spec, const resp::CommandView& command) {
  if (spec.name == "script|flush") return ScriptCache::ForgetAll();
  scripts_.Note(command[spec.name == "script|load" ? 2 : 1]);
}

// NOSCRIPT: the node gets the script if it is known, and the call behind it on the same connection.
// The call is not repeated when a younger command of its client may have been executed meanwhile
// that must not come before it; then the error is the answer, and the next call will find the
// script.
bool Router::HealScript(Request* request, UpstreamConnection* from) {
  if (!request->spec->name.starts_with("evalsha") || request->healed || !from->CanAccept()) {
    return false;
  }
  resp::RequestScanner scanner;
  if (scanner.Scan(request->bytes.view(), resp::kDefaultRequestLimits) !=
      resp::ScanStatus::kCommand)
    return false;
  const std::string* body = scripts_.Find(scanner.command()[1]);
  if (body == nullptr) return false;
  from->AcceptIgnored(resp::CommandOf({"SCRIPT", "LOAD", *body}));
  resources_.stats.scripts_healed.Add();
  if (!from->CanAccept() || IsOvertaken(*request)) return false;
  request->healed = true;
  request->pieces.Clear(resources_.segments);
  from->AcceptAgain(request);
  return true;
}

// A node that has just joined may be about to get its functions (FunctionSync): until then the
// command waits.
bool Router::AwaitFunctions(Request* request, const UpstreamNode& node) {
  if (!node.IsNew() || resources_.config.function_bytes_max == 0) return false;
  topology_.RequestRefresh();
  return TryDelay(request);
}

// Whether a younger command of its client is under way that may share a key with it.
bool Router::IsOvertaken(const Request& request) const {
  const ReplyQueue* client = ClientOf(&request);
  return client->delayed() > 0 || AnyInFlight(*client, [&request](const Request& other) {
           return IsOlder(request, other) && MustKeepOrder(request, other);
         });
}

}  // namespace rcproxy::proxy
