#include "proxy/monitor_filter.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "cluster/command_keys.h"
#include "proxy/client_info.h"
#include "proxy/glob_pattern.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {

using cluster::CommandSpec;
using resp::CommandView;

namespace {

constexpr size_t kFirstOption = 2;  // Behind PROXY MONITOR.
constexpr std::string_view kSyntaxError = "ERR syntax error";

// "client" is "client" and "client|list".
bool IsOrBelongsTo(std::string_view name, std::string_view wanted) {
  return name.starts_with(wanted) && (name.size() == wanted.size() || name[wanted.size()] == '|');
}

bool IsOption(std::string_view word) {
  constexpr std::string_view kOptions[] = {"match", "command", "addr", "id"};
  return std::ranges::any_of(
      kOptions, [word](std::string_view option) { return EqualsIgnoreCase(word, option); });
}

// Names, one at least, from argument `*i` to the next option, behind which it leaves `*i`.
std::string ParseCommands(const CommandView& command, const KnownCommands& known, size_t* i,
                          MonitorFilter* filter) {
  if (IsOption(command[*i])) return std::string(kSyntaxError);
  for (; *i < command.size() && !IsOption(command[*i]); ++*i) {
    const CommandSpec* spec = known.FindByFullName(command[*i]);
    if (spec == nullptr) return "ERR Invalid command specified";
    filter->commands.emplace_back(spec->name);
  }
  return {};
}

}  // namespace

bool MonitorFilter::Matches(const Session& session, const CommandSpec& spec,
                            const CommandView& command) const {
  if (client_id.has_value() && session.id != *client_id) return false;
  if (!commands.empty() && std::ranges::none_of(commands, [&](const std::string& wanted) {
        return IsOrBelongsTo(spec.name, wanted);
      }))
    return false;
  if (address.has_value() && PeerAddress(session) != *address) return false;
  return !key_pattern.has_value() ||
         cluster::AnyKey(command, cluster::FindKeys(spec, command),
                         [this](std::string_view key) { return MatchesGlob(*key_pattern, key); });
}

std::string ParseMonitorFilter(const CommandView& command, const KnownCommands& known,
                               MonitorFilter* filter) {
  for (size_t i = kFirstOption; i < command.size();) {
    const std::string_view option = command[i];
    if (!IsOption(option) || ++i == command.size()) return std::string(kSyntaxError);
    if (EqualsIgnoreCase(option, "command")) {
      const std::string problem = ParseCommands(command, known, &i, filter);
      if (!problem.empty()) return problem;
      continue;
    }
    const std::string value(command[i++]);
    if (EqualsIgnoreCase(option, "match")) {
      filter->key_pattern = value;
    } else if (EqualsIgnoreCase(option, "addr")) {
      filter->address = value;
    } else {
      int64_t id = 0;
      if (!resp::ParseStrictInteger(value, &id) || id <= 0) return "ERR Invalid client ID";
      filter->client_id = id;
    }
  }
  return {};
}

}  // namespace rcproxy::proxy
