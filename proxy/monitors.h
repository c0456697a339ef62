// MONITOR: the commands of all clients of this rcproxy, as they are issued, to clients that want to
// see them.
//
//   command -> Note, on its client's worker -> a line -> Show, on every worker -> clients
//
// While nobody monitors, a command pays one test (Resources::observed). Lines above
// --monitor_lines_per_s, per worker, are left out and counted, because monitoring costs more than
// what is monitored.
//
// Owner: Worker. Thread: the worker's.
// Invariant: `observed` is set while a client of any worker monitors, or commands are logged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_table.h"
#include "proxy/operation.h"
#include "proxy/pubsub/message_output.h"
#include "proxy/resources.h"
#include "proxy/session.h"
#include "resp/command_view.h"
#include "uring/intrusive_list.h"

namespace rcproxy::proxy {

// One client that monitors.
struct Monitor : ListLink<struct InMonitors> {
  Monitor(Resources& resources, ReplyQueue& replies) : output(resources, replies) {}

  MessageOutput output;
};

// Tells all workers, this one included.
class MonitorHost {
 public:
  virtual void ShowOnAllWorkers(std::string line) = 0;
  // The operation that waits for `wait_id` goes on when all have been told; 0: none does.
  virtual void CountMonitorOnAllWorkers(int difference, uint64_t wait_id) = 0;

 protected:
  ~MonitorHost() = default;
};

class Monitors {
 public:
  // Both outlive this.
  Monitors(Resources& resources, MonitorHost& host);
  ~Monitors();  // Requires: no client monitors.

  // MONITOR of a client, which sees lines when every worker knows of it, until it is removed.
  // `monitor` outlives the operation.
  std::unique_ptr<Operation> Begin(Monitor* monitor);
  void Remove(Monitor* monitor);
  // A client of any worker has begun (1) or ended (-1).
  void Count(int difference);
  // A client has issued a command. Requires: resources.observed.
  void Note(const Session& session, const cluster::CommandSpec& spec,
            const resp::CommandView& command);
  void Show(std::string_view line);

 private:
  friend class MonitorOperation;
  bool IsWithinRate();

  Resources& resources_;
  MonitorHost& host_;
  IntrusiveList<Monitor, InMonitors> monitors_;
  int count_ = 0;  // Of all workers.
  int64_t second_began_ns_ = 0;
  uint64_t lines_in_second_ = 0;
};

}  // namespace rcproxy::proxy
