#include "proxy/client_commands.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster/command_errors.h"
#include "proxy/client_filter.h"
#include "proxy/client_info.h"
#include "proxy/client_summary.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using Answers = std::span<const std::string_view>;

// A name is kept as long as its client; the server has no limit, but the longest in use are short.
constexpr size_t kClientNameBytesMax = 4096;
constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr std::string_view kDefaultUser = "default";

// ---- about oneself

// Names appear in lists of fields separated by spaces and ended by LF.
bool IsPrintableWord(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) { return byte > ' ' && byte <= '~'; });
}

// Returns false after having answered with an error. `what` begins the error's sentence.
bool CheckName(LocalCall& call, std::string_view what, std::string_view name) {
  if (!IsPrintableWord(name)) {
    call.Error(Concat("ERR ", what, " cannot contain spaces, newlines or special characters."));
    return false;
  }
  if (name.size() > kClientNameBytesMax) {
    call.Error(
        Concat("ERR ", what, " cannot be longer than ", kClientNameBytesMax, " bytes in rcproxy."));
    return false;
  }
  return true;
}

void Ok(LocalCall& call) { call.Ok(); }

void Id(LocalCall& call) { call.Integer(call.session.id); }

void GetName(LocalCall& call) {
  if (call.session.extras == nullptr || call.session.extras->name.empty()) return call.Null();
  call.Bulk(call.session.extras->name);
}

void SetName(LocalCall& call) {
  if (SetClientName(call, call.command[2])) call.Ok();
}

void SetInfo(LocalCall& call) {
  const std::string_view attribute = call.command[2];
  std::string SessionExtras::*target = nullptr;
  if (EqualsIgnoreCase(attribute, "lib-name")) target = &SessionExtras::library_name;
  if (EqualsIgnoreCase(attribute, "lib-ver")) target = &SessionExtras::library_version;
  if (target == nullptr) {
    return call.Error(Concat("ERR Unrecognized option '", ForErrorText(attribute), "'"));
  }
  if (!CheckName(call, attribute, call.command[3])) return;
  call.session.Extras().*target = call.command[3];
  call.Ok();
}

void Info(LocalCall& call) { call.Text(ClientInfoLine(call.session, call.spec.name)); }

// Sets `flag` to what ON or OFF says.
void OnOrOff(LocalCall& call, bool* flag) {
  const std::string_view mode = call.command[2];
  const bool on = EqualsIgnoreCase(mode, "on");
  if (!on && !EqualsIgnoreCase(mode, "off")) return call.Error(kSyntaxError);
  *flag = on;
  call.Ok();
}

void NoEvict(LocalCall& call) { OnOrOff(call, &call.session.no_evict); }
void NoTouch(LocalCall& call) { OnOrOff(call, &call.session.no_touch); }

void Reply(LocalCall& call) {
  const std::string_view mode = call.command[2];
  if (EqualsIgnoreCase(mode, "on")) {
    call.session.SetReplyMode(ReplyMode::kOn);
    return call.Ok();
  }
  const bool off = EqualsIgnoreCase(mode, "off");
  if (!off && !EqualsIgnoreCase(mode, "skip")) return call.Error(kSyntaxError);
  call.session.SetReplyMode(off ? ReplyMode::kOff : ReplyMode::kSkipNext);
  call.is_silent = true;
}

// ---- about all clients

// Asks every worker one question, and makes the reply of their answers.
class AskAll final : public Operation {
 public:
  using MakeReply = std::function<std::string(Answers)>;
  AskAll(LocalHost& host, WorkerQuestion question, MakeReply make_reply)
      : host_(host), question_(std::move(question)), make_reply_(std::move(make_reply)) {}

  void Next(Answers answers, Round* round) override {
    if (question_ == nullptr) return round->Finish(make_reply_(answers));
    host_.AskWorkers(std::exchange(question_, nullptr), round->Wait());
  }

 private:
  LocalHost& host_;
  WorkerQuestion question_;  // Empty when it has been asked.
  const MakeReply make_reply_;
};

void Ask(LocalCall& call, WorkerQuestion question, AskAll::MakeReply make_reply) {
  call.operation = std::make_unique<AskAll>(call.host, std::move(question), std::move(make_reply));
}

std::string OkReply(Answers) { return "+OK\r\n"; }

