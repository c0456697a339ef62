// What has been written under each key of a load run, and whether what is read back is right.
//
// A value carries its key and a sequence number, so that a reply that belongs to another request,
// an old value and a damaged one are told apart:
//
//   load:000000000042#0000000007#abcdef...       key # sequence # padding up to the wanted size
//
// Owner: one LoadRunner; nobody else may write the keys. Thread: one. Requires: all commands on one
// key go over one connection. Then its replies come in order, and a read sent after write `s` may
// return the last acknowledged write at the earliest, and `s` at the latest. A write whose outcome
// is unknown (an error reply, a lost connection) is never "acknowledged", but may be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::benchmarks {

enum class Verdict : uint8_t {
  kRight,
  kMissing,    // No value, though a write has been acknowledged.
  kStale,      // An older value than the last acknowledged one.
  kUnwritten,  // A sequence number that had not been sent yet.
  kOtherKey,   // The value of another key: the reply belongs to another request.
  kMalformed,  // Anything else.
};
inline constexpr size_t kVerdictCount = 6;
const char* VerdictName(Verdict verdict);

class ValueLedger final {
 public:
  // Keys 0 to `keys` - 1, named by `prefix` and 12 digits. A value has `value_bytes` bytes, or as
  // many as its key and sequence number need.
  ValueLedger(std::string prefix, uint32_t keys, size_t value_bytes);

  uint32_t keys() const { return static_cast<uint32_t>(issued_.size()); }

  // Appends the command that writes the key's next sequence number, which is returned.
  uint32_t AppendSet(uint32_t key, std::string* output);
  void AppendGet(uint32_t key, std::string* output) const;

  // The last sequence number that was sent: what a read sent now may return at the latest.
  uint32_t issued(uint32_t key) const { return issued_[key]; }

  void Acknowledge(uint32_t key, uint32_t sequence) { acknowledged_[key] = sequence; }

  // `reply` is the complete reply to a GET; `issued_at_send` what issued() was then.
  Verdict CheckRead(uint32_t key, uint32_t issued_at_send, std::string_view reply) const;

 private:
  void AppendKey(uint32_t key, std::string* output) const;
  Verdict CheckValue(uint32_t key, uint32_t issued_at_send, std::string_view value) const;

  const std::string prefix_;
  const size_t key_bytes_;
  const size_t value_bytes_;
  const std::string padding_;
  std::vector<uint32_t> issued_;
  std::vector<uint32_t> acknowledged_;
};

}  // namespace rcproxy::benchmarks
