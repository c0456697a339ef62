// Any bytes as an error reply: no read outside them, and what is returned keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cluster/hash_slot.h"
#include "cluster/redirect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using rcproxy::cluster::ErrorKind;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const rcproxy::cluster::Redirect redirect = rcproxy::cluster::ParseErrorReply(line);
  const bool follows = redirect.kind == ErrorKind::kMoved || redirect.kind == ErrorKind::kAsk;
  if (redirect.slot >= rcproxy::cluster::kSlotCount) std::abort();
  if (!follows && (redirect.port != 0 || !redirect.host.empty())) std::abort();
  if (redirect.host == "?") std::abort();
  if (redirect.host.find_first_of(" \r\n") != std::string_view::npos) std::abort();
  if (!redirect.host.empty() &&
      (redirect.host.data() < line.data() ||
       redirect.host.data() + redirect.host.size() > line.data() + size)) {
    std::abort();
  }
  return 0;
}
