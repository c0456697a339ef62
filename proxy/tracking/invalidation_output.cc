#include "proxy/tracking/invalidation_output.h"

#include <algorithm>
#include <string>

namespace rcproxy::proxy {

void InvalidationOutput::Tell(ChangedKeys keys) {
  if (!MayHear()) return;
  const std::string text = InvalidationText(session_.protocol, keys);
  Send(text);
  if (replies_.HoldsAnswers()) replies_.AppendMessage(text);
}

void InvalidationOutput::TellAfterReplies(ChangedKeys keys) {
  if (!MayHear()) return;
  replies_.AppendMessage(InvalidationText(session_.protocol, keys));
  resources_.stats.invalidations_delivered.Add();
}

void InvalidationOutput::Send(std::string_view text) {
  const Staging::Block block = resources_.client_staging.Take(text.size(), text.size());
  std::ranges::copy(text, block.begin);
  const uring::Slice slice = uring::Slice::Adopt(block.chunk, block.begin, text.size());
  if (output_.Send({}, slice.chunk(), slice.view())) resources_.stats.invalidations_delivered.Add();
}

}  // namespace rcproxy::proxy
