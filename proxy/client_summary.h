// PROXY CLIENTS: what the person on call wants to know of all clients at once. How many there are
// on each worker, by which names and libraries, how many bytes wait for them, and who holds most.
//
//   each worker: Count, AddLargest, Encode -> DescribeClients adds them up
//
// Owner: whoever makes it. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/session.h"

namespace rcproxy::proxy {

class ClientSummary {
 public:
  static constexpr size_t kLargestMax = 10;

  struct Use {
    size_t output_bytes = 0;  // Of replies, ready or not.
    size_t bytes = 0;         // Of these and of input.
    bool is_blocked = false;
  };
  void Count(const Session& session, const Use& use);
  // `line` is the client's line of CLIENT LIST.
  void AddLargest(uint64_t bytes, std::string_view line);

  // Lines of words, for Add.
  std::string Encode() const;
  void Add(std::string_view encoded);

  // The sections of the reply. `workers` are theirs in turn; this is their sum.
  std::string Describe(std::span<const ClientSummary> workers) const;

 private:
  // Output up to these many bytes.
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 6> kSteps = {{
      {"none", 0},
      {"up_to_1K", 1 << 10},
      {"up_to_64K", 64 << 10},
      {"up_to_1M", 1 << 20},
      {"up_to_16M", 16 << 20},
      {"more", UINT64_MAX},
  }};

  void AddWord(std::string_view word, uint64_t number, std::string_view rest);

  uint64_t clients_ = 0;
  uint64_t blocked_ = 0;
  uint64_t bytes_ = 0;
  std::array<uint64_t, kSteps.size()> by_output_ = {};
  std::map<std::string, uint64_t, std::less<>> by_name_;   // "library=x,name=y".
  std::vector<std::pair<uint64_t, std::string>> largest_;  // The largest first, at most ten.
};

// The reply's text; `answers` are the workers' summaries, encoded.
std::string DescribeClients(std::span<const std::string_view> answers);

}  // namespace rcproxy::proxy
