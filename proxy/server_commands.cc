#include "proxy/server_commands.h"

#include <sys/random.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "proxy/command_description.h"
#include "proxy/config_parameters.h"
#include "proxy/info.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;

void Time(LocalCall& call) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  const int64_t now_ns = absl::GetCurrentTimeNanos();
  call.Array(2);
  call.Bulk(Concat(now_ns / kNsPerSecond));
  call.Bulk(Concat(now_ns % kNsPerSecond / 1000));
}

void ProxyInfo(LocalCall& call) {
  std::vector<std::string_view> sections;
  for (size_t i = 2; i < call.command.size(); ++i) sections.push_back(call.command[i]);
  call.Text(InfoText(call.facts, sections));
}

void Role(LocalCall& call) {
  call.Array(3);
  call.Bulk("master");
  call.Integer(0);
  call.Array(0);
}

// ---- ACL: one user, whose password is --requirepass.

void AclWhoAmI(LocalCall& call) { call.Bulk("default"); }

void AclGenPass(LocalCall& call) {
  constexpr int64_t kBitsMax = 4096;
  int64_t bits = 256;
  if (call.command.size() > 3) return call.SubcommandSyntaxError();
  if (call.command.size() == 3 && !resp::ParseStrictInteger(call.command[2], &bits)) {
    return call.Error("ERR value is not an integer or out of range");
  }
  if (bits <= 0 || bits > kBitsMax) {
    return call.Error(
        Concat("ERR ACL GENPASS argument must be the number of bits for the output password, "
               "a positive number up to ",
               kBitsMax));
  }
  std::string bytes(static_cast<size_t>(bits + 7) / 8, '\0');
  // More than 256 bytes may come in parts; without the kernel's random numbers there is no
  // password.
  for (size_t filled = 0; filled < bytes.size();) {
    const ssize_t got = getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got <= 0) return call.Error("ERR no random numbers from the kernel");
    filled += static_cast<size_t>(got);
  }
  const size_t digits = static_cast<size_t>(bits + 3) / 4;
  call.Bulk(absl::BytesToHexString(bytes).substr(0, digits));
}

// ---- SLOWLOG: as on a server whose slow log is off, which is what CONFIG GET says.

void SlowLogGet(LocalCall& call) {
  int64_t count = 0;
  if (call.command.size() > 3) return call.SubcommandSyntaxError();
  if (call.command.size() == 3 &&
      (!resp::ParseStrictInteger(call.command[2], &count) || count < -1)) {
    return call.Error("ERR count should be greater than or equal to -1");
  }
  call.Array(0);
}

void SlowLogLen(LocalCall& call) { call.Integer(0); }

void SlowLogReset(LocalCall& call) { call.Ok(); }

// ---- LATENCY: as on a server that does not monitor it, which is what CONFIG GET says.

void LatencyDoctor(LocalCall& call) {
  call.Text(
      "Latency monitoring is disabled in rcproxy. PROXY NODES LATENCY DOCTOR asks the nodes.\n");
}

void LatencyGraph(LocalCall& call) {
  call.Error(Concat("ERR No samples available for event '", ForErrorText(call.command[2]), "'"));
}

void LatencyNone(LocalCall& call) { call.Array(0); }

void LatencyReset(LocalCall& call) { call.Integer(0); }

// ---- HELP

// The subcommands that rcproxy serves, each with what differs from the server's, as simple strings.
void Help(LocalCall& call) {
  const std::string_view name = call.spec.name.substr(0, call.spec.name.find('|'));
  const CommandSpec& container = *cluster::FindCommand(name);
  std::vector<std::string> lines = {
      Concat(ToUpper(name), " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")};
  for (const CommandSpec& spec : container.subcommands) {
    if (!IsServed(spec) || spec.id == call.spec.id) continue;
    lines.push_back(ToUpper(LastWord(spec.name)));
    if (!spec.note.empty()) lines.push_back(Concat("    ", spec.note, "."));
  }
  lines.push_back("HELP");
  lines.push_back("    Prints this help.");
  call.Array(lines.size());
  for (const std::string& line : lines) resp::AppendSimple(&call.reply, line);
}

constexpr LocalHandlerRow kRows[] = {
    {"acl|genpass", AclGenPass},
    {"acl|whoami", AclWhoAmI},
    {"latency|doctor", LatencyDoctor},
    {"latency|graph", LatencyGraph},
    {"latency|history", LatencyNone},
    {"latency|latest", LatencyNone},
    {"latency|reset", LatencyReset},
    {"proxy|info", ProxyInfo},
    {"role", Role},
    {"slowlog|get", SlowLogGet},
    {"slowlog|len", SlowLogLen},
    {"slowlog|reset", SlowLogReset},
    {"time", Time},
};

}  // namespace

std::vector<LocalHandlerRow> ServerHandlers() {
  std::vector<LocalHandlerRow> rows(std::begin(kRows), std::end(kRows));
  for (const LocalHandlerRow& row : ConfigHandlers()) rows.push_back(row);
  for (const CommandSpec& container : cluster::AllCommands()) {
    const CommandSpec* help = cluster::FindSubcommand(container, "help");
    const bool is_ours = help != nullptr && help->route == cluster::Route::kLocal;
    if (is_ours && IsServed(*help)) rows.push_back({help->name, Help});
  }
  return rows;
}

}  // namespace rcproxy::proxy
