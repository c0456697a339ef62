// What a node has said to SELECT of a database that it does not have, for a second: clients that
// ask for it again and again are answered without a connection being opened each time.
//
// Owner: Resources. Thread: the worker's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rcproxy::proxy {

class DatabaseRefusal {
 public:
  // `reply` is a complete error. Errors that say nothing about how many databases there are, such
  // as NOPERM, are not kept.
  void Note(uint16_t database, std::string_view reply, int64_t now_ns) {
    if (!reply.starts_with(kOnlyOne) && !reply.starts_with(kOutOfRange)) return;
    from_ = database;
    reply_ = reply;
    until_ns_ = now_ns + kKeptNs;
  }
  // The reply for this database, or, as they are numbered without gaps, a smaller one; empty when a
  // node has to be asked.
  std::string_view Find(uint16_t database, int64_t now_ns) const {
    return database >= from_ && now_ns < until_ns_ ? std::string_view(reply_) : std::string_view();
  }

  // Of a server that has one database in cluster mode, whatever its configuration.
  static constexpr std::string_view kOnlyOne = "-ERR SELECT is not allowed in cluster mode";

 private:
  static constexpr std::string_view kOutOfRange = "-ERR DB index is out of range";
  static constexpr int64_t kKeptNs = 1'000'000'000;

  uint16_t from_ = 0;
  std::string reply_;
  int64_t until_ns_ = 0;
};

}  // namespace rcproxy::proxy
