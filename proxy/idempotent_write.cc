#include "proxy/idempotent_write.h"

#include <algorithm>
#include <iterator>

#include "proxy/text.h"
#include "resp/command_view.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {

namespace {

constexpr uint32_t kFirstOptionOfSet = 3;
constexpr std::string_view kTimesOfSet[] = {"ex", "px", "exat", "pxat"};

bool IsTime(std::string_view option) {
  return std::ranges::any_of(
      kTimesOfSet, [option](std::string_view time) { return EqualsIgnoreCase(option, time); });
}

// NX, XX, GET and IFEQ look at what was there, and options that are not known may.
bool LooksAtNothing(const resp::CommandView& set) {
  for (uint32_t i = kFirstOptionOfSet; i < set.size(); ++i) {
    if (EqualsIgnoreCase(set[i], "keepttl")) continue;
    if (!IsTime(set[i])) return false;
    ++i;
  }
  return true;
}

}  // namespace

bool IsIdempotentWrite(const cluster::CommandSpec& spec, std::string_view command) {
  if (!spec.Has(cluster::kFlagIdempotent)) return false;
  if (spec.name != "set") return true;
  resp::RequestScanner scanner;
  return scanner.Scan(command, resp::kDefaultRequestLimits) == resp::ScanStatus::kCommand &&
         LooksAtNothing(scanner.command());
}

}  // namespace rcproxy::proxy
