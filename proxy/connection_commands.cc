#include "proxy/connection_commands.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "cluster/command_errors.h"
#include "proxy/client_info.h"
#include "proxy/text.h"
#include "proxy/version.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using resp::Protocol;

constexpr std::string_view kDefaultUser = "default";
// A name is kept as long as its client; the server has no limit, but the longest in use are short.
constexpr size_t kClientNameBytesMax = 4096;
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

// ---- names

SessionNames& NamesOf(Session& session) {
  if (session.names == nullptr) session.names = std::make_unique<SessionNames>();
  return *session.names;
}

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

void SetName(Session& session, std::string_view name) {
  if (name.empty() && session.names == nullptr) return;
  NamesOf(session).name = name;
}

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
  if (index != 0) return call.Error("ERR DB index is out of range");  // A cluster has one database.
  call.Ok();
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
  session.prefers_replicas = false;
  if (session.names != nullptr) session.names->name.clear();  // The library stays what it is.
  resp::AppendSimple(&call.reply, "RESET");
}

void ReadOnly(LocalCall& call) {
  call.session.prefers_replicas = true;
  call.Ok();
}

void ReadWrite(LocalCall& call) {
  call.session.prefers_replicas = false;
  call.Ok();
}

// ---- HELLO

// Returns false after having answered with an error.
bool ParseHelloVersion(LocalCall& call) {
  int64_t version = 0;
  if (!resp::ParseStrictInteger(call.command[1], &version)) {
    call.Error("ERR Protocol version is not an integer or out of range");
    return false;
  }
  if (version == static_cast<int>(Protocol::kResp2)) return true;
  call.Error("NOPROTO unsupported protocol version");
  return false;
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
      if (!CheckName(call, "Client names", command[i + 1])) return false;
      SetName(call.session, command[i + 1]);
      i += 1;
    } else {
      call.Error(Concat("ERR Syntax error in HELLO option '", ForErrorText(command[i]), "'"));
      return false;
    }
  }
  return true;
}

void AppendHelloReply(LocalCall& call) {
  std::string* reply = &call.reply;
  resp::AppendMapHeader(reply, Protocol::kResp2, 7);
  resp::AppendBulk(reply, "server");
  resp::AppendBulk(reply, "redis");
  resp::AppendBulk(reply, "version");
  resp::AppendBulk(reply, kCompatibleRedisVersion);
  resp::AppendBulk(reply, "proto");
  resp::AppendInteger(reply, static_cast<int>(Protocol::kResp2));
  resp::AppendBulk(reply, "id");
  resp::AppendInteger(reply, call.session.id);
  resp::AppendBulk(reply, "mode");
  resp::AppendBulk(reply, "standalone");
  resp::AppendBulk(reply, "role");
  resp::AppendBulk(reply, "master");
  resp::AppendBulk(reply, "modules");
  resp::AppendArrayHeader(reply, 0);
}

void Hello(LocalCall& call) {
  if (call.command.size() > 1 && !ParseHelloVersion(call)) return;
  if (!ApplyHelloOptions(call)) return;
  if (!call.session.authenticated) return call.Error(kHelloNoAuthError);
  AppendHelloReply(call);
}

// ---- CLIENT

void ClientId(LocalCall& call) { resp::AppendInteger(&call.reply, call.session.id); }

void ClientGetName(LocalCall& call) {
  if (call.session.names == nullptr || call.session.names->name.empty()) {
    return resp::AppendNull(&call.reply, Protocol::kResp2);
  }
  resp::AppendBulk(&call.reply, call.session.names->name);
}

void ClientSetName(LocalCall& call) {
  if (!CheckName(call, "Client names", call.command[2])) return;
  SetName(call.session, call.command[2]);
  call.Ok();
}

void ClientSetInfo(LocalCall& call) {
  const std::string_view attribute = call.command[2];
  std::string SessionNames::*target = nullptr;
  if (EqualsIgnoreCase(attribute, "lib-name")) target = &SessionNames::library_name;
  if (EqualsIgnoreCase(attribute, "lib-ver")) target = &SessionNames::library_version;
  if (target == nullptr) {
    return call.Error(Concat("ERR Unrecognized option '", ForErrorText(attribute), "'"));
  }
  if (!CheckName(call, attribute, call.command[3])) return;
  NamesOf(call.session).*target = call.command[3];
  call.Ok();
}

void ClientInfo(LocalCall& call) {
  resp::AppendBulk(&call.reply, ClientInfoLine(call.session, call.spec.name));
}

void ClientNoEvict(LocalCall& call) {
  const std::string_view mode = call.command[2];
  if (!EqualsIgnoreCase(mode, "on") && !EqualsIgnoreCase(mode, "off")) {
    return call.Error(kSyntaxError);
  }
  call.Ok();  // rcproxy evicts no client for another's sake.
}

// What a mode that rcproxy does not have answers: turning it off succeeds.
void OffAlone(LocalCall& call, std::string_view off) {
  if (EqualsIgnoreCase(call.command[2], off)) return call.Ok();
  call.Error(cluster::NotAvailableError(call.spec));
}

void ClientNoTouch(LocalCall& call) {
  const std::string_view mode = call.command[2];
  if (!EqualsIgnoreCase(mode, "on") && !EqualsIgnoreCase(mode, "off")) {
    return call.Error(kSyntaxError);
  }
  OffAlone(call, "off");
}

void ClientReply(LocalCall& call) {
  const std::string_view mode = call.command[2];
  if (!EqualsIgnoreCase(mode, "on") && !EqualsIgnoreCase(mode, "off") &&
      !EqualsIgnoreCase(mode, "skip")) {
    return call.Error(kSyntaxError);
  }
  OffAlone(call, "on");
}

void ClientGetRedir(LocalCall& call) { resp::AppendInteger(&call.reply, -1); }

void ClientTrackingInfo(LocalCall& call) {
  std::string* reply = &call.reply;
  resp::AppendMapHeader(reply, Protocol::kResp2, 3);
  resp::AppendBulk(reply, "flags");
  resp::AppendSetHeader(reply, Protocol::kResp2, 1);
  resp::AppendBulk(reply, "off");
  resp::AppendBulk(reply, "redirect");
  resp::AppendInteger(reply, -1);
  resp::AppendBulk(reply, "prefixes");
  resp::AppendArrayHeader(reply, 0);
}

constexpr LocalHandlerRow kRows[] = {
    {"asking", Ok},
    {"auth", Auth},
    {"client|capa", Ok},  // A server ignores the capabilities that it does not know.
    {"client|getname", ClientGetName},
    {"client|getredir", ClientGetRedir},
    {"client|id", ClientId},
    {"client|info", ClientInfo},
    {"client|no-evict", ClientNoEvict},
    {"client|no-touch", ClientNoTouch},
    {"client|reply", ClientReply},
    {"client|setinfo", ClientSetInfo},
    {"client|setname", ClientSetName},
    {"client|trackinginfo", ClientTrackingInfo},
    {"echo", Echo},
    {"hello", Hello},
    {"ping", Ping},
    {"quit", Quit},
    {"readonly", ReadOnly},
    {"readwrite", ReadWrite},
    {"reset", Reset},
    {"select", Select},
};

}  // namespace

std::span<const LocalHandlerRow> ConnectionHandlers() { return kRows; }

}  // namespace rcproxy::proxy
