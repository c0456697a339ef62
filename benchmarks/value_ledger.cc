#include "benchmarks/value_ledger.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace rcproxy::benchmarks {
namespace {

constexpr size_t kKeyDigits = 12;
constexpr size_t kSequenceDigits = 10;
constexpr size_t kSequenceBytes = kSequenceDigits + 2;  // With a '#' on both sides.

void AppendDigits(uint32_t number, size_t digits, std::string* output) {
  output->append(digits, '0');
  for (size_t i = output->size(); number != 0; number /= 10) {
    (*output)[--i] = static_cast<char>('0' + number % 10);
  }
}

void AppendHeader(char type, size_t number, std::string* output) {
  char text[24];
  char* end = std::to_chars(text, text + sizeof text, number).ptr;
  output->push_back(type);
  output->append(text, end);
  output->append("\r\n");
}

// The payload of a bulk string; false when `reply` is none.
bool ReadBulk(std::string_view reply, std::string_view* payload) {
  size_t line_end = reply.find("\r\n");
  if (reply.empty() || reply[0] != '$' || line_end == std::string_view::npos) return false;
  size_t size = 0;
  auto [end, error] = std::from_chars(reply.data() + 1, reply.data() + line_end, size);
  if (error != std::errc() || end != reply.data() + line_end) return false;
  if (reply.size() != line_end + 2 + size + 2 || !reply.ends_with("\r\n")) return false;
  *payload = reply.substr(line_end + 2, size);
  return true;
}

// A repeating pattern of odd length, so that shifted or swapped blocks do not look right.
std::string MakePadding(size_t size) {
  std::string padding(size, ' ');
  for (size_t i = 0; i < size; ++i) padding[i] = static_cast<char>('!' + i % 89);
  return padding;
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRight:
      return "right";
    case Verdict::kMissing:
      return "missing";
    case Verdict::kStale:
      return "stale";
    case Verdict::kUnwritten:
      return "unwritten";
    case Verdict::kOtherKey:
      return "other_key";
    case Verdict::kMalformed:
      return "malformed";
  }
  return "";
}

ValueLedger::ValueLedger(std::string prefix, uint32_t keys, size_t value_bytes)
    : prefix_(std::move(prefix)),
      key_bytes_(prefix_.size() + kKeyDigits),
      value_bytes_(std::max(value_bytes, key_bytes_ + kSequenceBytes)),
      padding_(MakePadding(value_bytes_ - key_bytes_ - kSequenceBytes)),
      issued_(keys),
      acknowledged_(keys) {}

void ValueLedger::AppendKey(uint32_t key, std::string* output) const {
  output->append(prefix_);
  AppendDigits(key, kKeyDigits, output);
}

uint32_t ValueLedger::AppendSet(uint32_t key, std::string* output) {
  uint32_t sequence = ++issued_[key];
  output->append("*3\r\n$3\r\nSET\r\n");
  AppendHeader('$', key_bytes_, output);
  AppendKey(key, output);
  output->append("\r\n");
  AppendHeader('$', value_bytes_, output);
  AppendKey(key, output);
  output->push_back('#');
  AppendDigits(sequence, kSequenceDigits, output);
  output->push_back('#');
  output->append(padding_);
  output->append("\r\n");
  return sequence;
}

void ValueLedger::AppendGet(uint32_t key, std::string* output) const {
  output->append("*2\r\n$3\r\nGET\r\n");
  AppendHeader('$', key_bytes_, output);
  AppendKey(key, output);
  output->append("\r\n");
}

Verdict ValueLedger::CheckRead(uint32_t key, uint32_t issued_at_send,
                               std::string_view reply) const {
  if (reply == "$-1\r\n" || reply == "_\r\n") {
    return acknowledged_[key] == 0 ? Verdict::kRight : Verdict::kMissing;
  }
  std::string_view value;
  if (!ReadBulk(reply, &value)) return Verdict::kMalformed;
  return CheckValue(key, issued_at_send, value);
}

Verdict ValueLedger::CheckValue(uint32_t key, uint32_t issued_at_send,
                                std::string_view value) const {
  if (value.size() != value_bytes_) return Verdict::kMalformed;
  std::string_view sequence_text = value.substr(key_bytes_, kSequenceBytes);
  uint32_t sequence = 0;
  const char* digits = sequence_text.data() + 1;
  auto [end, error] = std::from_chars(digits, digits + kSequenceDigits, sequence);
  if (error != std::errc() || end != digits + kSequenceDigits || sequence_text.front() != '#' ||
      sequence_text.back() != '#' || value.substr(key_bytes_ + kSequenceBytes) != padding_) {
    return Verdict::kMalformed;
  }
  std::string expected_key;
  AppendKey(key, &expected_key);
  if (value.substr(0, key_bytes_) != expected_key) return Verdict::kOtherKey;
  if (sequence < acknowledged_[key]) return Verdict::kStale;
  return sequence <= issued_at_send ? Verdict::kRight : Verdict::kUnwritten;
}

}  // namespace rcproxy::benchmarks
