#include "proxy/connection_commands.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "cluster/command_errors.h"
#include "proxy/client_commands.h"
#include "proxy/database_refusal.h"
#include "proxy/text.h"
#include "proxy/version.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using resp::Protocol;

constexpr std::string_view kDefaultUser = "default";
constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr std::string_view kWrongPassError =
    "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kNoPasswordError =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";
constexpr std::string_view kHelloNoAuthError =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";

// ---- passwords

// The time it takes depends on what the client sent, never on the password.
bool PasswordMatches(std::string_view given, std::string_view password) {
  unsigned char difference = given.size() == password.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const char expected = password.empty() ? '\0' : password[i % password.size()];
    difference |= static_cast<unsigned char>(given[i] ^ expected);
  }
  return difference == 0;
}

bool CredentialsMatch(const Config& config, std::string_view user, std::string_view password) {
  if (user != kDefaultUser) return false;
  return config.requirepass.empty() || PasswordMatches(password, config.requirepass);
}

// Returns false after having answered with an error.
bool LogIn(LocalCall& call, std::string_view user, std::string_view password) {
  if (!CredentialsMatch(*call.facts.config, user, password)) {
    call.Error(kWrongPassError);
    return false;
  }
  call.session.authenticated = true;
  return true;
}

// ---- small commands

void Ping(LocalCall& call) {
  if (call.command.size() == 1) return resp::AppendSimple(&call.reply, "PONG");
  if (call.command.size() == 2) return resp::AppendBulk(&call.reply, call.command[1]);
  call.Error(cluster::ArityError(call.spec));  // The table knows only the least number.
}

void Echo(LocalCall& call) { resp::AppendBulk(&call.reply, call.command[1]); }

void Ok(LocalCall& call) { call.Ok(); }

void Quit(LocalCall& call) {
  call.Ok();
  call.close = true;
}

// What the client is told when a node has refused; `refusal` where nodes have one database.
std::string SelectError(std::string_view reply, std::string_view refusal) {
  const bool has_one = reply.starts_with(DatabaseRefusal::kOnlyOne);
  return has_one ? Concat("-", refusal, "\r\n") : std::string(reply);
}

// Asks for the database on a connection that selects it; the client hears that it has it only when
// a node has agreed. Until then nothing else is asked for the client.
class SelectDatabase final : public Operation {
 public:
  // `refusal`: what is answered for nodes that have one database.
  SelectDatabase(Session& session, uint16_t database, std::string_view refusal)
      : session_(session), before_(session.database), refusal_(refusal) {
    session.SetDatabase(database);
  }

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return round->AskAnyPrimary("*1\r\n$4\r\nPING\r\n", /*repeatable=*/true);
    const std::string_view answer = answers[0];
    if (!answer.starts_with('-')) return round->Finish("+OK\r\n");
    session_.SetDatabase(before_);
    round->Finish(SelectError(answer, refusal_));
  }

 private:
  Session& session_;  // An operation ends before its client's session.
  const uint16_t before_;
  const std::string_view refusal_;
};

void Select(LocalCall& call) {
  int64_t index = 0;
  if (!resp::ParseStrictInteger(call.command[1], &index)) {
    return call.Error("ERR value is not an integer or out of range");
  }
  using Limits = std::numeric_limits<int32_t>;
  if (index < Limits::min() || index > Limits::max()) {
    return call.Error(Concat("ERR value is out of range, value must between ", Limits::min(),
                             " and ", Limits::max()));
  }
  const std::string_view refusal = call.facts.config->face == Face::kCluster
                                       ? "ERR SELECT is not allowed in cluster mode"
                                       : "ERR DB index is out of range";
  if (index < 0 || index >= call.facts.config->databases_max) return call.Error(refusal);
  const uint16_t database = static_cast<uint16_t>(index);
  if (database == call.session.database) return call.Ok();
  if (database == 0) {
    call.session.SetDatabase(0);
    return call.Ok();
  }
  if (const std::string_view error = call.host.DatabaseRefused(database); !error.empty()) {
    call.reply = SelectError(error, refusal);
    return;
  }
  call.operation = std::make_unique<SelectDatabase>(call.session, database, refusal);
}

void Auth(LocalCall& call) {
  const resp::CommandView& command = call.command;
  if (command.size() > 3) return call.Error(kSyntaxError);
  if (command.size() == 2 && call.facts.config->requirepass.empty()) {
    return call.Error(kNoPasswordError);
  }
  const bool names_user = command.size() == 3;
  if (LogIn(call, names_user ? command[1] : kDefaultUser, command[names_user ? 2 : 1])) call.Ok();
}

