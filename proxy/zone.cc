#include "proxy/zone.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proxy/zone_parser.h"

namespace rcproxy::proxy {

absl::StatusOr<std::vector<ZoneRule>> ParseZoneMap(std::string_view list) {
  std::vector<ZoneRule> rules;
  for (const auto& part : absl::StrSplit(std::string(list), ',', absl::SkipWhitespace())) {
    const std::string text(part);
    const size_t equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--zone_map: \"", text, "\" is not PREFIX=ZONE, such as 10.1.=eu-1a"));
    }
    rules.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return rules;
}

bool Zones::IsOwn(const cluster::Node& node) const {
  const std::string& host = node.address.host;
  if (!own_prefix.empty() && host.starts_with(own_prefix)) return true;
  if (own.empty()) return false;
  if (!node.availability_zone.empty()) return node.availability_zone == own;
  const auto rule = std::ranges::find_if(
      rules, [&host](const ZoneRule& candidate) { return host.starts_with(candidate.prefix); });
  return rule != rules.end() && rule->zone == own;
}

}  // namespace rcproxy::proxy
