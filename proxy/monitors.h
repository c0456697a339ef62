// MONITOR and PROXY MONITOR: the commands of all clients of this rcproxy, as they are issued, to
// clients that want to see them.
//
//   command -> Note, on its client's worker -> a line -> Show, on every worker -> clients
//
// Every worker knows what each client wants to see, so a command that nobody does makes no line.
// While nobody monitors, a command pays one test (Resources::observed). Lines above
// --monitor_lines_per_s, per worker, are left out and counted, because monitoring costs more than
// what is monitored.
//
// Owner: Worker. Thread: the worker's.
// Invariant: `observed` is set while a client of any worker monitors, or commands are logged.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/monitor_filter.h"
#include "proxy/operation.h"
#include "proxy/pubsub/message_output.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "resp/command_view.h"
#include "uring/intrusive_list.h"

namespace rcproxy::proxy {

// One client that monitors.
struct Monitor : ListLink<struct InMonitors> {
  Monitor(Resources& resources, ReplyQueue& replies, int64_t client)
      : client(client), output(resources, replies) {}

  const int64_t client;
  MessageOutput output;
};

class Monitors;

class MonitorHost {
 public:
  // Does it on every worker, this one included. The operation that waits for `wait_id` goes on when
  // all have done so; 0: none does.
  virtual void OnAllWorkers(std::function<void(Monitors&)> what, uint64_t wait_id) = 0;

 protected:
  ~MonitorHost() = default;
};

class Monitors {
 public:
  // Both outlive this.
  Monitors(Resources& resources, MonitorHost& host);
  ~Monitors();  // Requires: no client monitors.

  // MONITOR of a client, which sees lines when every worker knows of it, until it is removed. Of
  // one that monitors: from now on it sees others. `monitor` outlives the operation.
  std::unique_ptr<Operation> Begin(Monitor* monitor, MonitorFilter filter);
  void Remove(Monitor* monitor);
  // A client has issued a command. Requires: resources.observed.
  void Note(const Session& session, const cluster::CommandSpec& spec,
            const resp::CommandView& command);
  // The same of several, which were queued.
  void NoteAll(const Session& session, std::string_view commands);

 private:
  friend class MonitorOperation;
  // What client `client` of any worker wants to see.
  void AddFilter(int64_t client, const MonitorFilter& filter);
  void RemoveFilter(int64_t client);
  // To those of `clients` that are this worker's.
  void Show(std::string_view line, const std::vector<int64_t>& clients);
  void SetObserved();
  bool IsWithinRate();

  Resources& resources_;
  MonitorHost& host_;
  IntrusiveList<Monitor, InMonitors> monitors_;
  std::map<int64_t, MonitorFilter> filters_;  // Of all workers' clients that monitor.
  int64_t second_began_ns_ = 0;
  uint64_t lines_in_second_ = 0;
};

}  // namespace rcproxy::proxy
