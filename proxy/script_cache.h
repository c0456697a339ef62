// The scripts that clients of this worker have sent, by digest: a node that has lost one (after a
// failover, or because it is new) gets it again instead of answering NOSCRIPT.
//
// Owner: Router. Thread: the worker's; only ForgetAll is felt by the caches of all workers.
// Invariant: the bodies take at most bytes_max; the oldest go first. Per script that is known: one
// hash of the body, no digest, no allocation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace rcproxy::proxy {

class ScriptCache {
 public:
  explicit ScriptCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  void Note(std::string_view body);
  // nullptr when it is not known. `digest` in any case. Valid until the next call.
  const std::string* Find(std::string_view digest);
  // SCRIPT FLUSH: clients expect that nobody knows any script.
  static void ForgetAll() { flushes_.fetch_add(1, std::memory_order_relaxed); }

  size_t bytes() const { return bytes_; }

 private:
  struct Script {
    std::string body;
    std::string digest;
  };
  using Scripts = std::list<Script>;  // Oldest first.

  void FollowFlushes();
  void DropOldest();

  static inline std::atomic<uint64_t> flushes_{0};
  uint64_t seen_flushes_ = flushes_.load(std::memory_order_relaxed);
  const size_t bytes_max_;
  size_t bytes_ = 0;
  Scripts scripts_;
  std::unordered_map<std::string_view, Scripts::iterator> by_body_;
  std::unordered_map<std::string_view, Scripts::iterator> by_digest_;
};

}  // namespace rcproxy::proxy
