// What the commands that rcproxy answers itself need of their worker, and, for those about all
// clients, of all workers.
//
// Owner: Worker is both. Thread: LocalHost the worker's that runs the command; WorkerClients its
// own worker's.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/pubsub/pubsub_text.h"
#include "proxy/session.h"

namespace rcproxy::proxy {

struct ClientFilter;
class KnownCommands;
class Monitors;
struct Stats;

// One worker's clients and nodes, to those who ask all workers.
class WorkerClients {
 public:
  // The lines of CLIENT LIST.
  virtual std::string ListClients(const ClientFilter& filter) = 0;
  // Closes clients; `asker` after it has got its reply. Returns how many.
  virtual int KillClients(const ClientFilter& filter, int64_t asker) = 0;
  // Ends the blocking command of client `id`. Returns whether it had one.
  virtual bool UnblockClient(int64_t id, bool with_error) = 0;
  // Holds up all clients until `until_ns`; a pause never makes an earlier one shorter or weaker.
  virtual void PauseClients(Pause pause, int64_t until_ns) = 0;
  virtual void UnpauseClients() = 0;
  virtual void ResetCounters() = 0;
  virtual bool HasClient(int64_t id) = 0;
  // Tells client `id` of keys that another one has read. Returns whether it is here.
  virtual bool TellChangedKeys(int64_t id, std::span<const std::string_view> keys) = 0;
  // Clients are told to forget what they have read of `slot`, which begins to move.
  virtual void ForgetTrackedSlot(uint16_t slot) = 0;
  virtual Monitors& monitors() = 0;
  // ChannelUses of the channels named, or of all of the kind, encoded.
  virtual std::string DescribeChannels(ChannelKind kind, const std::vector<std::string>& names) = 0;
  // A ClientSummary of all its clients, encoded.
  virtual std::string SummarizeClients() = 0;
  // A NodeUse of each node, encoded.
  virtual std::string DescribeNodes() = 0;

 protected:
  ~WorkerClients() = default;
};

using WorkerQuestion = std::function<std::string(WorkerClients& worker)>;

class LocalHost {
 public:
  // Puts `question` to every worker, on its thread; then the operation that waits for `wait_id`
  // gets their answers. Of a worker that is stopping the answer is empty.
  virtual void AskWorkers(WorkerQuestion question, uint64_t wait_id) = 0;
  // Resumes the operation when client `id`, which tracks keys, will hear of every change.
  virtual void AwaitTracking(int64_t id, uint64_t wait_id) = 0;
  // A node has been seen to know HELLO 3, and none since that does not.
  virtual bool Resp3Known() const = 0;
  // What a node has answered to SELECT of the database a moment ago; empty: nobody was refused.
  virtual std::string_view DatabaseRefused(uint16_t database) const = 0;
  // How many slots have an owner now.
  virtual int SlotsServed() const = 0;
  virtual int64_t NowNs() const = 0;
  virtual const KnownCommands& Commands() const = 0;
  virtual Stats& WorkerStats() = 0;

 protected:
  ~LocalHost() = default;
};

}  // namespace rcproxy::proxy
