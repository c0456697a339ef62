#include "proxy/command_conflict.h"

#include <algorithm>
#include <cstdint>

#include "cluster/command_keys.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {

using cluster::KeyRuns;
using cluster::KeySpec;

namespace {

class ParsedCommand {
 public:
  explicit ParsedCommand(const CommandRef& command) {
    if (scanner_.Scan(command.bytes, resp::kDefaultRequestLimits) != resp::ScanStatus::kCommand)
      return;
    if (!command.spec.ArityOk(scanner_.command().size())) return;
    keys_ = cluster::FindKeys(command.spec, scanner_.command());
    ok_ = keys_.status == cluster::KeysStatus::kOk;
  }
  bool ok() const { return ok_; }
  template <class F>
  bool Any(F&& visit) const {
    return cluster::AnyKey(scanner_.command(), keys_, visit);
  }

 private:
  resp::RequestScanner scanner_;
  KeyRuns keys_;
  bool ok_ = false;
};

}  // namespace

bool MayShareKey(const CommandRef& a, const CommandRef& b) {
  const ParsedCommand parsed_a(a);
  const ParsedCommand parsed_b(b);
  if (!parsed_a.ok() || !parsed_b.ok()) return true;
  return parsed_a.Any([&](std::string_view key_a) {
    return parsed_b.Any([key_a](std::string_view key_b) { return key_a == key_b; });
  });
}

bool CanHaveManyKeys(const cluster::CommandSpec& spec) {
  return spec.keys.size() > 1 ||
         std::any_of(spec.keys.begin(), spec.keys.end(), [](const KeySpec& keys) {
           return keys.find != KeySpec::Find::kRange || keys.last != 0;
         });
}

}  // namespace rcproxy::proxy
