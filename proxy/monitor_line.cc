#include "proxy/monitor_line.h"

#include <algorithm>
#include <cstdio>

#include "proxy/text.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using resp::CommandView;

namespace {

constexpr std::string_view kRedacted = "(redacted)";

void AppendQuoted(std::string* line, std::string_view text) {
  *line += '"';
  for (const char byte : text) {
    switch (byte) {
      case '\\':
      case '"':
        *line += '\\';
        *line += byte;
        break;
      case '\n':
        *line += "\\n";
        break;
      case '\r':
        *line += "\\r";
        break;
      case '\t':
        *line += "\\t";
        break;
      case '\a':
        *line += "\\a";
        break;
      case '\b':
        *line += "\\b";
        break;
      default:
        if (byte >= ' ' && byte <= '~') {
          *line += byte;
        } else {
          char escape[5];
          std::snprintf(escape, sizeof(escape), "\\x%02x", static_cast<unsigned char>(byte));
          *line += escape;
        }
    }
  }
  *line += '"';
}

// How many arguments behind the word at `i` are secrets.
size_t SecretsBehind(const CommandSpec& spec, const CommandView& command, size_t i) {
  if (spec.name == "auth") return i == 0 ? command.size() - 1 : 0;
  if (spec.name != "hello" && spec.name != "migrate") return 0;
  if (spec.name == "hello" || EqualsIgnoreCase(command[i], "auth2"))
    return EqualsIgnoreCase(command[i], "auth") || EqualsIgnoreCase(command[i], "auth2") ? 2 : 0;
  return EqualsIgnoreCase(command[i], "auth") ? 1 : 0;
}

}  // namespace

bool IsShownToMonitors(const CommandSpec& spec) {
  return !spec.Has(cluster::kFlagAdmin) && spec.name != "monitor";
}

std::string MonitorLine(int64_t now_us, std::string_view client, const CommandSpec& spec,
                        const CommandView& command, size_t bytes_max) {
  constexpr int64_t kUsPerSecond = 1'000'000;
  char time[32];
  std::snprintf(time, sizeof(time), "+%lld.%06lld", static_cast<long long>(now_us / kUsPerSecond),
                static_cast<long long>(now_us % kUsPerSecond));
  std::string line = Concat(time, " [", client, "]");
  size_t secrets = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    line += ' ';
    AppendQuoted(&line, secrets > 0 ? kRedacted : command[i].substr(0, bytes_max));
    secrets = secrets > 0 ? secrets - 1 : SecretsBehind(spec, command, i);
  }
  return line += "\r\n";
}

}  // namespace rcproxy::proxy
