#include "proxy/operations/operations.h"

#include <glog/logging.h>

#include <span>
#include <string_view>
#include <vector>

#include "cluster/command_errors.h"
#include "proxy/operations/blocking.h"
#include "proxy/operations/cluster_info.h"
#include "proxy/operations/cross_slot.h"
#include "proxy/operations/fan_out.h"
#include "proxy/operations/keys.h"
#include "proxy/operations/operation_text.h"
#include "proxy/operations/proxy_commands.h"
#include "proxy/operations/pubsub_counts.h"
#include "proxy/operations/scan.h"
#include "proxy/operations/slot_commands.h"
#include "proxy/operations/slot_split.h"
#include "proxy/operations/wait.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;
using Factories = std::vector<OperationFactory>;  // By CommandSpec::id; null: none.

constexpr OperationRow kRows[] = {
    {"info", MakeClusterInfo},
    {"keys", MakeKeys},
    {"scan", MakeScan},
    {"wait", MakeWait},
};

void Add(std::span<const OperationRow> rows, Factories* factories) {
  for (const OperationRow& row : rows) (*factories)[cluster::CommandNamed(row.name).id] = row.make;
}

const Factories& Always() {
  static const Factories* const factories = [] {
    auto* made = new Factories(cluster::CommandIdCount(), nullptr);
    Add(kRows, made);
    Add(FanOutOperations(), made);
    Add(ProxyOperations(), made);
    Add(PubSubCountOperations(), made);
    Add(SlotOperations(), made);
    return made;
  }();
  return *factories;
}

const Factories& ForSeveralSlots() {
  static const Factories* const factories = [] {
    auto* made = new Factories(cluster::CommandIdCount(), nullptr);
    Add(SetOperations(), made);
    Add(SortedSetOperations(), made);
    Add(StringOperations(), made);
    return made;
  }();
  return *factories;
}

}  // namespace

std::unique_ptr<Operation> Operations::Make(const CommandSpec& spec,
                                            const resp::CommandView& command,
                                            resp::Protocol protocol, WriteMarks* writes) const {
  const OperationFactory make = Always()[spec.id];
  DCHECK(make != nullptr) << spec.name;
  if (make == nullptr) return AnswerError(cluster::NotAvailableError(spec));
  return make({facts_, spec, command, protocol, writes});
}

std::unique_ptr<Operation> Operations::MakeBlocking(const CommandSpec& spec,
                                                    const resp::CommandView& command,
                                                    resp::Protocol protocol) const {
  return rcproxy::proxy::MakeBlocking({facts_, spec, command, protocol});
}

std::unique_ptr<Operation> Operations::MakeCrossSlot(const CommandSpec& spec,
                                                     const resp::CommandView& command,
                                                     resp::Protocol protocol) const {
  if (facts_.config.cross_slot == CrossSlot::kStrict) return nullptr;
  const OperationCall call = {facts_, spec, command, protocol};
  if (auto split = MakeSlotSplit(call)) return split;
  if (facts_.config.cross_slot != CrossSlot::kCompute) return nullptr;
  const OperationFactory make = ForSeveralSlots()[spec.id];
  return make == nullptr ? nullptr : make(call);
}

}  // namespace rcproxy::proxy
