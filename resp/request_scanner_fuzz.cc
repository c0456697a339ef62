// Any bytes, cut anywhere, give the same commands as the whole; the invariants of the transcript
// hold. The first two bytes choose the limits and the cuts, the rest is the stream.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "resp/request_scanner.h"
#include "resp/transcript.h"

namespace {

using rcproxy::resp::RequestLimits;

RequestLimits LimitsFor(uint8_t choice) {
  switch (choice % 4) {
    case 0:
      return rcproxy::resp::kUnauthenticatedRequestLimits;
    case 1:
      return {3, 40, 30, 60};
    case 2:
      return {UINT32_MAX, UINT32_MAX, 1024, UINT32_MAX};
    default:
      return rcproxy::resp::kDefaultRequestLimits;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 4096) return 0;
  const RequestLimits limits = LimitsFor(data[0]);
  const size_t step = data[1] % 32;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  rcproxy::resp::Cuts cuts;
  for (size_t at = step; step != 0 && at < stream.size(); at += step) cuts.push_back(at);
  const std::string whole = rcproxy::resp::RequestTranscript(stream, {}, limits);
  const std::string cut = rcproxy::resp::RequestTranscript(stream, cuts, limits);
  if (whole != cut) {
    std::fprintf(stderr, "whole:\n%s\ncut:\n%s\n", whole.c_str(), cut.c_str());
    std::abort();
  }
  return 0;
}
