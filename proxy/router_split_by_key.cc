// The part of Router for commands with several keys of a slot that is half moved: as long as some
// of the keys are at one node and some at the other, the nodes answer TRYAGAIN. Those that are
// split over slots anyway are split over keys then, each of which follows ASK by itself.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "cluster/command_keys.h"
#include "proxy/router.h"
#include "proxy/split_state.h"
#include "resp/request_scanner.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

using cluster::KeyRun;
using cluster::KeyRuns;
using resp::CommandView;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// A slot that has answered TRYAGAIN for as many pauses between retries will do so for a while.
// Before that a retry of the whole is better: it is executed at one moment.
constexpr int64_t kPausesBeforeSplit = 3;

// The command on one of its keys, with what belongs to the key.
std::string OnOneKey(const CommandView& command, const KeyRun& keys, uint32_t index) {
  std::string one;
  resp::AppendArrayHeader(&one, 1 + keys.step);
  one += command.Encoded(0);
  for (uint32_t i = 0; i < keys.step; ++i)
    one += command.Encoded(keys.first + index * keys.step + i);
  return one;
}

// Part `index` has become `count` parts in its place, one for each of its keys.
void Renumber(uint32_t index, uint32_t count, std::vector<uint32_t>* part_of_key) {
  uint32_t next = index;
  for (uint32_t& part : *part_of_key) {
    if (part == index) {
      part = next++;
    } else if (part > index) {
      part += count - 1;
    }
  }
}

}  // namespace

bool Router::MayBeSplitByKey(const Request& request) const {
  if (request.spec->route != cluster::Route::kSplit || request.is_unit || request.is_private ||
      request.failure != Request::Failure::kNone) {
    return false;
  }
  // Whoever wants commands to be executed whole waits.
  if (resources_.config.cross_slot == CrossSlot::kStrict) return false;
  const int64_t patience_ns = kPausesBeforeSplit * resources_.config.retry_delay_ms * kNsPerMs;
  return moving_slots_.TryAgainNs(request.slot, resources_.io.NowNs()) >= patience_ns;
}

// Sends `request`, which is due to be tried again, as a part for each of its keys. Returns false,
// and does nothing, when it is none of those that are split.
bool Router::SplitByKey(Request* request) {
  if (!MayBeSplitByKey(*request)) return false;
  resp::RequestScanner scanner;
  if (scanner.Scan(request->bytes.view(), resp::kDefaultRequestLimits) !=
      resp::ScanStatus::kCommand) {
    return false;
  }
  const KeyRuns keys = cluster::FindKeys(*request->spec, scanner.command());
  if (keys.status != cluster::KeysStatus::kOk || keys.runs[0].count < 2) return false;
  std::vector<std::string> commands;
  for (uint32_t i = 0; i < keys.runs[0].count; ++i)
    commands.push_back(OnOneKey(scanner.command(), keys.runs[0], i));
  resources_.stats.commands_split_by_key.Add();
  const std::vector<Request*> parts = ReplaceByParts(request, commands.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const Staging::Block block =
        resources_.upstream_staging.Take(commands[i].size(), commands[i].size());
    std::memcpy(block.begin, commands[i].data(), commands[i].size());
    parts[i]->bytes = uring::Slice::Adopt(block.chunk, block.begin, commands[i].size());
    Dispatch(parts[i]);
  }
  return true;
}

// A request that is a client's own becomes the parent of `count` parts; one that is a part gives
// its place to them, and is freed.
std::vector<Request*> Router::ReplaceByParts(Request* request, uint32_t count) {
  const bool was_part = request->sink == Request::Sink::kPart;
  SplitState* split = was_part ? request->split_parent : resources_.splits.New();
  std::vector<Request*> parts;
  for (uint32_t i = 0; i < count; ++i) parts.push_back(NewPartOf(split, *request));
  ReplyQueue* client = ClientOf(request);
  if (was_part) {
    const auto place = std::ranges::find(split->parts, request);
    Renumber(place - split->parts.begin(), count, &split->part_of_key);
    split->parts.insert(split->parts.erase(place), parts.begin(), parts.end());
    split->pending += count - 1;
    client->AddParts(count - 1);
    resources_.FreeRequest(request);
    return parts;
  }
  split->parent = request;
  split->merge = request->spec->merge;
  split->parts = parts;
  split->pending = count;
  if (split->merge == cluster::Merge::kKeyOrder) {
    split->part_of_key.resize(count);
    std::iota(split->part_of_key.begin(), split->part_of_key.end(), 0);
  }
  client->AddParts(count);
  request->bytes.Clear();
  request->split = split;
  request->is_split = true;
  return parts;
}

// With the age and the place in the order of what it is a part of.
Request* Router::NewPartOf(SplitState* split, const Request& whole) {
  Request* part = NewRequest(*whole.spec, whole.slot);
  part->sink = Request::Sink::kPart;
  part->split_parent = split;
  part->order = whole.order;
  part->needs = whole.needs;
  part->epoch = whole.epoch;
  part->issued_ns = whole.issued_ns;
  part->may_have_run = whole.may_have_run;
  return part;
}

}  // namespace rcproxy::proxy
