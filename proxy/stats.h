// Counters and gauges of one worker. Written by the worker alone, read by any thread (INFO,
// metrics): plain loads and stores without a locked instruction, so a reader may be a few
// increments behind but never sees a torn value.
//
// Owner: Worker. Thread: see above. Invariant: counters only grow, until CONFIG RESETSTAT.
#pragma once

#include "proxy/counter.h"
#include "proxy/node_stats.h"

namespace rcproxy::proxy {

// name, type (counter or gauge), help. INFO, the metrics page and the documents are made from this
// one list.
#define RCPROXY_STATS(X)                                                                           \
  X(clients_connected, gauge, "Clients connected now")                                             \
  X(clients_accepted, counter, "Clients accepted")                                                 \
  X(clients_rejected, counter, "Clients turned away because maxclients was reached")               \
  X(clients_closed_output_limit, counter,                                                          \
    "Clients closed because they did not read their replies")                                      \
  X(clients_closed_idle, counter, "Clients closed after the idle timeout")                         \
  X(clients_closed_memory, counter, "Clients closed because the memory limit was reached")         \
  X(clients_closed_partial_reply, counter,                                                         \
    "Clients closed because a node died inside a long reply")                                      \
  X(client_pauses, counter,                                                                        \
    "Times a client was no longer read because it was at one of its limits")                       \
  X(protocol_errors, counter, "Clients closed after malformed input")                              \
  X(commands, counter, "Commands received")                                                        \
  X(commands_local, counter, "Commands answered by rcproxy itself")                                \
  X(commands_split, counter, "Commands split over several slots")                                  \
  X(commands_split_by_key, counter,                                                                \
    "Commands, or parts of them, split over keys: their slot stayed half moved")                   \
  X(commands_refused, counter, "Commands answered with an error by rcproxy")                       \
  X(requests_sent, counter, "Requests handed to node connections, parts and retries included")     \
  X(requests_in_flight, gauge, "Requests not answered yet")                                        \
  X(uploads, counter, "Large commands that were passed on while they arrived")                     \
  X(operations, counter, "Commands that took several questions to nodes: SCAN, for example")       \
  X(scripts_healed, counter, "Scripts given to a node that did not know them")                     \
  X(functions_restored, counter, "Primaries that joined without functions and got them")           \
  X(function_restore_failures, counter,                                                            \
    "Primaries that joined without functions and did not get them")                                \
  X(fences, counter,                                                                               \
    "Times a client waited because the owner of a slot had changed under its requests")            \
  X(clients_held_back, counter,                                                                    \
    "Times a client waited for its own replies because too much waited for a node already")        \
  X(redirects_moved, counter, "MOVED replies followed")                                            \
  X(redirects_ask, counter, "ASK replies followed")                                                \
  X(redirects_exhausted, counter, "Requests that were redirected too often")                       \
  X(retries, counter, "Requests put back to be tried again after a delay")                         \
  X(retries_tryagain, counter, "Retries because of TRYAGAIN")                                      \
  X(reads_balanced, counter, "Reads that went to a copy that --read_prefer chose")                 \
  X(reads_kept_from_replicas, counter,                                                             \
    "Reads that no replica was known to be far enough for, as their clients had written")          \
  X(replication_questions, counter,                                                                \
    "Times a primary was asked how far it is, so that replicas serve those who have written")      \
  X(replication_questions_failed, counter,                                                         \
    "Such questions to primaries and replicas that got no answer")                                 \
  X(reads_hedged, counter, "Reads sent to a second copy of their shard: see --hedge_reads_after")  \
  X(hedges_won, counter, "Reads that the second copy has answered")                                \
  X(hedges_over_budget, counter,                                                                   \
    "Reads that waited for longer than --hedge_reads_after while --hedge_reads_budget was spent")  \
  X(replicas_left_out, counter,                                                                    \
    "Times a replica could not serve a read, and was left out for a second")                       \
  X(retries_cluster_down, counter,                                                                 \
    "Retries because of CLUSTERDOWN, LOADING, MASTERDOWN or READONLY")                             \
  X(requests_held, gauge, "Requests that wait for a primary of their shard, or to be tried again") \
  X(errors_shed, counter,                                                                          \
    "Requests answered with an error: too many waited for their shard already")                    \
  X(errors_overload, counter,                                                                      \
    "Requests answered with an error: others waited too long for their node already")              \
  X(errors_unreachable, counter, "Requests answered with an error: no node could be reached")      \
  X(databases_refused, counter,                                                                    \
    "Node connections that a node refused the database that clients have selected")                \
  X(own_connections, gauge, "Node connections in use by one client that may block")                \
  X(clients_blocked, gauge, "Clients that a node keeps waiting: BLPOP, for example")               \
  X(connections_set_aside, counter,                                                                \
    "Node connections left to one client that reads a long reply slowly")                          \
  X(errors_own_connections, counter,                                                               \
    "Requests answered with an error: no connection of its own for a client that blocks")          \
  X(subscriptions, gauge, "Channels and patterns of all clients")                                  \
  X(channels, gauge, "Different channels and patterns that clients are subscribed to")             \
  X(messages_received, counter, "Published messages from nodes")                                   \
  X(messages_delivered, counter, "Published messages given to clients")                            \
  X(subscriptions_interrupted, counter,                                                            \
    "Channels whose node or slot was lost: messages may have been missed")                         \
  X(subscribers_closed_output_limit, counter,                                                      \
    "Clients closed because they did not read published messages")                                 \
  X(tracking_clients, gauge, "Clients that track keys (CLIENT TRACKING)")                          \
  X(tracking_keys, gauge, "Keys that clients are told of when they change")                        \
  X(tracking_items, gauge, "The same, counted once for each client")                               \
  X(tracking_keys_dropped, counter,                                                                \
    "Keys that clients were told to forget: too many were tracked")                                \
  X(tracking_interrupted, counter,                                                                 \
    "Times clients were told to forget keys because a connection or a slot's owner was lost")      \
  X(invalidations_received, counter, "Messages from nodes that keys have changed")                 \
  X(invalidations_delivered, counter, "Messages to clients that keys have changed")                \
  X(monitor_lines_dropped, counter,                                                                \
    "Commands that clients who MONITOR were not shown: too many in a second")                      \
  X(errors_subscriptions, counter, "Commands refused: too many subscriptions of one client")       \
  X(errors_tracking_prefixes, counter, "CLIENT TRACKING refused: too many prefixes of one client") \
  X(errors_outcome_unknown, counter,                                                               \
    "Writes answered with an error: sent, but the connection was lost")                            \
  X(errors_upload_lost, counter,                                                                   \
    "Large commands answered with an error: they could not be passed on to their end")             \
  X(writes_repeated, counter,                                                                      \
    "Writes sent again though they may have been executed: see --retry_idempotent_writes")         \
  X(errors_slot_uncovered, counter, "Requests answered with an error: no node owns the slot")      \
  X(errors_crossslot, counter, "Requests answered with CROSSSLOT")                                 \
  X(errors_transaction_limit, counter,                                                             \
    "Commands not queued: their transaction had too many commands or bytes")                       \
  X(replies_discarded, counter,                                                                    \
    "Replies that nobody waited for any more: the client had gone, or another copy had answered")  \
  X(requests_overdue, counter,                                                                     \
    "Requests given up after --request_timeout while their node went on answering others")         \
  X(requests_not_sent, counter,                                                                    \
    "Requests taken back before they were sent: nobody waited for them any more")                  \
  X(upstream_connections, gauge, "Connections to nodes open now")                                  \
  X(upstream_connects, counter, "Connections to nodes opened")                                     \
  X(upstream_connect_failures, counter, "Connections to nodes that could not be opened")           \
  X(upstream_failures, counter, "Connections to nodes lost while in use")                          \
  X(upstream_timeouts, counter, "Connections to nodes closed because a reply was overdue")         \
  X(upstream_probes, counter,                                                                      \
    "Connections to nodes that had been silent, which got a PING before any request")              \
  X(upstream_pings, counter, "PINGs on connections to nodes that nobody had used for a while")     \
  X(upstream_silences, counter,                                                                    \
    "Nodes given up: they owed replies, sent nothing, and were replaced or silent for too long")   \
  X(upstream_protocol_errors, counter, "Connections to nodes closed because of malformed replies") \
  X(topology_refreshes, counter, "Cluster maps received and understood")                           \
  X(topology_refresh_failures, counter, "Attempts to read the cluster map that failed")            \
  X(topology_views_refused, counter,                                                               \
    "Nodes whose picture of the cluster was not believed: isolated, loading, or strangers")        \
  X(topology_changes, counter, "Cluster maps that differed from the one in use")                   \
  X(commands_learnt, gauge, "Commands beyond the built-in ones that the nodes have told of")       \
  X(command_tables_read, counter, "Replies of nodes to COMMAND received and understood")           \
  X(command_table_failures, counter, "Nodes that did not tell which commands they have")           \
  X(command_tables_differ, counter, "Times the primaries did not all have the same commands")      \
  X(command_table_changes, counter, "Learnt commands that differed from those in use")             \
  X(receive_no_buffers, counter, "Times a receive waited because all buffers were in use")         \
  X(client_bytes_received, counter, "Bytes received from clients")                                 \
  X(upstream_bytes_received, counter, "Bytes received from nodes")                                 \
  X(memory_bytes, gauge, "Bytes of buffers in use")                                                \
  X(loop_turns, counter, "Turns of the event loop")

struct Stats {
#define RCPROXY_DECLARE(name, type, help) Counter name;
  RCPROXY_STATS(RCPROXY_DECLARE)
#undef RCPROXY_DECLARE
  NodeStatsList nodes;

  // Gauges tell what is now, and stay.
  void ResetCounters() {
#define RCPROXY_RESET_counter(name) name.Set(0);
#define RCPROXY_RESET_gauge(name)
#define RCPROXY_RESET(name, type, help) RCPROXY_RESET_##type(name)
    RCPROXY_STATS(RCPROXY_RESET)
#undef RCPROXY_RESET
#undef RCPROXY_RESET_gauge
#undef RCPROXY_RESET_counter
    nodes.ResetCounters();
  }
};

}  // namespace rcproxy::proxy