// The lines in the order of their ids, or of `ids` where there are some.
std::string JoinLines(Answers answers, const std::vector<int64_t>& ids) {
  std::map<int64_t, std::string_view> lines;
  for (std::string_view rest : answers) {
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n') + 1);
      int64_t id = 0;
      resp::ParseStrictInteger(line.substr(3, line.find(' ') - 3), &id);  // "id=7 addr=..."
      lines.emplace(id, line);
      rest.remove_prefix(line.size());
    }
  }
  std::string text;
  for (const int64_t id : ids) {
    if (const auto line = lines.find(id); line != lines.end()) text += line->second;
  }
  if (!ids.empty()) return text;
  for (const auto& [id, line] : lines) text += line;
  return text;
}

// Returns false after having answered with an error.
bool ParseType(LocalCall& call, std::string_view name, ClientFilter* filter) {
  if (ParseClientType(name, &filter->type)) return true;
  call.Error(Concat("ERR Unknown client type '", ForErrorText(name), "'"));
  return false;
}

// CLIENT LIST [TYPE type | ID id ...]. Returns false after having answered with an error.
bool ParseListFilter(LocalCall& call, ClientFilter* filter) {
  const resp::CommandView& command = call.command;
  if (command.size() == 4 && EqualsIgnoreCase(command[2], "type")) {
    return ParseType(call, command[3], filter);
  }
  if (command.size() > 3 && EqualsIgnoreCase(command[2], "id")) {
    for (size_t i = 3; i < command.size(); ++i) {
      int64_t id = 0;
      if (!resp::ParseStrictInteger(command[i], &id)) {
        call.Error("ERR Invalid client ID");
        return false;
      }
      filter->ids.push_back(id);
    }
    return true;
  }
  if (command.size() == 2) return true;
  call.Error(kSyntaxError);
  return false;
}

void List(LocalCall& call) {
  ClientFilter filter;
  if (!ParseListFilter(call, &filter)) return;
  Ask(
      call, [filter](WorkerClients& worker) { return worker.ListClients(filter); },
      [ids = filter.ids, protocol = call.protocol()](Answers answers) {
        std::string reply;
        resp::AppendVerbatim(&reply, protocol, "txt", JoinLines(answers, ids));
        return reply;
      });
}

// One pair of CLIENT KILL's conditions. Returns false after having answered with an error.
bool ParseKillOption(LocalCall& call, std::string_view name, std::string_view value,
                     ClientFilter* filter) {
  if (EqualsIgnoreCase(name, "id")) {
    int64_t id = 0;
    if (!resp::ParseStrictInteger(value, &id) || id < 1) {
      call.Error("ERR client-id should be greater than 0");
      return false;
    }
    filter->ids = {id};
  } else if (EqualsIgnoreCase(name, "type")) {
    return ParseType(call, value, filter);
  } else if (EqualsIgnoreCase(name, "addr")) {
    filter->address = value;
  } else if (EqualsIgnoreCase(name, "laddr")) {
    filter->local_address = value;
  } else if (EqualsIgnoreCase(name, "user")) {
    if (value == kDefaultUser) return true;
    call.Error(Concat("ERR No such user '", ForErrorText(value), "'"));
    return false;
  } else if (EqualsIgnoreCase(name, "skipme") && EqualsIgnoreCase(value, "yes")) {
    filter->except_id = call.session.id;
  } else if (EqualsIgnoreCase(name, "skipme") && EqualsIgnoreCase(value, "no")) {
    filter->except_id = 0;
  } else {
    call.Error(kSyntaxError);
    return false;
  }
  return true;
}

// CLIENT KILL address | CLIENT KILL name value [name value ...]
void Kill(LocalCall& call) {
  const resp::CommandView& command = call.command;
  ClientFilter filter;
  const bool old_form = command.size() == 3;
  if (old_form) {
    filter.address = command[2];
  } else {
    filter.except_id = call.session.id;
    for (size_t i = 2; i < command.size(); i += 2) {
      if (i + 1 == command.size()) return call.Error(kSyntaxError);
      if (!ParseKillOption(call, command[i], command[i + 1], &filter)) return;
    }
  }
  Ask(
      call,
      [filter, asker = call.session.id](WorkerClients& worker) {
        return Concat(worker.KillClients(filter, asker));
      },
      [old_form](Answers answers) -> std::string {
        int64_t killed = 0;
        for (const std::string_view answer : answers) {
          int64_t count = 0;
          if (resp::ParseStrictInteger(answer, &count)) killed += count;
        }
        if (old_form) return killed > 0 ? "+OK\r\n" : "-ERR No such client\r\n";
        return Concat(":", killed, "\r\n");
      });
}

