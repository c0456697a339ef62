// A command that became several: its parts, and how their replies become one. Split over slots,
// sent to every primary or node, or an operation's questions.
//
// Owner: Worker's pool, through the parent Request. Thread: the worker's.
// Invariants: 1. pending is the number of parts not answered yet; 2. part_of_key has one entry per
// key, in key order;
// 3. a part is freed only by Merge or Abandon; 4. targets is empty, or has an entry per part.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "cluster/command_table.h"
#include "cluster/topology.h"
#include "proxy/joined_reply.h"
#include "proxy/operation.h"

namespace rcproxy::proxy {

struct Request;
class OutputQueue;
class UpstreamConnection;
struct Resources;

struct SplitState {
  Request* parent = nullptr;
  cluster::Merge merge = cluster::Merge::kNone;
  uint32_t pending = 0;
  std::vector<Request*> parts;        // In the order of their first key.
  std::vector<uint32_t> part_of_key;  // Merge::kKeyOrder only.
  std::vector<cluster::NodeAddress>
      targets;                           // Port not 0: the part is for this node, not its slot.
  std::unique_ptr<Operation> operation;  // Gets the replies instead of a merge,
  std::unique_ptr<JoinedReply> joined;   // unless they are passed on while they arrive.
  std::vector<UpstreamConnection*> own_links;  // Of parts that are is_private, until answered.
  HeldLink* held = nullptr;                    // Of the part that is_pinned.
  uint64_t wait_id = 0;                        // Not 0: the operation waits for Router::Resume.
};

}  // namespace rcproxy::proxy
