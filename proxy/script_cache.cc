#include "proxy/script_cache.h"

#include <algorithm>

#include "proxy/sha1.h"

namespace rcproxy::proxy {

void ScriptCache::FollowFlushes() {
  const uint64_t flushes = flushes_.load(std::memory_order_relaxed);
  if (flushes == seen_flushes_) return;
  seen_flushes_ = flushes;
  while (!scripts_.empty()) DropOldest();
}

void ScriptCache::DropOldest() {
  const Script& oldest = scripts_.front();
  by_body_.erase(oldest.body);
  by_digest_.erase(oldest.digest);
  bytes_ -= oldest.body.size();
  scripts_.pop_front();
}

void ScriptCache::Note(std::string_view body) {
  FollowFlushes();
  if (body.size() > bytes_max_ || by_body_.contains(body)) return;
  while (bytes_ + body.size() > bytes_max_) DropOldest();
  scripts_.push_back({std::string(body), Sha1Hex(body)});
  const auto added = std::prev(scripts_.end());
  by_body_.emplace(added->body, added);
  by_digest_.emplace(added->digest, added);
  bytes_ += body.size();
}

const std::string* ScriptCache::Find(std::string_view digest) {
  FollowFlushes();
  std::string lower(digest.substr(0, 40));
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto found = by_digest_.find(lower);
  return digest.size() != 40 || found == by_digest_.end() ? nullptr : &found->second->body;
}

}  // namespace rcproxy::proxy
