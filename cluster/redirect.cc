#include "cluster/redirect.h"

#include <cstddef>

#include "cluster/hash_slot.h"

namespace rcproxy::cluster {
namespace {

constexpr size_t kHostBytesMax = 255;  // The longest host name that DNS allows.
constexpr uint32_t kPortMax = 65535;

// Cuts the first word off `text`, with the blank behind it.
std::string_view TakeWord(std::string_view* text) {
  const size_t end = text->find(' ');
  const std::string_view word = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return word;
}

// Digits only, no more than `max`.
bool ParseNumber(std::string_view digits, uint32_t max, uint32_t* value) {
  if (digits.empty() || digits.size() > 5) return false;  // 65535 and 16383 have five digits.
  uint32_t number = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return false;
    number = number * 10 + static_cast<uint32_t>(digit - '0');
  }
  *value = number;
  return number <= max;
}

bool IsHost(std::string_view host) {
  if (host.size() > kHostBytesMax) return false;
  for (const char byte : host) {
    if (byte <= ' ' || byte > '~') return false;
  }
  return true;
}

std::string_view WithoutBrackets(std::string_view host) {
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

// `text` is what follows the first word: "<slot> <host>:<port>".
Redirect ParseRedirect(ErrorKind kind, std::string_view text) {
  uint32_t slot = 0;
  uint32_t port = 0;
  if (!ParseNumber(TakeWord(&text), kSlotCount - 1, &slot)) return {};
  const std::string_view endpoint = TakeWord(&text);
  const size_t colon = endpoint.rfind(':');  // An IPv6 address has more of them.
  if (colon == std::string_view::npos) return {};
  if (!ParseNumber(endpoint.substr(colon + 1), kPortMax, &port)) return {};
  std::string_view host = WithoutBrackets(endpoint.substr(0, colon));
  if (!IsHost(host)) return {};
  if (host == "?") {
    host = {};
    port = 0;
  }
  return {kind, static_cast<uint16_t>(slot), host, static_cast<uint16_t>(port)};
}

ErrorKind KindOfWord(std::string_view word) {
  struct Entry {
    std::string_view word;
    ErrorKind kind;
  };
  static constexpr Entry kWords[] = {
      {"MOVED", ErrorKind::kMoved},       {"ASK", ErrorKind::kAsk},
      {"TRYAGAIN", ErrorKind::kTryAgain}, {"CLUSTERDOWN", ErrorKind::kClusterDown},
      {"LOADING", ErrorKind::kLoading},   {"MASTERDOWN", ErrorKind::kMasterDown},
      {"READONLY", ErrorKind::kReadOnly}, {"NOSCRIPT", ErrorKind::kNoScript},
  };
  for (const Entry& entry : kWords) {
    if (word == entry.word) return entry.kind;
  }
  return ErrorKind::kOther;
}

// Of errors whose first word does not tell.
ErrorKind KindOfText(std::string_view text) {
  return text == "ERR Function not found" ? ErrorKind::kNoFunction : ErrorKind::kOther;
}

}  // namespace

Redirect ParseErrorReply(std::string_view line) {
  if (line.empty() || line[0] != '-') return {};
  line.remove_prefix(1);
  if (line.ends_with("\r\n")) line.remove_suffix(2);
  const std::string_view text = line;
  const ErrorKind kind = KindOfWord(TakeWord(&line));
  if (kind == ErrorKind::kMoved || kind == ErrorKind::kAsk) return ParseRedirect(kind, line);
  Redirect other;
  other.kind = kind == ErrorKind::kOther ? KindOfText(text) : kind;
  return other;
}

}  // namespace rcproxy::cluster
