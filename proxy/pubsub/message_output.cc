#include "proxy/pubsub/message_output.h"

#include <algorithm>

namespace rcproxy::proxy {

using uring::Chunk;
using uring::ChunkPool;

bool MessageOutput::Send(std::string_view prefix, Chunk* chunk, std::string_view rest) {
  if (replies_.broken()) return false;
  if (!replies_.MayInterject() || !held_.empty()) {
    Hold(prefix, chunk, rest);
  } else {
    if (!prefix.empty()) replies_.output().Append(prefix);
    replies_.Interject(chunk, rest);
  }
  CheckLimits();
  return true;
}

void MessageOutput::Hold(std::string_view prefix, Chunk* chunk, std::string_view rest) {
  if (!prefix.empty()) {
    const Staging::Block block = resources_.client_staging.Take(prefix.size(), prefix.size());
    std::ranges::copy(prefix, block.begin);
    held_.Add(resources_.segments, block.chunk, {block.begin, prefix.size()});
  }
  ChunkPool::Ref(chunk);
  held_.Add(resources_.segments, chunk, rest);
}

void MessageOutput::ReleaseHeld() {
  if (held_.empty() || !replies_.MayInterject()) return;
  replies_.output().TakeAll(&held_);
}

void MessageOutput::CheckLimits() {
  const Config& config = resources_.config;
  const size_t waiting = replies_.bytes() + held_.bytes();
  if (waiting <= config.subscriber_output_soft_bytes) {
    above_soft_since_ns_ = 0;
    return;
  }
  const int64_t now_ns = resources_.io.NowNs();
  if (above_soft_since_ns_ == 0) above_soft_since_ns_ = now_ns;
  const int64_t soft_limit_ns = config.subscriber_output_soft_s * 1'000'000'000;
  if (waiting <= config.subscriber_output_hard_bytes &&
      now_ns - above_soft_since_ns_ <= soft_limit_ns)
    return;
  resources_.stats.subscribers_closed_output_limit.Add();
  replies_.MarkBroken();
}

}  // namespace rcproxy::proxy