// CLIENT PAUSE milliseconds [WRITE | ALL]
void PauseAll(LocalCall& call) {
  const resp::CommandView& command = call.command;
  constexpr int64_t kNsPerMs = 1'000'000;
  if (command.size() > 4) return call.SubcommandSyntaxError();
  Pause pause = Pause::kAll;
  if (command.size() == 4 && EqualsIgnoreCase(command[3], "write")) {
    pause = Pause::kWrites;
  } else if (command.size() == 4 && !EqualsIgnoreCase(command[3], "all")) {
    return call.Error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  int64_t milliseconds = 0;
  if (!resp::ParseStrictInteger(command[2], &milliseconds)) {
    return call.Error("ERR timeout is not an integer or out of range");
  }
  if (milliseconds < 0) return call.Error("ERR timeout is negative");
  const int64_t now_ns = call.host.NowNs();
  if (milliseconds > (std::numeric_limits<int64_t>::max() - now_ns) / kNsPerMs) {
    return call.Error("ERR timeout is out of range");
  }
  const int64_t until_ns = now_ns + milliseconds * kNsPerMs;
  Ask(
      call,
      [pause, until_ns](WorkerClients& worker) {
        worker.PauseClients(pause, until_ns);
        return std::string();
      },
      OkReply);
}

void Unpause(LocalCall& call) {
  Ask(
      call,
      [](WorkerClients& worker) {
        worker.UnpauseClients();
        return std::string();
      },
      OkReply);
}

// CLIENT UNBLOCK id [TIMEOUT | ERROR]
void Unblock(LocalCall& call) {
  const resp::CommandView& command = call.command;
  if (command.size() > 4) return call.SubcommandSyntaxError();
  const bool with_error = command.size() == 4 && EqualsIgnoreCase(command[3], "error");
  if (command.size() == 4 && !with_error && !EqualsIgnoreCase(command[3], "timeout")) {
    return call.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  int64_t id = 0;
  if (!resp::ParseStrictInteger(command[2], &id)) {
    return call.Error("ERR value is not an integer or out of range");
  }
  Ask(
      call,
      [id, with_error](WorkerClients& worker) {
        return std::string(worker.UnblockClient(id, with_error) ? "1" : "");
      },
      [](Answers answers) -> std::string {
        const bool any = std::ranges::any_of(answers, [](auto answer) { return answer == "1"; });
        return any ? ":1\r\n" : ":0\r\n";
      });
}

void ResetStat(LocalCall& call) {
  Ask(
      call,
      [](WorkerClients& worker) {
        worker.ResetCounters();
        return std::string();
      },
      OkReply);
}

void ProxyClients(LocalCall& call) {
  Ask(
      call, [](WorkerClients& worker) { return worker.SummarizeClients(); },
      [protocol = call.protocol()](Answers answers) {
        std::string reply;
        resp::AppendVerbatim(&reply, protocol, "txt", DescribeClients(answers));
        return reply;
      });
}

constexpr LocalHandlerRow kRows[] = {
    {"client|capa", Ok},  // A server ignores the capabilities that it does not know.
    {"client|getname", GetName},
    {"client|id", Id},
    {"client|info", Info},
    {"client|kill", Kill, /*waits=*/true},
    {"client|list", List, /*waits=*/true},
    {"client|no-evict", NoEvict},
    {"client|no-touch", NoTouch},
    {"client|pause", PauseAll, /*waits=*/true},
    {"client|reply", Reply},
    {"client|setinfo", SetInfo},
    {"client|setname", SetName},
    {"client|unblock", Unblock, /*waits=*/true},
    {"client|unpause", Unpause, /*waits=*/true},
    {"config|resetstat", ResetStat, /*waits=*/true},
    {"proxy|clients", ProxyClients, /*waits=*/true},
};

}  // namespace

std::span<const LocalHandlerRow> ClientHandlers() { return kRows; }

bool SetClientName(LocalCall& call, std::string_view name) {
  if (!CheckName(call, "Client names", name)) return false;
  if (!name.empty() || call.session.extras != nullptr) call.session.Extras().name = name;
  return true;
}

}  // namespace rcproxy::proxy