void Reset(LocalCall& call) {
  Session& session = call.session;
  session.authenticated = call.facts.config->requirepass.empty();
  session.no_evict = session.no_touch = false;
  session.SetTracking(nullptr);
  session.SetReadsFrom(ReadsFrom::kDefault);
  session.SetDatabase(0);
  session.SetProtocol(Protocol::kResp2);
  session.SetReplyMode(ReplyMode::kOn);
  if (session.extras != nullptr) session.extras->name.clear();  // The library stays what it is.
  resp::AppendSimple(&call.reply, "RESET");
}

void ReadOnly(LocalCall& call) {
  call.session.SetReadsFrom(ReadsFrom::kReplicas);
  call.Ok();
}

void ReadWrite(LocalCall& call) {
  call.session.SetReadsFrom(ReadsFrom::kPrimaries);
  call.Ok();
}

// ---- HELLO

// Returns false after having answered with an error.
bool ParseHelloVersion(LocalCall& call, Protocol* protocol) {
  int64_t version = 0;
  if (!resp::ParseStrictInteger(call.command[1], &version)) {
    call.Error("ERR Protocol version is not an integer or out of range");
    return false;
  }
  if (version != 2 && version != 3) {
    call.Error("NOPROTO unsupported protocol version");
    return false;
  }
  *protocol = static_cast<Protocol>(version);
  return true;
}

// Returns false after having answered with an error. As on the server each option takes effect when
// it is read, whatever comes behind it.
bool ApplyHelloOptions(LocalCall& call) {
  const resp::CommandView& command = call.command;
  for (size_t i = 2; i < command.size(); ++i) {
    const size_t more = command.size() - 1 - i;
    if (EqualsIgnoreCase(command[i], "AUTH") && more >= 2) {
      if (!LogIn(call, command[i + 1], command[i + 2])) return false;
      i += 2;
    } else if (EqualsIgnoreCase(command[i], "SETNAME") && more >= 1) {
      if (!SetClientName(call, command[i + 1])) return false;
      i += 1;
    } else {
      call.Error(Concat("ERR Syntax error in HELLO option '", ForErrorText(command[i]), "'"));
      return false;
    }
  }
  return true;
}

void AppendHelloReply(const Session& session, std::string_view mode, std::string* reply) {
  resp::AppendMapHeader(reply, session.protocol, 7);
  resp::AppendBulk(reply, "server");
  resp::AppendBulk(reply, "redis");
  resp::AppendBulk(reply, "version");
  resp::AppendBulk(reply, kCompatibleRedisVersion);
  resp::AppendBulk(reply, "proto");
  resp::AppendInteger(reply, static_cast<int>(session.protocol));
  resp::AppendBulk(reply, "id");
  resp::AppendInteger(reply, session.id);
  resp::AppendBulk(reply, "mode");
  resp::AppendBulk(reply, mode);
  resp::AppendBulk(reply, "role");
  resp::AppendBulk(reply, "master");
  resp::AppendBulk(reply, "modules");
  resp::AppendArrayHeader(reply, 0);
}

// Finds out whether the nodes know RESP3 before the client is told that we do: a library that is
// refused here goes on in RESP2, one that is refused later does not.
class HelloResp3 final : public Operation {
 public:
  HelloResp3(Session& session, std::string_view mode) : session_(session), mode_(mode) {}

  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return round->AskAnyPrimaryInResp3("*1\r\n$4\r\nPING\r\n");
    // Other errors, such as no node that can be reached, say nothing of the protocol.
    if (answers[0].starts_with("-NOPROTO")) return round->Finish(std::string(answers[0]));
    session_.SetProtocol(Protocol::kResp3);
    std::string reply;
    AppendHelloReply(session_, mode_, &reply);
    round->Finish(std::move(reply));
  }

 private:
  Session& session_;  // An operation ends before its client's session.
  const std::string_view mode_;
};

void Hello(LocalCall& call) {
  Session& session = call.session;
  Protocol protocol = session.protocol;
  if (call.command.size() > 1 && !ParseHelloVersion(call, &protocol)) return;
  if (!ApplyHelloOptions(call)) return;
  if (!session.authenticated) return call.Error(kHelloNoAuthError);
  if (protocol == Protocol::kResp3 && !call.host.Resp3Known()) {
    call.operation = std::make_unique<HelloResp3>(session, call.facts.ModeName());
    return;
  }
  session.SetProtocol(protocol);
  AppendHelloReply(session, call.facts.ModeName(), &call.reply);
}

constexpr LocalHandlerRow kRows[] = {
    {"asking", Ok},
    {"auth", Auth, /*waits=*/true},
    {"echo", Echo},
    {"hello", Hello, /*waits=*/true},
    {"ping", Ping},
    {"quit", Quit},
    {"readonly", ReadOnly},
    {"readwrite", ReadWrite},
    {"reset", Reset, /*waits=*/true},
    {"select", Select, /*waits=*/true},
};

}  // namespace

std::span<const LocalHandlerRow> ConnectionHandlers() { return kRows; }

}  // namespace rcproxy::proxy
