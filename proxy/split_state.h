// A command that was split over several slots: its parts, and how their replies become one.
//
// Owner: Worker's pool, through the parent Request. Thread: the worker's.
// Invariants: 1. pending is the number of parts not answered yet; 2. part_of_key has one entry per
// key, in key order;
// 3. a part is freed only by Merge or Abandon.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cluster/command_table.h"

namespace rcproxy::proxy {

struct Request;
class OutputQueue;
struct Resources;

struct SplitState {
  Request* parent = nullptr;
  cluster::Merge merge = cluster::Merge::kNone;
  uint32_t pending = 0;
  std::vector<Request*> parts;        // In the order of their first key.
  std::vector<uint32_t> part_of_key;  // Merge::kKeyOrder only.
};

}  // namespace rcproxy::proxy
