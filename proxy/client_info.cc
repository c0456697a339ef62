#include "proxy/client_info.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "proxy/text.h"

namespace rcproxy::proxy {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr std::string_view kUnknownAddress = "?:0";

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
};

std::string UnixAddress(const SocketAddress& address, socklen_t size) {
  const size_t prefix = offsetof(sockaddr_un, sun_path);
  if (size <= prefix) return "/unnamed:0";  // A client's end rarely has a name.
  const std::string_view path(address.local.sun_path, size - prefix);
  // Escaped, for a path may hold what would end the field or the line.
  std::string text;
  for (const char byte : path.substr(0, path.find('\0', path[0] == '\0' ? 1 : 0))) {
    text += byte > ' ' && byte <= '~' ? byte : '?';
  }
  return text + ":0";
}

std::string AddressText(const SocketAddress& address, socklen_t size) {
  char text[INET6_ADDRSTRLEN] = "";
  switch (address.any.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof(text));
      return Concat(text, ":", ntohs(address.v4.sin_port));
    case AF_INET6:
      inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof(text));
      return Concat("[", text, "]:", ntohs(address.v6.sin6_port));
    case AF_UNIX:
      return UnixAddress(address, size);
  }
  return std::string(kUnknownAddress);
}

// `ask` is getpeername or getsockname.
std::string AddressOf(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  SocketAddress address = {};
  socklen_t size = sizeof(address);
  if (fd < 0 || ask(fd, &address.any, &size) != 0) return std::string(kUnknownAddress);
  return AddressText(address, std::min<socklen_t>(size, sizeof(address)));
}

// The server's letters.
std::string Flags(const Session& session, const ClientUse& use) {
  std::string flags;
  if (use.monitors) flags += 'O';
  if (session.IsSubscriber()) flags += 'P';
  if (use.queued >= 0) flags += 'x';
  if (use.is_blocked) flags += 'b';
  if (const TrackingOptions* tracking = session.tracking()) {
    flags += 't';
    if (tracking->broken) flags += 'R';
    if (tracking->broadcast) flags += 'B';
  }
  if (session.reads_from == ReadsFrom::kReplicas) flags += 'r';
  if (session.no_evict) flags += 'e';
  if (session.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

}  // namespace

std::string PeerAddress(const Session& session) { return AddressOf(session.fd, getpeername); }
std::string LocalAddress(const Session& session) { return AddressOf(session.fd, getsockname); }

std::string ClientInfoLine(const Session& session, std::string_view command, const ClientUse& use) {
  static const SessionExtras kNone;
  const SessionExtras& extras = session.extras != nullptr ? *session.extras : kNone;
  const SubscriptionCounts& counts = extras.subscriptions;
  const int64_t now_ns = std::max(use.now_ns, session.last_command_ns);
  const int64_t age_s = (now_ns - session.created_ns) / kNsPerSecond;
  const int64_t idle_s = (now_ns - session.last_command_ns) / kNsPerSecond;
  return Concat(
      "id=", session.id, " addr=", PeerAddress(session), " laddr=", LocalAddress(session),
      " fd=", session.fd, " name=", extras.name, " age=", age_s, " idle=", idle_s,
      " flags=", Flags(session, use), " db=", session.database, " sub=", counts[0],
      " psub=", counts[1], " ssub=", counts[2], " multi=", use.queued, " qbuf=", use.input_bytes,
      " qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=", use.output_bytes,
      " tot-mem=", use.input_bytes + use.output_bytes, " events=r cmd=", command,
      " user=default redir=", session.tracking() != nullptr ? session.tracking()->redirect : -1,
      " resp=", static_cast<int>(session.protocol), " lib-name=", extras.library_name,
      " lib-ver=", extras.library_version, "\n");
}

}  // namespace rcproxy::proxy
