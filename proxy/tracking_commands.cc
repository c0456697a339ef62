#include "proxy/tracking_commands.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config.h"
#include "proxy/stats.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;
using Mode = TrackingOptions::Mode;

constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr std::string_view kNoTargetError = "ERR The client ID you want redirect to does not exist";

// ---- CLIENT TRACKING

// Its arguments, as far as they can be read.
struct TrackingRequest {
  std::string on_or_off;
  int64_t redirect = 0;
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  bool no_loop = false;
  std::vector<std::string> prefixes;
  std::string error;  // What is wrong behind what has been read.
};

void ParseRedirect(std::string_view id, TrackingRequest* request) {
  if (request->redirect != 0) {
    request->error = "ERR A client can only redirect to a single other client";
  } else if (!resp::ParseStrictInteger(id, &request->redirect)) {
    request->error = "ERR value is not an integer or out of range";
  } else if (request->redirect <= 0) {
    request->redirect = 0;
    request->error = kNoTargetError;
  }
}

TrackingRequest ParseTracking(const resp::CommandView& command) {
  TrackingRequest request;
  request.on_or_off = command[2];
  for (size_t i = 3; i < command.size() && request.error.empty(); ++i) {
    const bool has_value = i + 1 < command.size();
    const std::string_view word = command[i];
    if (EqualsIgnoreCase(word, "redirect") && has_value) {
      ParseRedirect(command[++i], &request);
    } else if (EqualsIgnoreCase(word, "bcast")) {
      request.broadcast = true;
    } else if (EqualsIgnoreCase(word, "optin")) {
      request.opt_in = true;
    } else if (EqualsIgnoreCase(word, "optout")) {
      request.opt_out = true;
    } else if (EqualsIgnoreCase(word, "noloop")) {
      request.no_loop = true;
    } else if (EqualsIgnoreCase(word, "prefix") && has_value) {
      request.prefixes.emplace_back(command[++i]);
    } else {
      request.error = kSyntaxError;
    }
  }
  return request;
}

bool Overlap(std::string_view a, std::string_view b) {
  return a.starts_with(b) || b.starts_with(a);
}

// Returns the error, or "".
std::string CheckPrefixes(const std::vector<std::string>& prefixes, const TrackingOptions* before) {
  const auto overlaps = [](std::string_view prefix, std::string_view with, std::string_view other) {
    return Concat("ERR Prefix '", ForErrorText(prefix), "' overlaps with ", with, " prefix '",
                  ForErrorText(other), "'. Prefixes for a single client must not overlap.");
  };
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (before != nullptr) {
      for (const std::string& other : before->prefixes)
        if (Overlap(prefixes[i], other)) return overlaps(prefixes[i], "an existing", other);
    }
    for (size_t j = i + 1; j < prefixes.size(); ++j)
      if (Overlap(prefixes[i], prefixes[j]))
        return overlaps(prefixes[i], "another provided", prefixes[j]);
  }
  return "";
}

// Whether the options fit together, and to those of `before`. Returns the error, or "".
std::string CheckOptions(const TrackingRequest& request, const TrackingOptions* before) {
  if (!request.broadcast && !request.prefixes.empty())
    return "ERR PREFIX option requires BCAST mode to be enabled";
  if (before != nullptr && before->broadcast != request.broadcast) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
           "then re-enabling it with a different mode.";
  }
  if (request.broadcast && (request.opt_in || request.opt_out))
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  if (request.opt_in && request.opt_out)
    return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  const Mode mode = before != nullptr ? before->mode : Mode::kAllReads;
  if ((request.opt_in && mode == Mode::kOptOut) || (request.opt_out && mode == Mode::kOptIn)) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
           "then re-enabling it with a different mode.";
  }
  return CheckPrefixes(request.prefixes, before);
}

// Prefixes add up.
std::unique_ptr<TrackingOptions> MakeOptions(const TrackingRequest& request,
                                             const TrackingOptions* before) {
  auto options = std::make_unique<TrackingOptions>();
  options->broadcast = request.broadcast;
  options->no_loop = request.no_loop;
  options->redirect = request.redirect;
  if (request.opt_in) options->mode = Mode::kOptIn;
  if (request.opt_out) options->mode = Mode::kOptOut;
  if (before != nullptr) {
    options->caching = before->caching;
    options->prefixes = before->prefixes;
  }
  options->prefixes.insert(request.prefixes.begin(), request.prefixes.end());
  if (request.broadcast && request.prefixes.empty()) options->prefixes.emplace();
  return options;
}

// Does what is asked for. Returns the error, or "".
std::string Apply(const TrackingRequest& request, size_t prefixes_max, LocalHost& host,
                  Session* session) {
  if (!request.error.empty()) return request.error;
  if (EqualsIgnoreCase(request.on_or_off, "off")) {
    session->SetTracking(nullptr);
    return "";
  }
  if (!EqualsIgnoreCase(request.on_or_off, "on")) return std::string(kSyntaxError);
  const TrackingOptions* before = session->tracking();
  if (std::string error = CheckOptions(request, before); !error.empty()) return error;
  std::unique_ptr<TrackingOptions> options = MakeOptions(request, before);
  if (options->prefixes.size() > prefixes_max) {
    host.WorkerStats().errors_tracking_prefixes.Add();
    return "ERR too many prefixes: the client would have more than --tracking_prefixes_max";
  }
  session->SetTracking(std::move(options));
  return "";
}

