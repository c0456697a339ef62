// Any bytes, cut anywhere, give the same frames as the whole, and the scanner and the tree agree on
// what one reply is. The first byte chooses the cuts, the rest is the stream.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "resp/reply_scanner.h"
#include "resp/transcript.h"
#include "resp/value.h"

namespace {

using rcproxy::resp::ReplyScanner;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void CompareWithTree(std::string_view stream) {
  ReplyScanner scanner;
  const ReplyScanner::Result result = scanner.Scan(stream);
  const bool is_tree = rcproxy::resp::ParseValue(stream).ok();
  const bool is_frame =
      result.status == ReplyScanner::Status::kFrame && result.consumed == stream.size();
  Require(is_frame || !is_tree, "a tree that is no frame");
  // The scanner does not look into the text of these.
  if (stream.find_first_of("=,(") != std::string_view::npos) return;
  Require(is_tree || !is_frame, "a frame that is no tree");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 4096) return 0;
  const size_t step = data[0] % 32;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  rcproxy::resp::Cuts cuts;
  for (size_t at = step; step != 0 && at < stream.size(); at += step) cuts.push_back(at);
  const std::string whole = rcproxy::resp::ReplyTranscript(stream, {});
  const std::string cut = rcproxy::resp::ReplyTranscript(stream, cuts);
  if (whole != cut) {
    std::fprintf(stderr, "whole:\n%s\ncut:\n%s\n", whole.c_str(), cut.c_str());
    std::abort();
  }
  CompareWithTree(stream);
  const rcproxy::resp::AggregateHeader header = rcproxy::resp::ParseAggregateHeader(stream);
  Require(header.header_bytes <= stream.size(), "a header longer than the reply");
  int64_t integer = 0;
  rcproxy::resp::ParseIntegerReply(stream, &integer);
  return 0;
}
