// The error replies that rcproxy itself gives on the request path, complete with their line ends.
// Where Redis has a text for the situation it is Redis's; otherwise the words after ERR are
// rcproxy's own and stable, so that clients and alerts can match them, and never begin with a word
// that means something to a cluster client.
#pragma once

#include <string_view>

namespace rcproxy::proxy {

inline constexpr std::string_view kErrorCrossSlot =
    "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
inline constexpr std::string_view kErrorSlotNotServed = "-CLUSTERDOWN Hash slot not served\r\n";
inline constexpr std::string_view kErrorMaxClients = "-ERR max number of clients reached\r\n";
// Without "-" and line end, as it may stand in another error.
inline constexpr std::string_view kNoAuthError = "NOAUTH Authentication required.";
inline constexpr std::string_view kErrorUnreachable =
    "-ERR upstream unreachable: no node could take the command in time, it has not been "
    "executed\r\n";
inline constexpr std::string_view kErrorShed =
    "-ERR upstream busy: too many commands wait for a primary of this shard, it has not been "
    "executed\r\n";
inline constexpr std::string_view kErrorOverload =
    "-ERR upstream overloaded: commands wait for this node longer than --shed_queue_delay, it has "
    "not been executed\r\n";
inline constexpr std::string_view kErrorOutcomeUnknown =
    "-ERR upstream lost: the node's connection broke after the command was sent, it may or may not "
    "have been executed\r\n";
inline constexpr std::string_view kErrorOwnConnections =
    "-ERR too many blocked clients: every connection to the node that --own_connections_max, or to "
    "all nodes that --own_connections_total_max allows, is in use\r\n";
inline constexpr std::string_view kErrorSubscriptions =
    "-ERR too many subscriptions: the client would have more than "
    "--subscriptions_per_client_max\r\n";
// For commands that are passed on while they arrive (--stream_command_bytes_min).
inline constexpr std::string_view kErrorUploadMoved =
    "-ERR upstream moved: the slot moved while a large command was passed on, it has not been "
    "executed\r\n";
inline constexpr std::string_view kErrorUploadLost =
    "-ERR upstream lost: the node's connection broke while a large command was passed on, it has "
    "not been executed\r\n";
inline constexpr std::string_view kErrorTooManyRedirects =
    "-ERR upstream redirects: the cluster redirected the command too often, it has not been "
    "executed\r\n";
inline constexpr std::string_view kErrorUnexpectedPart =
    "-ERR upstream reply: a node answered a part of the command with an unexpected type\r\n";
inline constexpr std::string_view kErrorWaitLost =
    "-ERR upstream lost: a node that this client wrote to was lost since, or is no primary any "
    "more; which replicas have those writes is not known, later ones count again\r\n";
// The server's text for a version of the protocol that it does not know.
inline constexpr std::string_view kErrorNoProto = "-NOPROTO unsupported protocol version\r\n";
inline constexpr std::string_view kErrorMemory =
    "-ERR memory limit: the command does not fit into what rcproxy may use\r\n";

}  // namespace rcproxy::proxy
