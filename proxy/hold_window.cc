#include "proxy/hold_window.h"

#include <glog/logging.h>

#include <algorithm>

namespace rcproxy::proxy {

bool HoldWindow::HasRoom(uint16_t shard, size_t bytes, const WaitingLoad& waiting) const {
  WaitingLoad all = waiting;
  if (shard < shards_.size()) all += shards_[shard];
  // One that is longer than all may be together waits alone.
  return all.requests < config_.hold_requests_max &&
         (all.requests == 0 || all.bytes + bytes <= config_.hold_bytes_max);
}

void HoldWindow::Enter(Request* request, uint16_t shard) {
  if (shard >= shards_.size()) shards_.resize(shard + 1);
  request->hold = {shard, static_cast<uint32_t>(request->bytes.size())};
  ++requests_;
  ++shards_[shard].requests;
  shards_[shard].bytes += request->hold.bytes;
  stats_.requests_held.Add();
}

void HoldWindow::Leave(const Request& request) {
  WaitingLoad& held = shards_[request.hold.shard];
  DCHECK_GT(held.requests, 0u);
  DCHECK_GE(held.bytes, request.hold.bytes);
  --requests_;
  --held.requests;
  held.bytes -= request.hold.bytes;
  stats_.requests_held.Sub();
}

}  // namespace rcproxy::proxy