// Finds out whether the client to redirect to is there, does what is asked for, and waits until
// nodes tell of what is to be told.
class TrackingOperation final : public Operation {
 public:
  TrackingOperation(LocalHost& host, Session& session, size_t prefixes_max, TrackingRequest request)
      : host_(host),
        session_(session),
        prefixes_max_(prefixes_max),
        request_(std::move(request)),
        step_(request_.redirect != 0 ? Step::kFindTarget : Step::kApply) {}

  void Next(Answers answers, Round* round) override {
    switch (std::exchange(step_, NextStep())) {
      case Step::kFindTarget:
        return host_.AskWorkers(
            [id = request_.redirect](WorkerClients& worker) {
              return std::string(worker.HasClient(id) ? "1" : "");
            },
            round->Wait());
      case Step::kApply:
        return ApplyAndAwait(answers, round);
      case Step::kFinish:
        return round->Finish("+OK\r\n");
    }
  }

 private:
  enum class Step : uint8_t { kFindTarget, kApply, kFinish };

  Step NextStep() const { return step_ == Step::kFindTarget ? Step::kApply : Step::kFinish; }
  void ApplyAndAwait(Answers answers, Round* round) {
    const bool is_there =
        request_.redirect == 0 || std::ranges::find(answers, "1") != answers.end();
    const std::string error =
        is_there ? Apply(request_, prefixes_max_, host_, &session_) : std::string(kNoTargetError);
    if (!error.empty()) return round->Finish("-" + error + "\r\n");
    if (session_.tracking() == nullptr) return round->Finish("+OK\r\n");
    host_.AwaitTracking(session_.id, round->Wait());
  }

  LocalHost& host_;
  Session& session_;  // An operation ends before its client's session.
  const size_t prefixes_max_;
  const TrackingRequest request_;
  Step step_;
};

void Tracking(LocalCall& call) {
  TrackingRequest request = ParseTracking(call.command);
  const size_t prefixes_max = call.facts.config->tracking_prefixes_max;
  const bool is_on = EqualsIgnoreCase(request.on_or_off, "on");
  if (request.redirect != 0 || (request.broadcast && is_on && request.error.empty())) {
    call.operation = std::make_unique<TrackingOperation>(call.host, call.session, prefixes_max,
                                                         std::move(request));
    return;
  }
  const std::string error = Apply(request, prefixes_max, call.host, &call.session);
  error.empty() ? call.Ok() : call.Error(error);
}

// ---- the others

void Caching(LocalCall& call) {
  const TrackingOptions* options = call.session.tracking();
  if (options == nullptr) {
    return call.Error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        "OPTOUT mode enabled");
  }
  const bool yes = EqualsIgnoreCase(call.command[2], "yes");
  if (!yes && !EqualsIgnoreCase(call.command[2], "no")) return call.Error(kSyntaxError);
  if (options->mode != (yes ? Mode::kOptIn : Mode::kOptOut)) {
    return call.Error(yes ? "ERR CLIENT CACHING YES is only valid when tracking is enabled in "
                            "OPTIN mode."
                          : "ERR CLIENT CACHING NO is only valid when tracking is enabled in "
                            "OPTOUT mode.");
  }
  call.session.SetCaching(true);
  call.Ok();
}

int64_t RedirectOf(const Session& session) {
  return session.tracking() != nullptr ? session.tracking()->redirect : -1;
}

void GetRedir(LocalCall& call) { call.Integer(RedirectOf(call.session)); }

std::vector<std::string_view> FlagsOf(const TrackingOptions* options) {
  if (options == nullptr) return {"off"};
  std::vector<std::string_view> flags = {"on"};
  if (options->broadcast) flags.push_back("bcast");
  if (options->mode == Mode::kOptIn) flags.push_back("optin");
  if (options->mode == Mode::kOptIn && options->caching) flags.push_back("caching-yes");
  if (options->mode == Mode::kOptOut) flags.push_back("optout");
  if (options->mode == Mode::kOptOut && options->caching) flags.push_back("caching-no");
  if (options->no_loop) flags.push_back("noloop");
  if (options->broken) flags.push_back("broken_redirect");
  return flags;
}

void TrackingInfo(LocalCall& call) {
  const TrackingOptions* options = call.session.tracking();
  call.Map(3);
  call.Bulk("flags");
  const std::vector<std::string_view> flags = FlagsOf(options);
  call.Set(flags.size());
  for (const std::string_view flag : flags) call.Bulk(flag);
  call.Bulk("redirect");
  call.Integer(RedirectOf(call.session));
  call.Bulk("prefixes");
  call.Array(options == nullptr ? 0 : options->prefixes.size());
  if (options == nullptr) return;
  for (const std::string& prefix : options->prefixes) call.Bulk(prefix);
}

constexpr LocalHandlerRow kRows[] = {
    {"client|caching", Caching},
    {"client|getredir", GetRedir},
    {"client|tracking", Tracking, /*waits=*/true},
    {"client|trackinginfo", TrackingInfo},
};

}  // namespace

std::span<const LocalHandlerRow> TrackingHandlers() { return kRows; }

}  // namespace rcproxy::proxy
